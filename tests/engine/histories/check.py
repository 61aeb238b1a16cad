"""What must hold of every history."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.engine.histories.enrich import GUARD
from tests.engine.histories.hold import hold
from tests.engine.histories.model import History, Round, by_name
from tests.engine.histories.recorded import consistent, fingerprint, keyed, waits
from tests.engine.histories.run import (
    TARGET,
    Done,
    Place,
    Planned,
    calm,
    results,
    shuffled,
    undecided,
    written,
)

from mlform.address import Address
from mlform.apply import Outcome
from mlform.diagnostics import DiagnosedError
from mlform.plan import QUIET, Action, Step, dump, parse, severity
from mlform.refresh.pins import LOCK_FILE, read_pins
from mlform.refresh.world import TRIGGERS, lasting
from mlform.registry import Registry
from mlform.state.model import Snapshot

_REGISTRY = Registry({"strange": TARGET})
_EMPTY_KEYS: dict[str, str] = {}


def check(history: History, folder: Path) -> None:
    """Carry a history out under a folder. Raises ``BrokenError`` at the first thing amiss."""
    place, keys = Place(folder / "a"), dict(_EMPTY_KEYS)
    done = Done((), None)
    for number, round_ in enumerate(history.rounds):
        written(place, round_)
        place.befall(round_)
        text = repeated(place, round_)
        twin = place.root.with_name(f"twin{number}") if number == 1 else None
        if twin is not None and not _storms(round_):
            shutil.copytree(place.root, twin)
        else:
            twin = None
        done = place.apply(round_)
        same(text, done)
        hidden(place, round_, done)
        for planned in done.plans:
            announced(planned)
            guarded(planned, round_)
            taken_over(planned, round_)
            beneath(planned)
            held_back(planned, round_)
            cut_off(planned)
            keyed(planned.after, keys)
        if twin is not None:
            saved_equals_direct(place, Place(twin), round_, done)
        if done.whole:
            consistent(round_, place.snapshot(), read_pins(place.root))
            if round_.refresh:
                settled(place, round_)
    last = calm(history.rounds[-1])
    written(place, last)
    done = place.apply(last)
    if done.refused.startswith("Protected from destruction"):
        hold(_guarded(place.snapshot(), last), "only what is protected is refused", done.refused)
        return
    hold(not done.refused and not done.killed, "a calm apply is not refused", done.refused)
    if done.applied and done.applied.outcome and _lost(done.applied.outcome):
        return  # a champion rotted away while its gate fails the candidate: no apply can mend that
    hold(done.whole, "a calm apply is complete", done.applied and done.applied.outcome)
    snapshot = place.snapshot()
    consistent(last, snapshot, read_pins(place.root))
    keyed(snapshot, keys)
    settled(place, last)
    idle(place, last)
    if not any(map(_leaves_a_mark, history.rounds)):
        as_from_scratch(last, snapshot, place, Place(folder / "fresh"))


def _lost(outcome: Outcome) -> bool:
    return {f.summary for f in outcome.failures} == {"Artifact lost"}


def _storms(round_: Round) -> bool:
    several = round_.parallelism > 1
    return bool(round_.kill or round_.stop or round_.taint or round_.drift or several)


def _leaves_a_mark(round_: Round) -> bool:
    """Tell whether what comes after rests on what was before, as it should."""
    return bool(round_.noise) or any("ignore" in line for b in round_.blocks for line in b.life)


def repeated(place: Place, round_: Round) -> str:
    """Return a plan as bytes, made with records in another order; empty where it is refused."""
    try:
        plan = place.plan(round_, shuffled(place.snapshot(), len(round_.blocks)))
    except DiagnosedError:  # apply is refused too
        return ""
    text = dump(plan)
    hold(parse(text) == plan, "a plan survives its file")
    return text if plan.lineage else ""


def same(text: str, done: Done) -> None:
    """(d) Equal inputs give equal bytes."""
    if text and done.plans:
        again = dump(done.plans[0].plan)
        hold(text == again, "equal inputs give equal plans", *_differences(text, again))


def _differences(one: str, two: str) -> list[str]:
    pairs = zip(one.splitlines(), two.splitlines(), strict=False)
    return [f"{a} / {b}" for a, b in pairs if a != b][:3]


def announced(planned: Planned) -> None:
    """(c) What ran was announced, and was no more than that."""
    steps = {str(s.address): s for s in planned.plan.steps}
    for event in planned.finished:
        if event.action is Action.NO_OP:
            continue
        step = steps.get(str(event.address))
        hold(step is not None, "what ran is in the plan", event)
        assert step is not None
        hold(step.action not in QUIET, "what was to do nothing did nothing", event, step.action)
        most = severity(Action.REPLACE) if _may_replace(step) else severity(step.action)
        hold(severity(event.action) <= most, "no more is done than planned", event, step.action)
        certain = {Action.REUSE, Action.UPDATE}
        certain |= {Action.DECIDE} if any(r.what == "decision" for r in step.reasons) else set()
        if step.action is Action.MAYBE and event.action not in certain:
            hold(
                _moved_before(step, planned), "`run?` runs only if something upstream moved", event
            )
    calls = [(a, m) for a, m in planned.calls if m != "import"]  # a look, made while planning
    called = {a for a, _ in calls}
    for address, method in calls:
        step = steps.get(address)
        hold(step is not None and step.action not in QUIET, "only planned steps call", address)
        assert step is not None
        going = {Action.DESTROY, Action.REPLACE, Action.FORGET}
        destroys = step.action in going or _may_replace(step)
        hold(method != "destroy" or destroys, "only what is planned destroys", address, step.action)
    for event in planned.finished:
        computed = event.action in {Action.REUSE, Action.NO_OP}
        name = str(event.address)
        hold(not (computed and name in called), "reuse computes nothing", name, event.action)


def guarded(planned: Planned, round_: Round) -> None:
    """What is protected is neither destroyed nor forgotten, though its block has gone.

    Unless its block says otherwise now, it is gone already, or a ``removed`` block lets it go.
    """
    blocks = by_name(round_)
    steps = {s.address: s for s in planned.plan.steps}
    for event in planned.finished:
        record = planned.before.records.get(event.address)
        if record is None or not record.protected:
            continue
        block = blocks.get(event.address.name)
        freed = block is not None and GUARD not in block.life and event.address.key is None
        freed = freed or str(event.address.config) in round_.removed
        freed = freed or any(r.what == "gone" for r in steps[event.address].reasons)
        goes = event.action in {Action.DESTROY, Action.FORGET, Action.REPLACE}
        hold(freed or not goes, "what is protected is not destroyed", event, record)


def _guarded(snapshot: Snapshot, last: Round) -> bool:
    """Tell whether anything is protected: by its record, or by its block, which is newer."""
    blocks = any(GUARD in block.life for block in last.blocks)
    return blocks or any(r.protected for r in snapshot.records.values())


def taken_over(planned: Planned, round_: Round) -> None:
    """What is imported is not made anew where nothing is recorded yet, nor moves there."""
    imported = {n for n, _ in round_.imports}
    known = {*map(str, planned.before.records), *planned.plan.moves.values()}
    for event in planned.finished:
        new = event.address.kind == "deployment" and str(event.address) not in known
        if new and event.address.name in imported:
            hold(event.action is not Action.CREATE, "what exists is not made anew", event)


def beneath(planned: Planned) -> None:
    """Nothing is destroyed before what was made from it has let go of it."""
    if planned.plan.targets or planned.plan.moves:
        return
    quiet = {s.address for s in planned.plan.steps if s.action is Action.NO_OP}
    over = set(quiet)
    for event in planned.finished:
        if event.action is Action.DESTROY:
            users = {a for a, r in planned.before.records.items() if event.address in r.needs}
            hold(users <= over, "what is used is not destroyed", event, users - over)
        over.add(event.address)


def hidden(place: Place, round_: Round, done: Done) -> None:
    """A secret is in no file of ours, in no plan and in no event."""
    if not round_.secret:
        return
    secret = round_.secret.encode()
    for path in (place.root / ".mlform").rglob("*"):
        hold(not path.is_file() or secret not in path.read_bytes(), "a secret stays one", path)
    for planned in done.plans:
        hold(round_.secret not in dump(planned.plan), "a secret is in no plan")
        hold(round_.secret not in repr(planned.events), "a secret is in no event")


def held_back(planned: Planned, round_: Round) -> None:
    """What refers to a gate that failed is not touched."""
    blocks = by_name(round_)
    for name, method in planned.calls:
        block = blocks.get(Address.parse(name).name)
        if method != "apply" or block is None or block.kind != "deployment":
            continue
        judged = [r for a, r in planned.after.records.items() if a.name in block.gates]
        failed = [str(r.address) for r in judged if r.attributes["passed"] is False]
        hold(not failed, "what a failing gate holds does not run", name, failed)


def _may_replace(step: Step) -> bool:
    return step.action is Action.MAYBE and TRIGGERS in step.arguments


def _moved_before(step: Step, planned: Planned) -> bool:
    """Tell whether upstream came out different or is another, or other is taken of it.

    It may have come out different before already, in a run that was cut off behind it; and what
    is taken over was made of nothing here.
    """
    old = planned.before.records.get(step.address)
    if any(r.what == "argument" for r in step.reasons):
        return True
    if step.imported is not None:
        return True
    if old is not None and set(old.needs) != set(step.refers_to):
        return True
    for address in step.refers_to:
        before, after = (s.records.get(address) for s in (planned.before, planned.after))
        if before is None or after is None or before.attributes != after.attributes:
            return True
        if old is not None and old.receipt.get("inputs", {}).get(str(address)) != before.digest:
            return True
    return step.parts is None or step.environment is None


def cut_off(planned: Planned) -> None:
    """Early cutoff at every edge: what has what it had runs only if something else asks for it."""
    steps = {str(s.address): s for s in planned.plan.steps if not s.deposed}
    for event in planned.finished:
        name = str(event.address)
        before, after = (s.records.get(event.address) for s in (planned.before, planned.after))
        if event.action not in {Action.RUN, Action.CREATE, Action.ROLL, Action.REPLACE}:
            continue
        if before is None or after is None or before.type != after.type:
            continue
        step = steps[name]
        if step.gone or step.moved or step.again:
            continue
        same = fingerprint(before, triggers=True) == fingerprint(after, triggers=True)
        hold(not same, "what has the inputs it had does not run", name, event.action, step.reasons)


def settled(place: Place, round_: Round) -> None:
    """(b) Apply, then plan: nothing."""
    plan = place.plan(calm(round_))  # a plan does not meet the luck of the round
    left = [(str(s.address), s.action.value, s.reasons) for s in plan.changes]
    nothing = plan.empty and not undecided(plan, [s.address for s in plan.held])
    hold(nothing, "after a clean apply there is nothing to do", left, plan.deferred, plan.moves)


def idle(place: Place, round_: Round) -> None:
    """Applying that nothing calls nobody."""
    done = place.apply(calm(round_))
    calls = [c for p in done.plans for c in p.calls]
    hold(not calls and done.whole, "nothing runs when there is nothing to do", calls)


def saved_equals_direct(one: Place, two: Place, round_: Round, done: Done) -> None:
    """(e) A plan through a file, or directly: the same comes of it."""
    other = two.apply(Round(**{**vars(round_), "saved": not round_.saved}))
    if any(it.refused and it.plans for it in (done, other)):
        return  # what was deferred is refused, in a round that a saved plan does not come to
    hold(
        other.refused.split(":")[0] == done.refused.split(":")[0],
        "both refused or none",
        other.refused,
        done.refused,
    )
    if done.applied is not None and done.applied.plan.deferred:
        return
    a, b = one.snapshot(), two.snapshot()
    hold(
        _lasting(a) == _lasting(b) or _rounds(done) != _rounds(other),
        "saved equals direct",
        _lasting(a),
        _lasting(b),
    )


def _rounds(done: Done) -> int:
    return len(done.plans)


def _lasting(snapshot: Snapshot) -> Mapping[str, Any]:
    found = {}
    for address, record in sorted(snapshot.records.items()):
        offer = _REGISTRY.find(address.kind, record.type)
        assert offer is not None
        found[str(address)] = (
            record.key,
            record.digest,
            lasting(offer.resource, record.attributes),
        )
    return found


def as_from_scratch(last: Round, snapshot: Snapshot, place: Place, fresh: Place) -> None:
    """(a) Incremental equals from scratch, for all that is not held and rests on no history."""
    written(fresh, last)
    if (place.root / LOCK_FILE).exists():
        shutil.copy(place.root / LOCK_FILE, fresh.root)
    done = fresh.apply(last)
    hold(done.whole, "from scratch is complete", done.refused)
    scratch = fresh.snapshot()
    marked = _marked(last, snapshot) | _marked(last, scratch)
    ours = {a: v for a, v in results(snapshot).items() if a not in marked}
    theirs = {a: v for a, v in results(scratch).items() if a not in marked}
    hold(ours == theirs, "incremental equals from scratch", ours, theirs)


def _marked(round_: Round, snapshot: Snapshot) -> set[str]:
    """Return what rests on history: what has a baseline or is held, and all after it."""
    blocks = by_name(round_)
    marked: set[Address] = set()
    for address in snapshot.records:
        block = blocks.get(address.name)
        if block is None or block.prior or block.kind == "model" or waits(address, snapshot):
            marked.add(address)
    while more := {
        a for a, r in snapshot.records.items() if a not in marked and marked & {*r.needs}
    }:
        marked |= more
    return {str(a) for a in marked}
