"""What people agree to when they approve: one step of a plan, and what it still waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from mlform.address import Address
from mlform.plan.codec import write_argument
from mlform.plan.model import QUIET, Deferred, Step
from mlform.sdk import AnyResource, Approval, Approvals, Resource
from mlform.sdk.fields import Arguments
from mlform.state.model import Record
from mlform.values import digest, identity

Approved: TypeAlias = Callable[[Address, str], Sequence[Approval]]
"""Address and subject → who has agreed to that, of those whose approval counts now."""

WHAT: Final = "approved"
"""The reason of a step that is decided anew since it is approved."""


def nobody(_address: Address, _subject: str) -> Sequence[Approval]:
    """Say that nothing is approved."""
    return ()


def takes_approvals(resource: AnyResource) -> bool:
    """Tell whether a type may ask for approvals at all."""
    return type(resource).approvals is not Resource.approvals


def subject(
    address: Address,
    type_: str,
    arguments: Mapping[str, Any],
    made_of: Mapping[str, Any],
    upstream: Mapping[Address, Step],
    needs: Sequence[Address],
) -> str:
    """Return the digest of what is approved: a step by its arguments, handles by their digests.

    Whatever is not known before something else is applied counts by how it will be had: the
    expression, and the steps that it waits for. So what does not bear on a step (when it was
    planned, what else is done) leaves an approval of it as it was. ``made_of`` is what it is made
    of beside arguments.
    """
    waits = {}
    if any(isinstance(v, Deferred) for v in arguments.values()):
        steps = (upstream[a] for a in needs if a in upstream and upstream[a].action not in QUIET)
        waits = {str(s.address): step_subject(s, upstream) for s in steps}
    written = {n: identity(write_argument(v)) for n, v in arguments.items()}
    return digest([str(address), type_, written, made_of, waits])


def step_subject(step: Step, steps: Mapping[Address, Step]) -> str:
    """Return the subject of a step among all of its plan."""
    code = {n: fact["digest"] for n, fact in step.code.items()}
    parts, environment = dict(step.parts or {}), dict(step.environment or {})
    made_of = {"code": code, "parts": parts, "environment": environment}
    return subject(step.address, step.type, step.arguments, made_of, steps, step.refers_to)


def asked(resource: AnyResource, model: Arguments | None) -> Approvals:
    """Return what a type asks for, given its arguments; nothing while they are not known."""
    if model is None or not takes_approvals(resource):
        return Approvals()
    return resource.approvals(model)


def given_before(record: Record | None) -> tuple[Approval, ...]:
    """Return who had agreed when a record was made."""
    found = () if record is None else record.receipt.get("approvals", ())
    return tuple(Approval(it["by"], tuple(it["roles"])) for it in found)


def enough_now(asks: Approvals, record: Record, given: Sequence[Approval]) -> bool:
    """Tell whether what was left undone for want of approvals can be done now."""
    return bool(asks.missing(given_before(record))) and not asks.missing(given)
