"""What arguments would be worth if everything upstream stayed as it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from mlform.address import Address
from mlform.config import Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.refresh.model import Asked
from mlform.refresh.observe import recorded_values
from mlform.refresh.recorded import Recorded
from mlform.refresh.world import wanted
from mlform.state.model import Snapshot
from mlform.values import Value


class Stayed:
    """Answers for one plan. What refresh worked out already is taken as it is.

    ``recorded`` gives what is recorded: reading that through is only due where refresh did not.
    """

    def __init__(
        self, project: Project, snapshot: Snapshot, recorded: Callable[[], Recorded]
    ) -> None:
        self.project, self.snapshot, self.recorded = project, snapshot, recorded

    def worth(
        self, resource: ResourceConfig, asked: Asked | None, names: Collection[str]
    ) -> dict[str, Any]:
        """Return what some arguments would be worth, as plain data, as far as that is known."""
        if not names or resource.address not in self.snapshot.records:
            return {}
        if asked is None:
            values = self._values[resource.address]
            asked = Asked(values, wanted(resource.offer.resource, values, self.recorded().full))
        known = asked.wanted.data.keys() - asked.wanted.open
        return {n: asked.wanted.data[n] for n in names if n in known}

    @cached_property
    def _values(self) -> Mapping[Address, Mapping[str, Value]]:
        return recorded_values(self.project, self.snapshot, Diagnostics())
