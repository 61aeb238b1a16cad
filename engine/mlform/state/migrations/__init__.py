"""From older tables to those of today, one version at a time, with Alembic's operations.

The version is that of the ``state`` table, which the quick reader and every older mlform look at;
Alembic's own table of revisions would say it a second time. Only loaded when a step is due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection

from mlform.state.file import SCHEMA
from mlform.state.migrations import version_2, version_3

_STEPS: Final[dict[int, Callable[[Operations], None]]] = {
    2: version_2.upgrade,
    3: version_3.upgrade,
}


def migrate(connection: Connection, version: int) -> None:
    """Bring tables up from a version, in the transaction of the connection."""
    operations = Operations(MigrationContext.configure(connection))
    for number in range(version + 1, SCHEMA + 1):
        _STEPS[number](operations)
