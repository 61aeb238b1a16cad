"""Looking at the world: once for a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from mlform.commands.session import Session

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.refresh import Observations, Read
    from mlform.refresh.pins import Pin
    from mlform.state.model import Snapshot


def look(
    session: Session,
    snapshot: Snapshot,
    pins: Mapping[Address, Pin],
    *,
    read: Read,
    only: Collection[Address] | None = None,
) -> Observations:
    """Look at the world, or at some of it. Raises ``DiagnosedError`` with all that cannot be."""
    from mlform.refresh import refresh, unwatched

    project, _ = session.configured
    seen = refresh(
        project,
        snapshot,
        session.registry,
        session.looker,
        pins,
        session.diagnostics,
        read=read,
        only=only,
        looking=session.looking or unwatched,
    )
    if session.local.is_dir():
        session.looker.save()
    session.diagnostics.stop_on_errors()
    return seen
