"""Version 3: several leases at once, each for a part of the state.

Written out whole, and not taken from today's tables: those go on changing.
"""

from __future__ import annotations

from typing import Final

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Float, String, Text

_GONE: Final = ("holder", "expires", "work")


def upgrade(op: Operations) -> None:
    """Give leases a table of their own. Whoever had the lock before is fenced out."""
    op.create_table(
        "leases",
        Column("workspace", String, primary_key=True),
        Column("fence", BigInteger, primary_key=True, autoincrement=False),
        Column("holder", Text, nullable=False),
        Column("expires", Float, nullable=False),
        Column("work", Text),
        Column("extent", Text),
    )
    op.add_column("state", Column("fences", String, nullable=False, server_default=""))
    for name in _GONE:
        op.drop_column("state", name)
    op.execute("UPDATE state SET schema_version = 3, fence = fence + 1")
