"""``why`` and ``why -not``: what is asked of the journal and of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.commands.queries import parsed, record
from mlform.commands.session import Session
from mlform.diagnostics import did_you_mean, stop
from mlform.lazy import replace

if TYPE_CHECKING:
    from mlform.plan import Plan, Step
    from mlform.plan.why import Link
    from mlform.plan.whynot import Moved, WhyNot
    from mlform.state.model import Entry, Record, Store

LAST = "last"
"""The name of the last run that did anything."""


def why(
    session: Session, text: str, *, run: str | None = None, plan: Plan | None = None
) -> list[Link]:
    """Explain why a resource ran last, in a run, or will by a plan: the causes, the leaf last."""
    from mlform.plan.why import explain, explain_planned
    from mlform.refresh.pins import read_pins

    store = session.store
    alarms = store.alarms()

    def made(address: Address, before: int | None) -> Entry | None:
        return store.made(address, before=before)

    if plan is not None:
        pins = read_pins(session.root)
        return explain_planned(plan, _step(plan, text), made, alarms, pins)
    if run is None:
        start = record(session, text)
        entry = store.made(start.address)
        if entry is None:
            return explain(start, None, made, alarms)
        return _called(start.address, explain(*_entered(entry), made, alarms))
    found, address = _run(session, run), parsed(text)
    entry = store.made(address, run=found.run)
    if entry is None:
        detail = f"{text} did not run in {found.run}: `mlform why -not {text} -run {found.run}`."
        raise stop("Did not run", detail)
    return _called(address, explain(*_entered(entry), made, alarms))


def _entered(entry: Entry) -> tuple[Record, int]:
    from mlform.state.codec import parse_record

    return parse_record(entry.detail["record"]), entry.sequence


def _called(address: Address, links: list[Link]) -> list[Link]:
    """Return an explanation of what is called so now, and was called otherwise when it ran."""
    return [replace(links[0], address=address), *links[1:]]


def why_not(
    session: Session, text: str, *, run: str | None = None, plan: Plan | None = None
) -> WhyNot:
    """Explain why a resource did not run in a run, or will not by a plan: by default one of now."""
    from mlform.plan.whynot import WhyNot, in_plan, in_run
    from mlform.state.codec import parse_record

    address, store = parsed(text), session.store
    if run is None:
        snapshot = store.snapshot()
        if plan is None:
            plan, disabled = session.plan(snapshot), session.configured[0].disabled
            if address in disabled and all(s.address != address for s in plan.steps):
                text = f"it is declared, and not enabled ({disabled[address]})"
                return WhyNot(address, "disabled", text)
        _known(text, [str(s.address) for s in plan.steps], plan)
        return in_plan(plan, address, snapshot.records, _origin(session, plan, address))
    found = _run(session, run)
    made = store.made(address, run=found.run)
    last = store.made(address, before=found.sequence)
    then = None if last is None else parse_record(last.detail["record"])
    needs = () if then is None else then.needs
    ran = {str(a): it for a in needs if (it := _moved(store, a, found.run)) is not None}
    return in_run(found, address, made, then, ran)


def _moved(store: Store, address: Address, run: str) -> Moved | None:
    from mlform.plan.whynot import Moved
    from mlform.state.codec import parse_record

    now = store.made(address, run=run)
    if now is None:
        return None
    before = store.made(address, before=now.sequence)
    was = None if before is None else parse_record(before.detail["record"])
    return Moved(was, parse_record(now.detail["record"]))


def _step(plan: Plan, text: str) -> Step:
    address = parsed(text)
    for step in plan.steps:
        if step.address == address:
            return step
    names = [str(s.address) for s in plan.steps]
    raise stop("Not in the plan", f"The plan has no {text}.{did_you_mean(text, names)}")


def _known(text: str, names: list[str], plan: Plan) -> None:
    """Refuse an address that nobody knows, with a hint, where the plan leaves nothing out."""
    whole = not (plan.targets or plan.excluded or plan.deferred)
    if whole and text not in names:
        hint = did_you_mean(text, names)
        raise stop("Unknown resource", f"{text} is neither declared nor recorded.{hint}")


def _run(session: Session, name: str) -> Entry:
    """Return the entry of a run. Raises ``DiagnosedError`` where it did nothing or never was."""
    runs = session.store.runs()
    for entry in reversed(runs):
        if name in {entry.run, LAST}:
            return entry
    if not runs:
        raise stop("Unknown run", "No run did anything yet.")
    recent = ", ".join(e.run for e in runs[-3:])
    raise stop("Unknown run", f"No run {name} did anything. The last ones: {recent}.")


def _origin(session: Session, plan: Plan, address: Address) -> str:
    """Return the run that made what a step takes again or judges anew."""
    key = next((s.key for s in plan.steps if s.address == address), None)
    if key is None:
        return ""
    found = session.store.realisations([key])
    receipt = found[key].receipt if key in found else {}
    at = f" on {receipt['at']}" if receipt.get("at") else ""
    return f"{receipt['run']}{at}" if receipt.get("run") else ""
