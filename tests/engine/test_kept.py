"""What is held keeps what it stands on: that goes once it has let go."""

from __future__ import annotations

import pytest
from tests.engine.world import World


def gated(most: int, **arguments: str) -> str:
    """Write a gate and what it holds."""
    lines = "".join(f"  {n} = {v}\n" for n, v in arguments.items())
    gate = f'gate "most" "g" {{\n  candidate = 3\n  most = {most}\n}}\n'
    return f'{gate}deployment "file" "b" {{\n  gates = [gate.g]\n{lines}}}\n'


def service(where: str) -> str:
    first = "  lifecycle {\n    create_before_destroy = true\n  }\n"
    return f'deployment "file" "c" {{\n  shows = 1\n  where = "{where}"\n{first}}}\n'


def shown(world: World) -> int:
    """Return how many things there are out there."""
    return len(list((world.root / ".mlform" / "resources").rglob("shown")))


@pytest.mark.parametrize("after", ["", service("there")])
def test_what_is_held_keeps_what_it_was_made_from(world: World, after: str) -> None:
    world.apply(gated(5, shows="deployment.c.shown") + service("here"))
    shows, size = ("deployment.c.shown", "2") if after else ("5", "1")
    failing = gated(1, shows=shows, size=size) + after
    done = world.apply(failing)
    assert "deployment.b" not in done
    assert world.outcome is not None
    assert world.outcome.complete
    assert shown(world) == 2 + bool(after)
    assert world.plan(failing).empty
    assert [n.what for n in world.plan(failing).notes] == ([] if after else ["stays"])
    assert world.apply(failing) == {}
    passing = gated(5, shows=shows, size=size) + after
    world.apply(passing)
    assert shown(world) == 1 + bool(after)
    assert all(not r.deposed for r in world.records().values())
    assert world.plan(passing).empty
