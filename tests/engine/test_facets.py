"""Facets: what a consumer does not take wakes it not; what it takes always does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.world import World

from mlform.commands.asking import why_not
from mlform.commands.session import Session
from mlform.config import Given
from mlform.plan.moved import moved_facets
from mlform.registry import Registry
from mlform.sdk import (
    AnyResource,
    Arguments,
    Attributes,
    Carrier,
    Context,
    Decision,
    Facets,
    Handle,
    Provider,
    Resource,
    Stored,
)
from mlform.values import Handle as Value
from mlform.values import Used, digest, tagged

Cells = dict[str, dict[str, int]]


class GridArguments(Arguments):
    cells: Cells
    """Part → facet → number."""


class GridAttributes(Attributes):
    facets: Facets
    cells: Carrier[Cells]


class Grid(Resource[GridArguments, GridAttributes], kind="dataset", type="grid", reusable=True):
    """Numbers by part and facet."""

    def apply(
        self, ctx: Context, new: GridArguments, old: Stored[GridArguments, GridAttributes] | None
    ) -> GridAttributes:
        return grid(new.cells)


def grid(cells: Cells) -> GridAttributes:
    parts = {part: {n: digest(v) for n, v in there.items()} for part, there in cells.items()}
    return GridAttributes(facets=Facets.of(parts), cells=cells)


class ViewArguments(Arguments):
    data: Handle
    take: list[str]


class View(
    Resource[ViewArguments, GridAttributes], kind="feature_view", type="half", reusable=True
):
    """Halves of some facets: odd and even numbers come to the same."""

    def uses(self, new: ViewArguments) -> Mapping[str, Collection[str]]:
        return {new.data.address: new.take}

    def apply(
        self, ctx: Context, new: ViewArguments, old: Stored[ViewArguments, GridAttributes] | None
    ) -> GridAttributes:
        cells = new.data.attributes["cells"].items()
        return grid({part: {n: there[n] // 2 for n in new.take} for part, there in cells})


class SumArguments(Arguments):
    data: Handle
    take: list[str]
    weigh: Decision[list[str]] = []


class SumAttributes(Attributes):
    total: int
    weight: int
    digest: str


class Sum(Resource[SumArguments, SumAttributes], kind="training_job", type="sum", reusable=True):
    """The sum of some facets, and of others that only a decision takes."""

    def uses(self, new: SumArguments) -> Mapping[str, Collection[str]]:
        return {new.data.address: new.take}

    def judges(self, new: SumArguments) -> Mapping[str, Collection[str]]:
        return {new.data.address: new.weigh}

    def apply(
        self, ctx: Context, new: SumArguments, old: Stored[SumArguments, SumAttributes] | None
    ) -> SumAttributes:
        cells: Cells = new.data.attributes["cells"]
        sums = [sum(there[n] for there in cells.values() for n in x) for x in (new.take, new.weigh)]
        return SumAttributes(total=sums[0], weight=sums[1], digest=new.data.digest)


class Tables(Provider):
    def resources(self) -> Sequence[AnyResource]:
        return [Grid(), View(), Sum()]


class Facing(World):
    def session(self, spec: str, **variables: object) -> Session:
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "main.mlf.hcl").write_text(spec)
        cells = [("var", f"{n}={json.dumps(v)}") for n, v in variables.items()]
        return Session(self.root, Given(cells, {}), Registry({"tables": f"{__name__}:Tables"}))

    def attributes(self, spec: str, **variables: object) -> dict[str, object]:
        found = self.session(spec, **variables).store.snapshot().records
        return {str(a): dict(r.attributes) for a, r in found.items()}


SPEC = """
variable "cells" {
  type = map(map(number))
}
dataset "grid" "g" {
  cells = var.cells
}
feature_view "half" "v" {
  data = dataset.g
  take = ["a", "b"]
}
training_job "sum" "ab" {
  data = dataset.g
  take = ["a", "b"]
}
training_job "sum" "c" {
  data  = dataset.g
  take  = ["c"]
  weigh = ["b"]
}
training_job "sum" "half" {
  data = feature_view.v
  take = ["b"]
}
"""
START: Cells = {"one": {"a": 0, "b": 0, "c": 0}, "two": {"a": 0, "b": 0, "c": 0}}


def changed(cells: Cells, part: str, facet: str, to: int) -> Cells:
    return {**cells, part: {**cells[part], facet: to}}


@pytest.fixture
def world(tmp_path: Path) -> Facing:
    return Facing(tmp_path / "spec")


@pytest.mark.parametrize(
    ("facet", "to", "ran"),
    [
        ("a", 1, {"feature_view.v": "run", "training_job.ab": "run"}),
        (
            "b",
            2,
            {
                "feature_view.v": "run",
                "training_job.ab": "run",
                "training_job.c": "decide",
                "training_job.half": "run",
            },
        ),
        ("c", 1, {"training_job.c": "run"}),
    ],
)
def test_what_takes_a_facet_runs_and_nothing_else(
    world: Facing, facet: str, to: int, ran: dict[str, str]
) -> None:
    world.apply(SPEC, cells=START)
    cells = changed(START, "two", facet, to)
    planned = world.actions(SPEC, cells=cells)
    assert planned["dataset.g"] == "run"
    assert set(planned.values()) == {"run", "run?"}
    assert world.apply(SPEC, cells=cells) == {"dataset.g": "run", **ran}
    assert world.actions(SPEC, cells=cells) == {}


def test_reasons_name_facet_and_part(world: Facing) -> None:
    world.apply(SPEC, cells=START)
    world.apply(SPEC, cells=changed(START, "two", "b", 2))
    records = world.session(SPEC, cells=START).store.snapshot().records
    said = {str(a): [r.get("subject") for r in it.receipt["reasons"]] for a, it in records.items()}
    assert said["training_job.ab"] == ["dataset.g.b, partition two"]
    assert said["training_job.c"] == ["dataset.g.b, partition two"]
    assert said["training_job.half"] == ["feature_view.v.b, partition two"]


def test_taking_more_or_less_is_the_change_of_the_argument_that_says_so(world: Facing) -> None:
    world.apply(SPEC, cells=START)
    more = SPEC.replace('take  = ["c"]', 'take  = ["c", "a"]')
    (step,) = world.plan(more, cells=START).changes
    assert [(r.what, r.subject) for r in step.reasons] == [("argument", "take")]
    judged = SPEC.replace('weigh = ["b"]', 'weigh = ["a"]')
    (step,) = world.plan(judged, cells=START).changes
    assert (step.action.value, [r.subject for r in step.reasons]) == ("decide", ["weigh"])


def test_what_takes_nothing_of_it_is_never_woken(world: Facing) -> None:
    spec = SPEC.replace('take  = ["c"]\n  weigh = ["b"]', "take = []")
    world.apply(spec, cells=START)
    assert "training_job.c" not in world.apply(spec, cells=changed(START, "one", "c", 5))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two"]), st.sampled_from(["a", "b", "c"]), st.integers(0, 3)
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=15, deadline=None)
def test_changes_in_turn_give_what_all_at_once_gives(changes: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        step, scratch = Facing(Path(folder) / "step"), Facing(Path(folder) / "scratch")
        cells = START
        for part, facet, to in changes:
            cells = changed(cells, part, facet, to)
            planned = step.actions(SPEC, cells=cells)
            assert step.apply(SPEC, cells=cells).keys() <= planned.keys()
            assert step.actions(SPEC, cells=cells) == {}
        scratch.apply(SPEC, cells=cells)
        assert step.attributes(SPEC, cells=cells) == scratch.attributes(SPEC, cells=cells)


def test_facets_compose_in_order_and_whatever_parts_are_called() -> None:
    one = Facets.of({"x": {"a": "1"}, "y": {"a": "2"}})
    assert Facets.of({"p": {"a": "1"}, "q": {"a": "2"}}).digests == one.digests
    assert Facets.of({"y": {"a": "2"}, "x": {"a": "1"}}).digests != one.digests
    assert Facets.of({"x": {"a": "1"}, "y": {}}).digests != one.digests
    assert Facets.of({}, {"said": [1]}).digests == {"said": digest([1])}


def test_many_facets_and_parts_are_listed_short() -> None:
    def used(n: int) -> dict[str, object]:
        facets = {f"f{i}": f"{n}" for i in range(6)}
        parts = {f"p{i}": f"{n if i else 0}" for i in range(6)}
        return tagged(Value("dataset.g", None, f"{n}", used=Used(facets, {}, parts)))

    (reason,) = moved_facets(used(1), used(2), "")
    assert reason.subject == "dataset.g: f0, f1, f2 and 3 more, partitions p1, p2, p3 and 2 more"


@pytest.mark.parametrize(
    ("facets", "said"),
    [(["_split", "age", "_partitions"], "dataset.g.age"), (["_split"], "dataset.g._split")],
)
def test_a_facet_that_its_type_keeps_is_named_where_nothing_else_moved(
    facets: list[str], said: str
) -> None:
    def used(n: int) -> dict[str, object]:
        named = dict.fromkeys(facets, f"{n}")
        return tagged(Value("dataset.g", None, f"{n}", used=Used(named, {}, {})))

    (reason,) = moved_facets(used(1), used(2), "")
    assert reason.subject == said


@pytest.mark.parametrize(("facet", "job", "takes"), [("c", "ab", "a, b"), ("a", "c", "c, b")])
def test_why_not_names_the_facet_that_moved_and_is_not_taken(
    world: Facing, facet: str, job: str, takes: str
) -> None:
    world.apply(SPEC, cells=START)
    world.apply(SPEC, cells=changed(START, "two", facet, 7))
    it = why_not(world.session(SPEC, cells=START), f"training_job.{job}", run="last")
    assert not it.does
    assert it.details == (f"dataset.g: what moved is {facet}, and it takes {takes}",)
