"""What is taken over: a record as if it had been made from the block it comes under."""

from __future__ import annotations

from collections.abc import Collection

from mlform.address import Address
from mlform.lazy import replace
from mlform.plan.decide import Facts, keys
from mlform.refresh.model import ImportFact
from mlform.refresh.world import held_by, result_digest
from mlform.sdk import AnyResource
from mlform.state.model import Record


def taken_over(
    resource: AnyResource, address: Address, facts: Facts, found: ImportFact
) -> tuple[Facts, Record]:
    """Return a record of what was found, and the facts to compare it with.

    The record has what the block says wherever the thing itself cannot tell; so its key is that
    of the block exactly if nothing that can be told speaks against it, and then nothing runs.
    What upstream must still settle counts only where the thing can tell.
    """
    told = found.arguments
    open_ = {n: a for n, a in facts.open.items() if n in told}
    parts = facts.parts if found.parts is None else found.parts
    recorded = replace(
        facts,
        arguments={**facts.arguments, **told},
        open={},
        parts=parts or {},
        environment=facts.environment or {},
    )
    key, decision_key = keys(resource, recorded)
    record = Record(
        address=address,
        type=resource.type,
        key=key,
        decision_key=decision_key,
        digest=result_digest(resource, found.attributes),
        arguments=recorded.arguments,
        attributes=found.attributes,
        parts=dict(recorded.parts or {}),
        code=recorded.code,
        environment=dict(recorded.environment or {}),
        held=held_by(resource, found.attributes),
        receipt={"imported": found.id},
    )
    now = replace(
        facts,
        open=open_,
        parts=facts.parts if facts.parts is not None else recorded.parts,
        environment=recorded.environment,
    )
    return now, record


def unsettled(facts: Facts, told: Collection[str] = ()) -> list[str]:
    """Return the arguments whose value upstream must settle, and which ``told`` does not say."""
    return sorted(n for n in facts.open if n not in told)
