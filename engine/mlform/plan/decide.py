"""The one opinion on what must be done, called by plan, and by apply for what was open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from mlform.keys import action_key, changed_code
from mlform.lazy import dataclass, field, replace
from mlform.parts import same
from mlform.plan.adopted import with_adopted
from mlform.plan.model import OPEN, REACHED, Action, Deferred, Reason
from mlform.plan.moved import moved_facets, moved_judged
from mlform.refresh.facets import overrides_uses, whole
from mlform.refresh.world import TRIGGERS, aliased_classes, as_seen, lasting
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass, FieldRule, fields_under
from mlform.state.model import Realisation, Record
from mlform.values import canonical, digest, handles, identity

Lookup = Callable[[str], Realisation | None]

_SEVERITY: Final[Mapping[Action, int]] = {
    Action.NO_OP: 0,
    Action.HELD: 0,
    Action.REUSE: 1,
    Action.DECIDE: 2,
    Action.UPDATE: 3,
    Action.CREATE: 4,
    Action.RUN: 4,
    Action.ROLL: 4,
    Action.MAYBE: 4,
    Action.REPLACE: 5,
    Action.FORGET: 5,
    Action.DESTROY: 6,
}


def severity(action: Action) -> int:
    """Return how much an action may do: apply does at most what was planned."""
    return _SEVERITY[action]


@dataclass(frozen=True)
class Facts:
    """All that is known of one resource now: what is wanted, and what was seen.

    ``arguments`` are normalised plain data; those that upstream must still settle are missing and
    named in ``open``. ``parts`` is ``None`` where the source could not be looked at yet.
    """

    arguments: Mapping[str, Any]
    open: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Argument → the addresses it waits for."""
    by_record: Mapping[str, Any] = field(default_factory=dict)
    """What open arguments would be worth if upstream stayed as it is recorded, where known."""
    parts: Mapping[str, str] | None = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] | None = field(default_factory=dict)
    present: bool = True
    attributes_moved: Mapping[str, Any] | None = None
    """What was seen of it, where that is not what is recorded."""
    anew: AbstractSet[str] = frozenset()
    """Addresses of what is made anew: what names them cannot go on naming the same."""
    ignored: frozenset[str] = frozenset()
    at: Mapping[str, str] = field(default_factory=dict)
    """Argument → ``file:line`` where it is written."""

    @property
    def settled(self) -> bool:
        """Whether all is known that keys are made of."""
        return not self.open and self.parts is not None and self.environment is not None


@dataclass(frozen=True)
class Decision:
    """What to do, why, and the keys it was decided by (``None`` while something is open).

    ``realisation`` is the result to take again, or to judge anew.
    """

    action: Action
    reasons: tuple[Reason, ...] = ()
    key: str | None = None
    decision_key: str | None = None
    realisation: Realisation | None = None
    quiet: bool = False


def full_key(key: str, decision_key: str | None) -> str:
    """Return the key a result is kept under: what was computed, and how it was judged."""
    return key if decision_key is None else digest([key, decision_key])


def keys(resource: AnyResource, facts: Facts) -> tuple[str, str | None]:
    """Return the action key and the decision key of facts of which none is open."""
    return _action_key(resource, facts), _decision_key(resource, facts)


def decide(resource: AnyResource, facts: Facts, record: Record | None, lookup: Lookup) -> Decision:
    """Compare what is wanted with what is recorded."""
    drift: tuple[Reason, ...] = ()
    if record is not None and record.type == resource.type and facts.attributes_moved:
        drift = drifted(resource, record, facts.attributes_moved)
        record = refreshed(resource, record, facts.attributes_moved)
    facts = with_adopted(resource, facts, record)
    key, judged = keys(resource, facts) if facts.settled else (None, None)
    found = _decide(resource, facts, record, key, judged, drift)
    forced = any(r.what == "trigger" for r in found.reasons)
    again = found.action in {Action.RUN, Action.DECIDE} and not forced
    if key is not None and resource.reusable and again:
        earlier = lookup(full_key(key, judged))
        if earlier is not None:
            return Decision(Action.REUSE, found.reasons, key, judged, earlier)
        measured = lookup(key) if judged is not None else None
        if measured is not None:
            return Decision(Action.DECIDE, found.reasons, key, judged, measured)
    return Decision(found.action, found.reasons, key, judged, None, found.quiet)


