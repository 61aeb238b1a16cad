"""The one check that keeps two writers apart: every write is made under the fence of its lease."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, update
from sqlalchemy.sql.dml import ReturningUpdate

from mlform.diagnostics import stop
from mlform.failpoints import failpoint
from mlform.state.lease import Lease, LostLeaseError
from mlform.state.tables import STATE, state_row, workspace_of


def advance(connection: Connection, lease: Lease, by: int = 1, least: int = 0) -> int:
    """Raise the serial, to ``least`` if that is more, and return it: if the lease still holds."""
    query = _advancing(workspace_of(connection), least)
    serial = connection.execute(query, {"held": _written(lease), "by": by}).scalar()
    if serial is None:
        raise LostLeaseError.of(lease)
    failpoint("state.advanced")
    return int(serial)


def hold(connection: Connection, lease: Lease) -> None:
    """See that the lease holds, and that it will until the transaction is over."""
    if _written(lease) not in state_row(connection).fences:
        raise LostLeaseError.of(lease)


def covered(lease: Lease, name: str | None) -> None:
    """See that a lease is for what is written. Raises ``DiagnosedError``."""
    if not lease.covers(name):
        detail = (
            f"{name} is not what lease {lease.id} was taken for, and another may be writing it. "
            "Nothing was written. This is a bug in mlform."
        )
        raise stop("Outside of the lease", detail)


def whole(lease: Lease) -> None:
    """See that a lease is for the whole state. Raises ``DiagnosedError``."""
    covered(lease, None if lease.extent is None else "what is not one resource's")


def with_fence(fences: str, fence: int) -> str:
    """Return the fences that hold, with one more."""
    return f"{fences or ' '}{fence} "


def without(fences: str, fence: int) -> str:
    """Return the fences that hold, without one."""
    return fences.replace(f" {fence} ", " ", 1)


def _written(lease: Lease) -> str:
    """Return how the row of the state has a fence: one condition on one row tells all."""
    return f" {lease.fence} "


@lru_cache(maxsize=256)
def _advancing(workspace: str, least: int) -> ReturningUpdate[Any]:
    higher = STATE.c.serial + bindparam("by", type_=STATE.c.serial.type)
    return (
        update(STATE)
        .where(STATE.columns[0] == workspace, STATE.c.fences.contains(bindparam("held")))
        .values(serial=case((higher < least, least), else_=higher) if least else higher)
        .returning(STATE.c.serial)
    )
