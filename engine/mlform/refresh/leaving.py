"""Looking at what is recorded and declared no more: whether there is anything left to take down."""

from __future__ import annotations

from collections.abc import Callable

from mlform.config import Project
from mlform.refresh.looker import Looker
from mlform.refresh.model import Observation
from mlform.refresh.seen import Look
from mlform.refresh.world import stored
from mlform.registry import Registry
from mlform.sdk import AnyResource, Resource, ResourceError
from mlform.state.model import Record, Snapshot


class Leaving:
    """The records that no block declares, of types that take something down and can be looked at.

    Whether the artifacts of such a record are in the store is not asked: what serves has to be
    taken down all the same.
    """

    def __init__(
        self,
        looker: Looker,
        registry: Registry,
        read: Callable[[Record], bool | Look],
    ) -> None:
        self.looker, self.registry, self.read = looker, registry, read

    def among(self, snapshot: Snapshot, project: Project) -> list[Record]:
        """Return those to be looked at."""
        found = [r for a, r in snapshot.records.items() if a not in project.resources]
        return [r for r in found if self._resource(r) is not None]

    def look(self, record: Record) -> Observation:
        """Look at one. What cannot be told of is taken to be there: destroying it is no error."""
        again, resource = self.read(record), self._resource(record)
        if isinstance(again, Look):
            return Observation(parts={}, present=again.present)
        if not again or resource is None:
            return Observation(parts={})
        try:
            found = resource.read(self.looker.at(record.address, record), stored(resource, record))
        except ResourceError:
            return Observation(parts={})
        return Observation(parts={}, present=found is not None)

    def _resource(self, record: Record) -> AnyResource | None:
        offer = self.registry.find(record.address.kind, record.type)
        if offer is None or offer.resource.reusable or offer.resource.keeps_content:
            return None
        read, destroy = type(offer.resource).read, type(offer.resource).destroy
        silent = read is Resource.read or destroy is Resource.destroy
        return None if silent else offer.resource
