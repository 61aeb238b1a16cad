"""Every kind of problem the engine can tell of is shown by a golden file or expected by a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ENGINE: Final = ROOT / "engine" / "mlform"
SINKS: Final = {
    **dict.fromkeys(("error", "warning", "fault", "note", "_error", "_rules", "_plain_error"), 0),
    **dict.fromkeys(("stop", "StepFailed", "CodeError", "ResourceError", "Failure"), 0),
    **dict.fromkeys(("SyntaxProblem", "FunctionError", "Problem"), 0),
    **dict.fromkeys(("_named", "Diagnostic", "_fail"), 1),
}
"""What takes a summary, and the how-manieth argument that is."""

SUMMARY: Final = re.compile(r"[A-Z][^.{}:`]*")
UNSHOWN: Final = {
    "Channels not told": "takes a disk that fills up between a look and a write",
    "Lost the lock": "takes another process that breaks the lease while an apply runs",
    "Worker lost": "takes a worker process that dies; tests/execute kills one",
    "System error": "takes a full or broken disk",
    "Code changed since the plan": "takes code that changes while an apply runs",
    "Plan exceeded": "takes a provider that changes its mind; tests/engine/test_apply.py has one",
    "Expression too deep": "takes a value deeper than the parser lets any text be",
    "Code not readable": "takes a file that this user may not read, and root may read any",
    "Environment is not what is locked": "takes packages; tests/scenarios/test_code.py has some",
    "Files changed since the plan": "takes a file that changes while an apply runs",
    "Nothing to include": "takes a provider that reads files; tests/scenarios/test_code.py has one",
    "Invalid lock file": "takes a lock file beside a spec; tests/keys/test_lock.py has some",
    "Lock file not readable": "takes a file that this user may not read, and root may read any",
    "Inconsistent element types": "takes a list whose elements are of one type and give several",
    "Example needs scikit-learn": "takes an installation without scikit-learn",
    "State backend needs psycopg": "takes an installation without psycopg",
    "Executor out of reach": "takes an engine that stops answering while an apply runs;"
    " tests/execute/test_engines.py stops one, and asks for the result that this is made of",
    "Data not deleted": "takes a disk or bucket that refuses to delete",
    "No job": "takes a disk that takes no folder, or a system that can start no process",
}
"""Summary → why no golden file can show it, and no test expects it by its text."""


@cache
def own(path: Path) -> dict[str, str]:
    """Return the texts that a file names at its top level."""
    found: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as text))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() as text))
            ):
                found[name] = text
            case _:
                pass
    return found


@cache
def constants(path: Path) -> dict[str, str]:
    """Return the texts that a file has a name for: its own, and those it imports."""
    found = dict(own(path))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlform."):
            source = (ROOT / "engine" / Path(*str(node.module).split("."))).with_suffix(".py")
            known = own(source) if source.is_file() else {}
            found |= {a.asname or a.name: known[a.name] for a in node.names if a.name in known}
    return found


def name_of(called: ast.expr) -> str:
    match called:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def summaries() -> Iterator[tuple[str, str]]:
    """Yield every summary with the place it is written at."""
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = name_of(node.func)
            place = SINKS.get(called)
            if place is None or len(node.args) <= place:
                continue
            at = f"{path.relative_to(ENGINE)}:{node.lineno}"
            match node.args[place]:
                case ast.Constant(value=str() as text):
                    pass
                case ast.Name(id=name) if name in constants(path):
                    text = constants(path)[name]
                case _:
                    continue
            if SUMMARY.fullmatch(text):
                yield text, at


@cache
def shown() -> frozenset[str]:
    """Return the summaries that stand in golden files."""
    texts = [p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("golden/**/*.txt")]
    people = re.compile(r"^(?:(?:Error|Warning)|\d+:\d+-\d+:\d+)(?::)? ([^.{}:`\n]+)", re.MULTILINE)
    results = re.compile(r"^    ([A-Z][^.{}:`\n]+): ", re.MULTILINE)
    return frozenset(s for t in texts for how in (people, results) for s in how.findall(t))


@cache
def asserted() -> frozenset[str]:
    """Return the texts that other tests expect, each as a whole string of its own.

    Such a string stands in an ``assert``, or says what the block under a ``with`` raises.
    """
    found: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            places: list[ast.expr] = []
            if isinstance(node, ast.Assert):
                places = [node.test]
            elif isinstance(node, ast.With):
                places = [item.context_expr for item in node.items]
            for inner in (n for place in places for n in ast.walk(place)):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    found.add(inner.value)
    return frozenset(found)


def test_every_summary_is_shown() -> None:
    known = shown() | asserted() | set(UNSHOWN)
    missing = {s: at for s, at in summaries() if s not in known}
    assert missing == {}, "write a golden spec, or a test that expects it by its text"


def test_what_is_unshown_is_still_said() -> None:
    said = {s for s, _ in summaries()}
    assert set(UNSHOWN) - said == set()
    assert set(UNSHOWN) & (shown() | asserted()) == set()


@pytest.mark.parametrize(
    "path", sorted(ENGINE.rglob("*.py")), ids=lambda p: str(p.relative_to(ENGINE))
)
def test_summaries_are_constant(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.JoinedStr):
            called = name_of(node.func)
            assert called not in {"stop", "warning", "StepFailed", "CodeError"}, node.lineno
