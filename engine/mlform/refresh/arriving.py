"""What a source tells of what lies there now, where that is not what was taken of it last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.config import ResourceConfig
from mlform.lazy import replace
from mlform.parts import same
from mlform.refresh.looker import Looker
from mlform.refresh.model import Observation
from mlform.refresh.world import stored
from mlform.sdk import Arguments, Resource, ResourceError
from mlform.state.model import Record


def arriving(
    resource: ResourceConfig,
    model: Arguments,
    record: Record | None,
    seen: Observation,
    looker: Looker,
    *,
    takes: bool,
) -> Observation:
    """Have it said what arrived since it was last taken, and what would be made of it.

    ``takes``: it is made from other resources too, and nothing is foretold by what lies there.
    """
    offered = resource.offer.resource
    before = record if record is not None and record.type == offered.type else None
    parts = seen.parts
    if parts is None or (before is not None and same(parts, before.parts)):
        return seen
    if before is not None and type(offered).preview is not Resource.preview:
        seen = replace(seen, arrived=_arrived(resource, model, before, parts, looker))
    if not takes and type(offered).foretell is not Resource.foretell:
        seen = replace(seen, foretold=_foretold(resource, model, parts, looker))
    return seen


def _arrived(
    resource: ResourceConfig,
    model: Arguments,
    record: Record,
    parts: Mapping[str, str],
    looker: Looker,
) -> tuple[str, ...]:
    offered, taken = resource.offer.resource, record.parts
    moved = {n: taken.get(n) for n, digest in parts.items() if taken.get(n) != digest}
    looking = looker.at(resource.address, record)
    said: Sequence[str]
    try:
        said = offered.preview(looking, model, stored(offered, record), moved)
    except ResourceError:
        return ()
    except Exception as error:  # noqa: BLE001 - nothing depends on it, and a provider may raise anything
        said = [f"what arrived could not be looked at ({type(error).__name__})"]
    return tuple(said)


def _foretold(
    resource: ResourceConfig, model: Arguments, parts: Mapping[str, str], looker: Looker
) -> Mapping[str, Any]:
    try:
        return resource.offer.resource.foretell(looker.at(resource.address), model, parts)
    except ResourceError:  # it is told where it is read
        return {}