def _decide(
    resource: AnyResource,
    facts: Facts,
    record: Record | None,
    key: str | None,
    judged: str | None,
    drift: tuple[Reason, ...],
) -> Decision:
    fresh = Action.RUN if resource.reusable else Action.CREATE
    if record is None:
        return Decision(fresh, (Reason("new"),))
    if record.type != resource.type:
        reason = Reason("type", before=record.type, after=resource.type)
        return Decision(Action.RUN if resource.reusable else Action.REPLACE, (reason,))
    if not facts.present:
        return Decision(fresh, (Reason("gone"), *_differences(resource, facts, record)))
    reasons = _differences(resource, facts, record)
    by_kind: dict[str, list[Reason]] = {}
    for reason in reasons:
        by_kind.setdefault(reason.what, []).append(reason)
    if "identity" in by_kind or "trigger" in by_kind:
        action = Action.RUN if resource.reusable else Action.REPLACE
        return Decision(action, tuple(reasons))
    elsewhere = _elsewhere(resource, facts, record)
    if elsewhere and any(facts.anew & set(facts.open[r.subject]) for r in elsewhere):
        return Decision(Action.REPLACE, (*reasons, *elsewhere))
    if any(by_kind.get(w) for w in ("argument", "code", "environment", "input")) and not elsewhere:
        return Decision(semantic_action(resource), tuple(reasons))
    if key is not None and key != record.key:
        return Decision(semantic_action(resource), (*reasons, Reason("version")))
    if drift:
        return Decision(semantic_action(resource), (*reasons, *drift))
    waiting = tuple(
        Reason("upstream", address)
        for address in sorted({a for f in facts.open.values() for a in f})
    )
    if "decision" in by_kind or (judged is not None and judged != record.decision_key):
        certain = tuple(r for r in reasons if r.what == "decision")
        if waiting:
            return Decision(Action.MAYBE, (*certain, *waiting))
        return Decision(Action.DECIDE, certain or (Reason("decision"),))
    settled = facts.parts is not None and facts.environment is not None
    if "operational" in by_kind and settled and _in_place(resource, facts):
        return Decision(Action.UPDATE, tuple(reasons))
    if waiting or not settled:
        rewritten = _rewritten(resource, facts, record)
        return Decision(Action.MAYBE, (*reasons, *elsewhere, *rewritten, *waiting))
    if "metadata" in by_kind:
        return Decision(Action.UPDATE, tuple(reasons), quiet=True)
    return Decision(Action.NO_OP)


def semantic_action(resource: AnyResource) -> Action:
    """Return what a semantic change of a type comes to."""
    if resource.reusable:
        return Action.RUN
    return Action.ROLL if resource.kind == "deployment" else Action.UPDATE


def _differences(resource: AnyResource, facts: Facts, record: Record) -> list[Reason]:
    classes, partly = aliased_classes(resource), overrides_uses(resource)
    reasons = []
    for name in sorted({*facts.arguments, *record.arguments}):
        if name in facts.open or name in facts.code or name == TRIGGERS:
            continue
        before, after = record.arguments.get(name), facts.arguments.get(name)
        at = facts.at.get(name, "")
        if partly:
            reasons += moved_judged(before, after, at)
        if _same(before, after):
            continue
        what = _WORDS[classes.get(name, FieldClass.SEMANTIC)]
        if classes.get(name) is FieldClass.BASELINE and facts.open:
            continue  # what it is compared with matters once there is something to compare
        if facts.open and _untold(before, after):
            continue  # what is taken of it is known once everything else is
        if what == "argument" and _whole(before) == _whole(after):
            continue  # more or less of the same is taken: other arguments say why
        moved = moved_facets(before, after, at) if what == "argument" else []
        reasons += moved or [Reason(what, name, before, after, at)]
    reasons += [*_trigger_reasons(facts, record), *_code_reasons(facts, record)]
    if facts.environment is not None and facts.environment != record.environment:
        for name in sorted({*facts.environment, *record.environment}):
            before, after = record.environment.get(name), facts.environment.get(name)
            if before != after:
                reasons.append(Reason("environment", name, before, after))
    if facts.parts is not None and not same(facts.parts, record.parts):
        for name in sorted({*facts.parts, *record.parts}):
            before, after = record.parts.get(name), facts.parts.get(name)
            if before != after:
                reasons.append(Reason("input", name, before, after))
    return reasons


def _rewritten(resource: AnyResource, facts: Facts, record: Record) -> list[Reason]:
    """Return the open arguments that differ even if all upstream comes out as it was."""
    classes = aliased_classes(resource)
    found = []
    for name in sorted(facts.open.keys() & facts.by_record.keys()):
        before, after = record.arguments.get(name), facts.by_record[name]
        semantic = classes.get(name, FieldClass.SEMANTIC) is FieldClass.SEMANTIC
        if semantic and not _same(before, after) and not _untold(before, after):
            found.append(Reason("argument", name, before, after, facts.at.get(name, "")))
    return found


_WORDS: Final[Mapping[FieldClass, str]] = {
    FieldClass.SEMANTIC: "argument",
    FieldClass.OPERATIONAL: "operational",
    FieldClass.SECRET: "operational",
    FieldClass.METADATA: "metadata",
    FieldClass.DECISION: "decision",
    FieldClass.BASELINE: "decision",
    FieldClass.IDENTITY: "identity",
    FieldClass.VOLATILE: "metadata",
    FieldClass.HELD: "metadata",
}


def _trigger_reasons(facts: Facts, record: Record) -> list[Reason]:
    before, after = record.arguments.get(TRIGGERS), facts.arguments.get(TRIGGERS)
    if TRIGGERS in facts.open or _same(before, after):
        return []
    # Only what was seen before can have changed since; the first look, or none, is but noted.
    what = "metadata" if before is None or after is None else "trigger"
    return [Reason(what, TRIGGERS, before, after)]


