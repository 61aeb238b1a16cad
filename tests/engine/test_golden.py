"""What people read: mistakes and plans, as text. Rewrite with ``pytest --golden=update``.

A golden spec may hold several files, each after a line ``# --- file NAME``, and a history: what
stands before ``# --- then`` is applied first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.engine.world import TARGET, World

from mlform.commands.explaining import ordered
from mlform.commands.options import PlanOptions
from mlform.commands.queries import validate
from mlform.commands.session import Session
from mlform.config import Given
from mlform.diagnostics import DiagnosedError, Diagnostic
from mlform.plan import Plan, Step, dump, parse
from mlform.registry import Registry
from mlform.render.diagnostics import diagnostic, document
from mlform.render.document import plan as document_of
from mlform.render.plan import plan as shown
from mlform.render.style import paint

GOLDEN = Path(__file__).parent / "golden"
MISTAKES = sorted((GOLDEN / "mistakes").glob("*.mlf.hcl"))
REFUSED = sorted((GOLDEN / "refused").glob("*.mlf.hcl"))
SYNTAX = sorted((Path(__file__).parents[1] / "syntax" / "golden").glob("*.hcl"))
PLANS = sorted((GOLDEN / "plans").glob("*.mlf.hcl"))
SCHEMA = Path(__file__).parents[2] / "schema"
THEN = "# --- then\n"
"""Parts a plan's history: each stage is applied, and the last is planned."""
FILE = re.compile(r"^# --- file (\S+)\n", re.MULTILINE)
GIVEN = re.compile(r"^# --- given (\S+)\n", re.MULTILINE)
"""A value for a variable as ``-var`` gives it."""
PROVIDER = re.compile(r"^# --- provider (\S+) (\S+)\n", re.MULTILINE)
"""One more provider, and what it is."""
GENERATE = re.compile(r"^# --- generate (\S+)\n", re.MULTILINE)
"""The file that ``-generate-config-out`` names."""


def stem(path: Path) -> str:
    return path.name.removesuffix(".mlf.hcl")


def compare(path: Path, told: str, *, update: bool, suffix: str = "txt") -> None:
    wanted = path.with_name(f"{stem(path)}.{suffix}")
    if update:
        wanted.write_text(told, encoding="utf-8")
    assert told == wanted.read_text(encoding="utf-8")


def write(root: Path, spec: str) -> str:
    """Write the further files that a golden spec holds; return what stands in the first."""
    first, *others = FILE.split(spec)
    for name, text in zip(others[::2], others[1::2], strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return first


@cache
def schema(name: str = "diagnostics") -> Draft202012Validator:
    path = SCHEMA / f"{name}.schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def check(
    path: Path, problems: Iterable[Diagnostic], session: Session, root: Path, *, update: bool
) -> None:
    """Compare problems with the golden files: the text for people, the data for machines."""
    known = ordered(problems, session.texts)
    assert known, "every golden spec has a mistake"

    def tidy(text: str) -> str:
        return text.replace(version("mlform"), "VERSION").replace(str(root), "FOLDER")

    said = [paint(diagnostic(p, session.texts), colour=False) for p in known]
    compare(path, tidy("\n".join(said)), update=update)
    data = document(known)
    schema().validate(data)
    lines = ",\n".join(json.dumps(d, ensure_ascii=False) for d in data["diagnostics"])
    compare(path, tidy(f"[\n{lines}\n]\n"), update=update, suffix="json")


@pytest.mark.parametrize("path", MISTAKES, ids=stem)
def test_mistakes(path: Path, tmp_path: Path, golden_update: bool) -> None:
    spec = path.read_text(encoding="utf-8")
    given = [("var", text) for text in GIVEN.findall(spec)]
    (tmp_path / "main.mlf.hcl").write_text(write(tmp_path, GIVEN.sub("", spec)))
    session = Session(tmp_path, Given(given, {}), Registry({"toy": TARGET}))
    try:
        validate(session)
        assert session.graph.needs is not None
    except DiagnosedError as error:
        problems = error.diagnostics
    else:
        problems = session.diagnostics
    check(path, problems, session, tmp_path, update=golden_update)


@pytest.mark.parametrize("path", SYNTAX, ids=lambda p: str(p.stem))
def test_syntax(path: Path, tmp_path: Path, golden_update: bool) -> None:
    """What tests/syntax has as a line each, the way a user sees it."""
    (tmp_path / "main.mlf.hcl").write_bytes(path.read_bytes())
    session = Session(tmp_path, Given((), {}), Registry({"toy": TARGET}))
    with pytest.raises(DiagnosedError) as caught:
        validate(session)
    place = GOLDEN / "syntax" / f"{path.stem}.mlf.hcl"
    place.parent.mkdir(exist_ok=True)
    check(place, caught.value.diagnostics, session, tmp_path, update=golden_update)


@pytest.mark.parametrize("path", REFUSED, ids=stem)
def test_refused(path: Path, world: World, golden_update: bool) -> None:
    """What is wrong with specs that are valid, as planning finds it: errors and warnings."""
    spec = path.read_text(encoding="utf-8")
    world.targets = {**world.targets, **dict(PROVIDER.findall(spec))}
    generate = next((world.root / name for name in GENERATE.findall(spec)), None)
    *before, last = PROVIDER.sub("", GENERATE.sub("", spec)).split(THEN)
    world.root.mkdir()
    for stage in before:
        world.apply(write(world.root, stage))
    session = world.session(write(world.root, last))
    problems = session.diagnostics
    try:
        session.plan(session.store.snapshot(), PlanOptions(generate=generate))
    except DiagnosedError as error:
        problems = error.diagnostics
    check(path, problems, session, world.root, update=golden_update)


def steady(step: Step) -> Step:
    """Return a step as if whatever ran before had taken two seconds, three at most."""
    if step.estimate is None or not step.estimate.runs:
        return step
    return replace(step, estimate=replace(step.estimate, expected=2.0, most=3.0))


def readable(plan: Plan) -> str:
    """Render a plan with what no two machines agree on taken out: durations and digests."""
    timed = replace(plan, steps=tuple(map(steady, plan.steps)), accuracy=None)
    *lines, head = paint(shown(timed), colour=False).splitlines()
    return "\n".join([*lines, re.sub(r"\b[0-9a-f]{8,}\b", "DIGEST", head), ""])


@pytest.mark.parametrize("path", PLANS, ids=stem)
def test_plans(path: Path, world: World, golden_update: bool) -> None:
    *before, last = path.read_text(encoding="utf-8").split(THEN)
    world.root.mkdir()
    for stage in before:
        world.apply(write(world.root, stage))
    plan = world.plan(write(world.root, last))
    compare(path, readable(plan), update=golden_update)
    schema("plan").validate(document_of(plan))
    assert parse(dump(plan)) == plan
