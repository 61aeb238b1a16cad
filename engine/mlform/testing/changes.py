"""That each change of a type's arguments, applied to a real spec, leaves nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from mlform.address import Address
from mlform.commands.applying import apply
from mlform.commands.session import Session
from mlform.config import Given
from mlform.plan import Action, Plan
from mlform.refresh.world import aliased_classes
from mlform.registry import Registry
from mlform.testing.fields import action_of

Changed: TypeAlias = str | Mapping[str, str | None]
"""The new value as HCL; or that of several arguments, ``None`` to leave one out."""


def check_changes(
    folder: Path,
    spec: str,
    address: str,
    arguments: Mapping[str, str],
    changes: Mapping[str, Changed],
    *,
    registry: Registry | None = None,
) -> Mapping[str, Action]:
    """Apply a spec, then one change after the other, each on top of those before.

    ``ARGUMENTS`` in ``spec`` stands for the arguments of the block at ``address``, which are given
    as HCL. ``changes`` has what each is changed to, by the argument that is looked at. Asserts
    that what is planned for the block is what the class of that argument says, that it is applied
    without anything left over, and that the plan after it is empty. Returns what was planned.
    """
    registry = registry or Registry()
    given, found = dict(arguments), dict[str, Action]()
    _carried_out(folder, spec, given, registry, "what is written first")
    for name, changed in changes.items():
        several = {name: changed} if isinstance(changed, str) else changed
        given = {n: v for n, v in {**given, **several}.items() if v is not None}
        plan = _carried_out(folder, spec, given, registry, name)
        step = next(s for s in plan.steps if s.address == Address.parse(address))
        offer = registry.find(step.address.kind, step.type)
        assert offer is not None, f"nobody offers a {step.address.kind} {step.type}"
        wanted, quiet = action_of(offer.resource, aliased_classes(offer.resource)[name])
        assert (step.action, step.quiet) == (wanted, quiet), f"{name}: {step.action.value}"
        told = any(r.subject == name or r.what == "code" for r in step.reasons)
        assert told, f"{name} is no reason: {step.reasons}"
        found[name] = step.action
    return found


def _carried_out(
    folder: Path, spec: str, given: Mapping[str, str], registry: Registry, what: str
) -> Plan:
    """Apply, and assert that nothing is left to do; return what was planned."""
    written = "\n".join(f"  {name} = {value}" for name, value in given.items())
    (folder / "main.mlf.hcl").write_text(spec.replace("ARGUMENTS", written))
    plans: list[Plan] = []

    def approve(plan: Plan) -> bool:
        plans.append(plan)
        return True

    applied = apply(Session(folder, Given((), {}), registry), approve, lambda _event: None)
    outcome = applied.outcome
    assert outcome is not None, f"{what}: nothing was carried out"
    assert outcome.complete, f"{what}: {outcome.failures}"
    session = Session(folder, Given((), {}), registry)
    left = session.plan(session.store.snapshot())
    told = [(str(s.address), s.action.value, s.reasons) for s in left.changes]
    quiet = left.empty and not left.deferred
    assert quiet, f"{what}: applied, and there is more to do: {told}"
    return plans[0] if plans else left