def _code_reasons(facts: Facts, record: Record) -> list[Reason]:
    reasons = []
    for name in sorted({*facts.code, *record.code}):
        before, after = record.code.get(name, {}), facts.code.get(name, {})
        if before.get("digest") != after.get("digest"):
            old, new = before.get("files", {}), after.get("files", {})
            subjects = changed_code(old, new) or [str(facts.arguments.get(name, name))]
            for subject in subjects:
                left = REACHED if new and subject in old and subject not in new else None
                came = REACHED if old and subject in new and subject not in old else None
                reasons.append(Reason("code", subject, left, came, facts.at.get(name, "")))
    return reasons


def _elsewhere(resource: AnyResource, facts: Facts, record: Record) -> list[Reason]:
    """Return the arguments still open that may come to name another object."""
    if resource.reusable:
        return []
    classes = aliased_classes(resource)
    return [
        Reason("identity", name, record.arguments.get(name), OPEN, facts.at.get(name, ""))
        for name in sorted(facts.open)
        if classes.get(name) is FieldClass.IDENTITY
    ]


def _in_place(resource: AnyResource, facts: Facts) -> bool:
    """Tell whether whatever is open can but lead to an update in place."""
    classes = aliased_classes(resource)
    return (
        all(
            _WORDS[classes.get(n, FieldClass.SEMANTIC)] in {"operational", "metadata"}
            for n in facts.open
            if n != TRIGGERS
        )
        and TRIGGERS not in facts.open
    )


def may_replace(resource: AnyResource, action: Action, arguments: Mapping[str, Any]) -> bool:
    """Tell whether what is open in a step of this action may come to replace its object."""
    if action is not Action.MAYBE or resource.reusable:
        return False
    classes = aliased_classes(resource)
    return TRIGGERS in arguments or any(
        isinstance(value, Deferred) and classes.get(name) is FieldClass.IDENTITY
        for name, value in arguments.items()
    )


def drifted(
    resource: AnyResource, record: Record, attributes: Mapping[str, Any]
) -> tuple[Reason, ...]:
    """Return what was found changed, beside what arguments tell and what changes by itself."""
    passed = fields_under(resource.attributes, FieldRule.MANAGED)
    passed |= fields_under(resource.attributes, FieldRule.ACTUAL) & record.arguments.keys()
    before, now = lasting(resource, record.attributes), lasting(resource, attributes)
    return tuple(
        Reason("drift", name, before.get(name), value)
        for name, value in sorted(now.items())
        if name not in passed and before.get(name) != value
    )


def refreshed(resource: AnyResource, record: Record, attributes: Mapping[str, Any]) -> Record:
    """Return a record as it is out there; its keys are those of what is there."""
    seen = as_seen(resource, record, attributes)
    if seen.arguments == record.arguments or keys(resource, _recorded(record))[0] != record.key:
        return seen
    key, judged = keys(resource, _recorded(seen))
    return replace(seen, key=key, decision_key=judged)


def _recorded(record: Record) -> Facts:
    return Facts(record.arguments, {}, record.parts, record.code, record.environment)


def _same(before: Any, after: Any) -> bool:
    if before is after or (type(before) is type(after) and type(before) in {str, int, bool}):
        return bool(before == after)
    return (
        _alike(before, after)
        or canonical(identity(before)) == canonical(identity(after))
        or (_whole(before) == _whole(after) and _untold(before, after))
    )


def _alike(before: Any, after: Any) -> bool:
    """Tell quickly whether plain data are the same to the letter; most are."""
    if type(before) is not type(after):
        return False
    if type(before) is dict:
        return before.keys() == after.keys() and all(_alike(v, after[k]) for k, v in before.items())
    if type(before) is list:
        return len(before) == len(after) and all(map(_alike, before, after))
    return bool(before == after)


def _untold(before: Any, after: Any) -> bool:
    """Tell whether what was taken of an output is known, and what is taken now is not yet."""
    told = [any(h.used is not None for h in handles(data)) for data in (before, after)]
    return told == [True, False]


def _whole(data: Any) -> str:
    return canonical(identity(whole(data)))


def _action_key(resource: AnyResource, facts: Facts) -> str:
    counted = {FieldClass.SEMANTIC, FieldClass.IDENTITY}
    classes = aliased_classes(resource)
    return action_key(
        resource.kind,
        resource.type,
        resource.version,
        {n: v for n, v in facts.arguments.items() if classes.get(n) in counted},
        facts.parts or {},
        {name: fact["digest"] for name, fact in facts.code.items()},
        facts.environment or {},
    )


def _decision_key(resource: AnyResource, facts: Facts) -> str | None:
    classes = aliased_classes(resource)
    names = sorted(n for n, c in classes.items() if c in {FieldClass.DECISION, FieldClass.BASELINE})
    if not names:
        return None
    taken = (h.used for h in handles(facts.arguments) if h.used is not None and h.used.judged)
    judged = [dict(used.judged) for used in taken]
    counted = {name: identity(facts.arguments.get(name)) for name in names}
    return digest({**counted, "$judged": judged} if judged else counted)
