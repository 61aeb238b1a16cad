"""Killed at a point of an apply, the next one goes on: nothing lost, nothing half there.

Here each point once; ``benchmarks/crashes.py`` has every hit of each, and all mutants.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash import mutants
from tests.crash.lab import Lab, Nightly, Seen, crash, golden, points, quick_folder

import mlform


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with quick_folder() as folder:
        made = Lab(folder / "base")
        made.prepare()
        yield made


@pytest.fixture
def quick(lab: Lab) -> Path:
    return lab.root.parent


@pytest.fixture(scope="module")
def want(lab: Lab) -> Seen:
    return golden(lab, lab.root.with_name("golden"))


@pytest.fixture(scope="module")
def passed(lab: Lab) -> list[tuple[str, int]]:
    return points(lab, lab.root.with_name("points"))


def names() -> Iterator[str]:
    """Give the name of every point there is in the engine."""
    for file in Path(mlform.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{file}: a point has a name"
                yield name.value


OF_TRIGGERS = {"apply.pulling"}
"""What a run comes by that a trigger began, below: this change is a person's."""


def test_the_change_comes_by_every_point(passed: list[tuple[str, int]]) -> None:
    points = {name for name, _ in passed if not name.startswith("provider.")}
    assert points == set(names()) - OF_TRIGGERS


def one_of_each(passed: list[tuple[str, int]]) -> list[tuple[str, int]]:
    chance = random.Random(5)  # noqa: S311 - the same hits every time
    last = dict(passed)
    return [(name, chance.randint(1, hits)) for name, hits in sorted(last.items())]


def test_killed_at_each_point(
    lab: Lab, want: Seen, passed: list[tuple[str, int]], quick: Path
) -> None:
    found = [crash(lab, quick / "c", want, *point) for point in one_of_each(passed)]
    assert [c for c in found if c.violations or not c.died] == []
    assert max(c.again for c in found) == 1


def test_killed_while_several_steps_write_at_once(lab: Lab, want: Seen, quick: Path) -> None:
    """Which of them is at a point is chance: of those in flight an effect may happen once more."""
    several = Lab(lab.root, parallelism=4)
    where = {"state.advanced": 3, "state.journalled": 7, "state.commit": 5, "provider.before": 7}
    found = [crash(several, quick / "c", want, *point) for point in where.items()]
    assert [c for c in found if c.violations] == []
    assert any(c.died for c in found)


@pytest.mark.parametrize("action", ["eio", "enospc", "raise"])
def test_something_fails_at_a_point(
    lab: Lab, want: Seen, passed: list[tuple[str, int]], quick: Path, action: str
) -> None:
    chosen = one_of_each(passed)[::8]
    found = [crash(lab, quick / "c", want, *point, action=action) for point in chosen]
    assert [c for c in found if c.violations] == []


@pytest.mark.parametrize(
    ("mutant", "near"),
    [
        (mutants.row_before_object, "file.written"),
        (mutants.object_in_place, "file.written"),
        (mutants.pins_in_place, "file.written"),
        (mutants.no_transactions, "state.journalled"),
        (mutants.journal_apart, "state.commit"),
        (mutants.no_intent, "provider.after"),
        (mutants.pins_after_move, "apply.moving"),
    ],
)
def test_an_engine_broken_on_purpose_is_caught(
    lab: Lab, want: Seen, quick: Path, mutant: mutants.Mutant, near: str
) -> None:
    """The control: what the tests above cannot fail, they do not show."""
    there = [p for p in points(lab, quick / "p", mutant) if p[0] == near]
    assert any(crash(lab, quick / "c", want, *p, mutant=mutant).violations for p in there)


def test_what_a_trigger_moves_is_moved_once_whenever_it_is_killed(quick: Path) -> None:
    """The pin is moved first, its tick noted last: in between it is killed, or something fails."""
    lab = Nightly(quick / "nightly")
    lab.prepare()
    want, passed = golden(lab, quick / "g"), points(lab, quick / "p")
    assert {name for name, _ in passed} >= OF_TRIGGERS
    moved = passed.index(("apply.pulling", 1))
    near = [p for p in passed[moved - 6 : moved + 16] if p[0] in {"file.written", "state.commit"}]
    tried = [("apply.pulling", 1, how) for how in ("kill", "eio", "raise")]
    tried += [(*point, "kill") for point in near]
    assert len(tried) > 5
    found = [crash(lab, quick / "c", want, *p[:2], action=p[2]) for p in tried]
    assert [c for c in found if c.violations] == []
    control = crash(lab, quick / "c", want, "apply.pulling", 2, mutants.pins_after_pull)
    assert any("pins" in line for line in control.violations)
