"""``apply``, ``destroy``, and everything that ends in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlform.address import Address
from mlform.commands.claiming import claimed, claimed_for, ours
from mlform.commands.current import check_current
from mlform.commands.options import PlanOptions
from mlform.commands.planfile import digest_of
from mlform.commands.sensitive import secrets_of
from mlform.commands.session import Session
from mlform.lazy import dataclass, field, replace
from mlform.values import concealed

if TYPE_CHECKING:
    from mlform.apply import Outcome, Reporter
    from mlform.execute import LocalExecutor
    from mlform.plan import Plan
    from mlform.registry import Offer
    from mlform.state.lease import Lease
    from mlform.state.model import Snapshot
    from mlform.values import Value


@dataclass
class Applied:
    """A plan, and what came of it (``None`` if there was nothing to do, or no approval)."""

    plan: Plan
    outcome: Outcome | None = None
    approved: bool = True
    unfinished: Sequence[str] = field(default_factory=list)
    """Addresses where an earlier run was cut off."""


def apply(
    session: Session,
    approve: Callable[[Plan], bool],
    report: Reporter,
    options: PlanOptions | None = None,
    *,
    saved: Plan | None = None,
    parallelism: int = 2,
    operation: str = "apply",
) -> Applied:
    """Plan, take the lock on what is to be written, ask, and carry out.

    A saved plan is refused if what it is from moved.
    """
    with ExitStack() as stack:
        early = None
        if operation == "apply" and (saved is not None or session.place.blank):
            # There will be work: what workers need is loaded while it is planned.
            from mlform.commands.working import early_workers

            early = early_workers(parallelism)
            stack.callback(early.close)
        return _apply(session, approve, report, options, saved, parallelism, operation, early)


def _apply(
    session: Session,
    approve: Callable[[Plan], bool],
    report: Reporter,
    options: PlanOptions | None,
    saved: Plan | None,
    parallelism: int,
    operation: str,
    early: LocalExecutor | None,
) -> Applied:
    if saved is not None:
        session.registry.settings = _settings(session, saved)
        with claimed_for(session, operation, saved) as it:
            check_current(session, saved, it.snapshot, it.lease.extent)
            how = approve, report, parallelism, {"plan": digest_of(saved)}, early
            return carry_out(session, saved, it.snapshot, it.lease, *how)
    with claimed(session, operation, lambda now: session.plan(now, options)) as it:
        lease, given = it.lease, (approve, report, parallelism)
        applied = carry_out(session, it.plan, it.snapshot, lease, *given, early=early)
        options, went = options or PlanOptions(), _goes_on(applied)
        while went:
            snapshot = session.store.snapshot()
            options = _still_asked(session, options, applied, snapshot)
            plan = session.plan(snapshot, options)
            more = carry_out(session, plan, snapshot, lease, *given)
            went = _goes_on(more)
            applied = _together(applied, more)
        return applied


def _goes_on(applied: Applied) -> bool:
    """Tell whether what was deferred can be planned now: something was recorded to that end."""
    it = applied.outcome
    recorded = it is not None and it.complete and (it.done or it.imported or it.adopted)
    return bool(applied.plan.deferred and recorded)


def _still_asked(
    session: Session, options: PlanOptions, applied: Applied, snapshot: Snapshot
) -> PlanOptions:
    """Return the options of the next round: what is asked for once is done once.

    What was asked of something deferred has not been done yet.
    """
    assert applied.outcome is not None, "a round that went on was carried out"
    blocks = {Address.parse(a).config for a in applied.plan.deferred}
    known = {*session.configured[0].resources, *snapshot.records}
    known -= {*applied.outcome.done, *applied.outcome.adopted}
    later = sorted(a for a in known if a.config in blocks)

    def left(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(a) for a in later if any(map(a.within, texts)))

    return replace(
        options,
        replace=left(options.replace),
        adopt=left(options.adopt),
        revert=left(options.revert),
        pulls=(),
        further=True,
    )


def _together(first: Applied, more: Applied) -> Applied:
    """Return two rounds as one."""
    assert first.outcome is not None, "a round that went on was carried out"
    if more.outcome is None:
        return Applied(more.plan, first.outcome, more.approved, first.unfinished)
    before, after = first.outcome, more.outcome
    after.done = {**before.done, **after.done}
    after.imported = {**before.imported, **after.imported}
    after.adopted[:0] = before.adopted
    after.held = {**before.held, **after.held}
    if before.purged is not None:
        after.purged = before.purged if after.purged is None else before.purged + after.purged
    after.kept[:0], after.warnings[:0] = before.kept, before.warnings
    after.spent = {**before.spent, **after.spent}
    after.spared[:0] = before.spared
    after.seconds += before.seconds
    return Applied(more.plan, after, more.approved, first.unfinished)


def carry_out(
    session: Session,
    plan: Plan,
    snapshot: Snapshot,
    lease: Lease,
    approve: Callable[[Plan], bool],
    report: Reporter,
    parallelism: int,
    told: Mapping[str, str] | None = None,
    early: LocalExecutor | None = None,
) -> Applied:
    """Ask, and carry out a plan made from ``snapshot`` under the lock.

    ``told`` goes into the receipts of what is made, beside who and when. ``early`` are workers that
    were begun while it was planned.
    """
    from mlform.apply import apply as do
    from mlform.commands.approving import agreed
    from mlform.commands.working import at_work, workers
    from mlform.demand import LOCAL

    cut_off = ours(lease, session.store.unfinished())
    unfinished = sorted({e.address for e in cut_off if e.address})
    here = any(s.demand.executor == LOCAL for s in plan.changes)
    # While the plan is shown and read, what the workers need is loaded.
    with workers(_offers(session, plan), parallelism, at_once=here, early=early) as local:
        if (plan.pulls or not plan.empty) and not approve(plan):
            return Applied(plan, None, approved=False, unfinished=unfinished)
        _announce(session, plan, lease, parallelism)
        session.registry.settings = _settings(session, plan)
        with at_work(
            session,
            lease,
            local,
            secrets=secrets_of(session, plan),
            approved=agreed(session, plan),
            executors=plan.executors,
            unfinished=cut_off,
            told=told,
        ) as (world, stopping):
            outcome = do(plan, snapshot, world, report, parallelism=parallelism, stop=stopping)
            pin_new(session)
    return Applied(plan, outcome, unfinished=unfinished)


def _announce(session: Session, plan: Plan, lease: Lease, parallelism: int) -> None:
    """Tell whoever is refused the lock meanwhile what this does, and how long by estimate."""
    from mlform.plan.times import times
    from mlform.state.lease import Work

    if plan.empty:
        return
    expected = times(plan, parallelism)
    over = None
    if expected is not None and not expected.unknown:
        over = datetime.now(UTC) + timedelta(seconds=expected.worst.clock)
    session.store.announce(lease, Work.of([str(s.address) for s in plan.changes], over))


def _settings(session: Session, plan: Plan) -> Mapping[str, Mapping[str, Value]]:
    """Return the settings of providers as the plan has them; secrets come from the spec again."""
    hidden = [v for s in plan.settings.values() for v in s.values() if concealed(v)]
    if hidden:
        assert session.configured, "reading the spec hands the registry its settings"
    before = session.registry.settings
    return {
        **before,
        **{
            provider: {n: before[provider][n] if concealed(v) else v for n, v in given.items()}
            for provider, given in plan.settings.items()
        },
    }


def _offers(session: Session, plan: Plan) -> list[Offer]:
    from mlform.plan import Action

    changes = [s for s in plan.changes if s.action is not Action.FORGET]
    found = (session.registry.find(s.address.kind, s.type) for s in changes)
    return [offer for offer in found if offer is not None]


def pin_new(session: Session) -> None:
    """Pin each dataset that asks for it and was applied for the first time."""
    from mlform.files import alone

    if session.keeps_pins:
        with alone(session.local / "pins.lock"):  # another apply of this folder may be at it
            _pin_new(session)


def _pin_new(session: Session) -> None:
    from mlform.refresh.pins import pin_of, read_pins, write_pins

    pins = read_pins(session.root)
    before = dict(pins)
    for address, record in session.store.snapshot().records.items():
        offer = session.registry.find(address.kind, record.type)
        pin = None if offer is None else pin_of(offer.resource, record)
        if pin is not None and (address not in pins or pins[address].source != pin.source):
            pins[address] = pin
    if pins != before:
        write_pins(session.root, pins)
