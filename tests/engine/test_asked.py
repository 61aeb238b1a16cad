"""Planning takes what refresh worked out where nothing upstream moved: to the byte."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.world import World

from mlform.commands import looking
from mlform.plan import dump
from mlform.refresh import Observations

Node = tuple[int, list[int], bool]
"""A value (3 is that of a local value), the earlier nodes it uses, and whether it fails."""


@st.composite
def nodes(draw: st.DrawFn) -> dict[int, Node]:
    """Some of up to six nodes."""
    return {
        i: (
            draw(st.integers(0, 3)),
            draw(st.lists(st.integers(0, i - 1), unique=True)) if i else [],
            draw(st.integers(0, 3)) == 0,
        )
        for i in range(draw(st.integers(1, 6)))
        if draw(st.integers(0, 5)) or i == 0
    }


def text(given: dict[int, Node], shared: int) -> str:
    """Write the spec."""
    return (
        f'locals {{\n  base = {shared}\n}}\nvariable "v" {{\n  default = {shared}\n}}\n'
        + "".join(
            f'training_job "node" "n{i}" {{\n'
            f"  value = {value if value < 3 else 'local.base + var.v'}\n"
            f"  uses = [{', '.join(f'training_job.n{u}.parity' for u in uses if u in given)}]\n"
            f"  fail = {str(fails).lower()}\n}}\n"
            for i, (value, uses, fails) in given.items()
        )
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(nodes(), nodes(), st.integers(0, 2))
def test_what_refresh_worked_out_changes_no_byte_of_a_plan(
    before: dict[int, Node], after: dict[int, Node], shared: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        world = World(Path(folder))
        world.apply(text(before, 0))
        taken = dump(world.plan(text(after, shared)))
        patch.setattr(looking, "look", _with_nothing_asked(looking.look))
        assert dump(world.plan(text(after, shared))) == taken


def _with_nothing_asked(look: Callable[..., Observations]) -> Callable[..., Observations]:
    def stripped(*given: object, **named: object) -> Observations:
        return {a: replace(o, asked=None) for a, o in look(*given, **named).items()}

    return stripped
