"""``taint`` and ``untaint``: say of a recorded result that it is to be made again."""

from __future__ import annotations

from mlform.address import Address
from mlform.commands.provenance import new_run, provenance
from mlform.commands.queries import record
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.lazy import replace
from mlform.state.lease import Extent


def taint(session: Session, text: str, *, tainted: bool) -> Address:
    """Mark a record, or take the mark off. Raises ``DiagnosedError`` where there is nothing to.

    The next apply makes a marked one again, whatever its key says.
    """
    operation = "taint" if tainted else "untaint"
    extent = Extent.of([record(session, text).address])
    with session.lock(operation, extent) as lease:
        found = record(session, text)
        if not tainted and "tainted" not in found.receipt:
            raise stop("Not tainted", f"{found.address} is not tainted: nothing was changed.")
        receipt = {n: v for n, v in found.receipt.items() if n != "tainted"}
        if tainted:
            receipt["tainted"] = provenance(session.root)["by"]
        if receipt != dict(found.receipt):
            detail = {"action": operation}
            session.store.put(lease, new_run(), replace(found, receipt=receipt), detail)
    return found.address
