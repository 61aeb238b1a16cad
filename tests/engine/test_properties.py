"""What must hold for every graph, searched rather than thought of."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.world import World

from mlform.plan import Action, dump, parse

Spec = dict[int, tuple[int, list[int], bool]]
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Nodes 0..n: a value, the earlier nodes it uses, and whether it fails."""
    count = draw(st.integers(1, 6))
    return {
        i: (
            draw(st.integers(0, 3)),
            draw(st.lists(st.integers(0, i - 1), unique=True)) if i else [],
            draw(st.booleans()) and draw(st.booleans()),
        )
        for i in range(count)
        if draw(st.integers(0, 5)) or i == 0
    }


def text(spec: Spec, *, failures: bool) -> str:
    """Write the spec as HCL."""
    return "".join(
        f'training_job "node" "n{i}" {{\n'
        f"  value = {value}\n"
        f"  uses = [{', '.join(f'training_job.n{u}.parity' for u in uses if u in spec)}]\n"
        f"  fail = {str(fails and failures).lower()}\n}}\n"
        for i, (value, uses, fails) in spec.items()
    )


def results(world: World) -> dict[str, object]:
    return {a: (r.key, r.digest) for a, r in world.records().items()}


@SLOW
@given(specs(), specs())
def test_after_any_history_one_clean_apply_gives_an_empty_plan(before: Spec, after: Spec) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.apply(text(before, failures=True))
        world.apply(text(after, failures=True))
        world.apply(text(after, failures=False))

        assert world.actions(text(after, failures=False)) == {}
        assert set(world.records()) == {f"training_job.n{i}" for i in after}


@SLOW
@given(specs(), specs())
def test_incremental_equals_from_scratch(before: Spec, after: Spec) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reused, fresh = World(Path(folder) / "a"), World(Path(folder) / "b")
        reused.apply(text(before, failures=False))
        reused.apply(text(after, failures=False))
        fresh.apply(text(after, failures=False))

        assert results(reused) == results(fresh)


@SLOW
@given(specs(), specs())
def test_what_ran_was_announced(before: Spec, after: Spec) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.apply(text(before, failures=False))
        announced = {
            str(s.address): s.action for s in world.plan(text(after, failures=False)).changes
        }
        ran = world.apply(text(after, failures=False))

        assert ran.keys() <= announced.keys()
        for address, action in announced.items():
            if action is Action.MAYBE:
                continue
            # Two nodes with one key: the second takes what the first has just made.
            allowed = {action.value, "reuse"} if action is Action.RUN else {action.value}
            assert ran[address] in allowed


@SLOW
@given(specs(), specs())
def test_the_same_inputs_give_the_same_bytes_and_saving_changes_nothing(
    before: Spec, after: Spec
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, two = World(Path(folder) / "a"), World(Path(folder) / "b")
        for world in (one, two):
            world.apply(text(before, failures=False))
        plan = one.plan(text(after, failures=False))
        assert dump(plan) == dump(one.plan(text(after, failures=False)))
        assert parse(dump(plan)) == plan
        one.apply(text(after, failures=False), saved=parse(dump(plan)))
        two.apply(text(after, failures=False))

        assert results(one) == results(two)
