"""The one check that keeps two writers apart: every write is made under the fence of its lease."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, update
from sqlalchemy.sql.dml import ReturningUpdate

from mlform.failpoints import failpoint
from mlform.state.lease import Lease, LostLeaseError
from mlform.state.tables import STATE, state_row, workspace_of


def advance(connection: Connection, lease: Lease, by: int = 1, least: int = 0) -> int:
    """Raise the serial, to ``least`` if that is more, and return it: if the lease still holds."""
    query = _advancing(workspace_of(connection), least)
    serial = connection.execute(query, {"held": lease.fence, "by": by}).scalar()
    if serial is None:
        raise LostLeaseError.of(lease)
    failpoint("state.advanced")
    return int(serial)


def hold(connection: Connection, lease: Lease) -> None:
    """See that the lease holds, and that it will until the transaction is over."""
    if state_row(connection).fence != lease.fence:
        raise LostLeaseError.of(lease)


@lru_cache(maxsize=256)
def _advancing(workspace: str, least: int) -> ReturningUpdate[Any]:
    higher = STATE.c.serial + bindparam("by", type_=STATE.c.serial.type)
    return (
        update(STATE)
        .where(STATE.columns[0] == workspace, STATE.c.fence == bindparam("held"))
        .values(serial=case((higher < least, least), else_=higher) if least else higher)
        .returning(STATE.c.serial)
    )
