"""What people read: mistakes and plans, as text. Rewrite with ``pytest --golden=update``."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.engine.world import TARGET, World

from mlform.commands.queries import validate
from mlform.commands.session import Session
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.plan import Plan
from mlform.registry import Registry
from mlform.render.diagnostics import diagnostic
from mlform.render.plan import plan as shown
from mlform.render.style import paint

GOLDEN = Path(__file__).parent / "golden"
MISTAKES = sorted((GOLDEN / "mistakes").glob("*.mlf.hcl"))
PLANS = sorted((GOLDEN / "plans").glob("*.mlf.hcl"))
THEN = "# --- then\n"
"""Parts a plan's history: each stage is applied, and the last is planned."""


def stem(path: Path) -> str:
    return path.name.removesuffix(".mlf.hcl")


def compare(path: Path, told: str, *, update: bool) -> None:
    wanted = path.with_name(f"{stem(path)}.txt")
    if update:
        wanted.write_text(told, encoding="utf-8")
    assert told == wanted.read_text(encoding="utf-8")


def mistakes(root: Path, spec: str) -> str:
    (root / "main.mlf.hcl").write_text(spec)
    session = Session(root, Given((), {}), Registry({"toy": TARGET}))
    try:
        validate(session)
        assert session.graph.needs is not None
    except DiagnosedError as error:
        problems = error.diagnostics
    else:
        problems = session.diagnostics
    said = [paint(diagnostic(p, session.texts), colour=False) for p in problems]
    return "\n".join(said).replace(version("mlform"), "VERSION")


@pytest.mark.parametrize("path", MISTAKES, ids=stem)
def test_mistakes(path: Path, tmp_path: Path, golden_update: bool) -> None:
    told = mistakes(tmp_path, path.read_text(encoding="utf-8"))
    assert told, "every golden spec has a mistake"
    compare(path, told, update=golden_update)


def readable(plan: Plan) -> str:
    """Render a plan with what no two machines agree on taken out: durations and digests."""
    timed = replace(
        plan, steps=tuple(s if s.seconds is None else replace(s, seconds=2.0) for s in plan.steps)
    )
    *lines, head = paint(shown(timed), colour=False).splitlines()
    return "\n".join([*lines, re.sub(r"\b[0-9a-f]{8,}\b", "DIGEST", head), ""])


@pytest.mark.parametrize("path", PLANS, ids=stem)
def test_plans(path: Path, world: World, golden_update: bool) -> None:
    *before, last = path.read_text(encoding="utf-8").split(THEN)
    for stage in before:
        world.apply(stage)
    compare(path, readable(world.plan(last)), update=golden_update)
