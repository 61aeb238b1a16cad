"""The tables that a view is made of, each read once, and what is made of partitions of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from mlform.sdk import Context
from mlform_core.joins import Own
from mlform_core.tables import SPLIT
from mlform_core.transforms import Made
from mlform_core.views import ViewArguments, columns_of, levels

if TYPE_CHECKING:
    import pyarrow as pa

Offline: TypeAlias = "Callable[[pa.Table, Mapping[str, pa.Table]], Made]"
"""Makes features of rows and of whole tables by name: joins in time are its own matter."""


@dataclass(frozen=True)
class Whole:
    """Rows of ``from`` with the parts they are in, and the features of them."""

    raw: pa.Table
    parts: pa.Array
    made: Made


class Making:
    """Makes a view, group of partitions by group."""

    def __init__(self, ctx: Context, new: ViewArguments, own: Own, offline: Offline) -> None:
        self.ctx, self.new, self.own, self._offline = ctx, new, own, offline
        self._last: tuple[list[str], Whole] | None = None

    @cached_property
    def inputs(self) -> dict[str, pa.Table]:
        """The tables beside ``from``, whole."""
        from mlform_core.tables import read_arrow

        named = self.new.input_columns
        return {
            name: read_arrow(self.ctx, handle, columns_of(handle, named.get(name)))
            for name, handle in self.new.inputs.items()
        }

    @cached_property
    def beneath(self) -> dict[str, Any]:
        """What the view that rows are of says of itself; empty if requests have other columns.

        ``id``: of its transform. ``unserved``: columns of it that it makes of no request.
        """
        from mlform_core.bundles import members
        from mlform_core.online import MEMBER, TOLD

        from_ = self.new.from_
        if not (below := levels(from_)):
            return {}
        bundle = self.ctx.artifacts.path(below[0].transform.digest)
        told = json.loads(members(bundle, MEMBER, "The transform", only=(TOLD,))[TOLD])
        unserved = [n for n in from_.attributes["columns"] if n not in told["served"]]
        return {"id": told["id"], "unserved": unserved}

    def whole(self, partitions: list[str]) -> Whole:
        """Return some partitions and what is made of them; the last ones are remembered."""
        from mlform_core.tables import read_arrow

        if self._last is not None and self._last[0] == partitions:
            return self._last[1]
        columns = [*columns_of(self.new.from_, self.new.columns), SPLIT]
        read = read_arrow(self.ctx, self.new.from_, columns, partitions=partitions)
        raw, parts = read.drop_columns([SPLIT]), read[SPLIT].combine_chunks()
        whole = Whole(raw, parts, self._offline(raw, self.inputs))
        if self.new.online is not None:
            self._last = (partitions, whole)
        return whole

    def table(self, partitions: list[str]) -> pa.Table:
        """Return the view of some partitions, rows in their parts."""
        from mlform_core.tables import check_schema, types_of, with_split

        whole = self.whole(partitions)
        check_schema(types_of(whole.made.table), self.new.features, "features")
        return with_split(whole.made.table, whole.parts.take(whole.made.rows))
