"""Holding a provider to what it promises of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mlform.apply.provider import StepFailed
from mlform.artifacts import LocalStore
from mlform.plan import Action, Decision, Step
from mlform.plan.decide import full_key
from mlform.refresh.artifacts import artifacts_in
from mlform.refresh.results import Results
from mlform.refresh.world import result_digest
from mlform.registry import Offer
from mlform.state.model import Record
from mlform.values import short

_BUG: Final = "This is a bug in the provider; nothing was recorded."
_MOST: Final = 4

Compare = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Mapping[str, Any]]]
"""Asks the type how two results of one key differ: each ``{"what", "text", "within"}``."""


def still_there(step: Step, attributes: Mapping[str, Any], store: LocalStore) -> None:
    """Refuse to record what was collected since it was found. Raises ``StepFailed``."""
    lost = [a["digest"] for a in artifacts_in(attributes) if a["digest"] not in store]
    if lost:
        detail = (
            f"The result that {step.address} was to take again has been collected meanwhile: "
            f"{', '.join(short(d) for d in lost)}. Plan again, which makes it anew."
        )
        raise StepFailed("Artifact lost", detail)


def check_given(
    step: Step,
    offer: Offer,
    decision: Decision,
    attributes: Mapping[str, Any],
    record: Record | None,
    store: LocalStore,
) -> None:
    """Refuse attributes that cannot be right, whatever the type. Raises ``StepFailed``."""
    lost = [a["digest"] for a in artifacts_in(attributes) if a["digest"] not in store]
    whose = f'Provider "{offer.provider}" returned for {step.address}'
    kept = {a["digest"] for a in artifacts_in(record.attributes)} if record else set()
    if lost and kept.issuperset(lost):
        names = ", ".join(short(d) for d in lost)
        detail = (
            f"{step.address} keeps an artifact that is not in the store any more: {names}. Plan "
            "again, which makes anew what can be; what cannot must come from a backup of the store."
        )
        raise StepFailed("Artifact lost", detail)
    if lost:
        names = ", ".join(short(d) for d in lost)
        detail = f"{whose} an artifact that is not in the store: {names}. {_BUG}"
        raise StepFailed("Provider error", detail)
    if decision.action is not Action.UPDATE or record is None or not offer.resource.reusable:
        return
    before, after = record.digest, result_digest(offer.resource, attributes)
    if before != after and record.key == decision.key:
        detail = (
            f"{whose} another result ({short(after)}, it was {short(before)}), though only what "
            f"does not count in the key has changed. {_BUG}"
        )
        raise StepFailed("Provider error", detail)


def keep_promise(
    step: Step,
    offer: Offer,
    decision: Decision,
    attributes: Mapping[str, Any],
    results: Results,
    compare: Compare,
) -> None:
    """Refuse a result that breaks ``lifecycle.determinism``. Raises ``StepFailed``."""
    if step.determinism == "none" or decision.action is not Action.RUN or decision.key is None:
        return
    key = full_key(decision.key, decision.decision_key)
    earlier = results.store.realisations([key]).get(key)
    new = result_digest(offer.resource, attributes)
    if earlier is None or earlier.digest == new:
        return
    run = earlier.receipt.get("run", "an earlier run")
    both = f"{step.address} gave {short(new)}, where {run} made {short(earlier.digest)} of the same"
    if step.determinism == "bitwise":
        detail = (
            f'{both} key. Its lifecycle promises determinism = "bitwise". Nothing was recorded. '
            f"{differing(earlier.attributes, attributes)} Look for what its key does not know (a "
            'seed, threads, a clock), or promise "statistical".'
        )
        raise StepFailed("Not deterministic", detail)
    if results.lookup(key) is None:
        return  # there is nothing left to compare with
    beyond = [d for d in compare(earlier.attributes, attributes) if not d["within"]]
    if beyond:
        detail = (
            f'{both} key, and they differ by more than determinism = "statistical" allows: '
            f"{listed(beyond)}. Nothing was recorded."
        )
        raise StepFailed("Not reproducible", detail)


def differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """Name the attributes that differ."""
    names = [n for n in one if one[n] != two.get(n)]
    return f"What differs: {', '.join(names)}."


def listed(found: Sequence[Mapping[str, Any]]) -> str:
    """Say differences on one line."""
    said = [f"{d['what']} {d['text']}" for d in found[:_MOST]]
    more = len(found) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")
