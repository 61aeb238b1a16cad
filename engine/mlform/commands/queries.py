"""The commands that only look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from mlform.address import Address
from mlform.commands.checking import check
from mlform.commands.options import PlanOptions
from mlform.commands.session import Session
from mlform.diagnostics import DiagnosedError, did_you_mean, stop
from mlform.syntax.limits import uncollected

if TYPE_CHECKING:
    from mlform.plan import Plan
    from mlform.state.model import Record

_MOST: Final = 12


def validate(session: Session) -> None:
    """Check everything that can be known without state, data or network.

    Reads no state and starts nothing. Raises ``DiagnosedError`` with everything that is wrong.
    """
    check(*session.configured, session.diagnostics)
    session.diagnostics.stop_on_errors()
    assert session.graph is not None, "building the graph finds cycles"


@uncollected()
def plan(session: Session, options: PlanOptions) -> Plan:
    """Plan without the lock: what is planned may be out of date when it is applied."""
    return session.plan(session.snapshot(), options)


def parsed(text: str) -> Address:
    """Return the address a user wrote. Raises ``DiagnosedError`` if it is none."""
    try:
        return Address.parse(text)
    except ValueError:
        raise stop("Invalid address", f'"{text}" is no address. Write KIND.NAME.') from None


def record(session: Session, text: str) -> Record:
    """Return one record. Raises ``DiagnosedError`` where there is none."""
    records = session.snapshot().records
    address = parsed(text)
    if address not in records:
        raise not_recorded(text, records)
    return records[address]


def not_recorded(
    text: str, known: Iterable[object], what: str = "is not recorded"
) -> DiagnosedError:
    """Return the error about an address that is not among those known."""
    names = sorted(map(str, known))
    shown = ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" * (len(names) > _MOST))
    recorded = f" Recorded: {shown}." if names else " Nothing is recorded yet."
    return stop("Not in the state", f"{text} {what}.{did_you_mean(text, names)}{recorded}")


def outputs(session: Session, name: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the recorded outputs, or one of them: ``value``, concealed if it is ``sensitive``."""
    found = session.snapshot().outputs
    if name is not None and name not in found:
        hint = did_you_mean(name, found)
        known = f" Outputs: {', '.join(sorted(found))}." if found else " None is recorded yet."
        raise stop("Unknown output", f'There is no output "{name}".{hint}{known}')
    return {n: o for n, o in sorted(found.items()) if name in {None, n}}
