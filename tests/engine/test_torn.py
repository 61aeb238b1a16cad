"""Specs with syntax errors: all that can be told comes along, and nothing that is not so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.world import TARGET

from mlform.commands.queries import validate
from mlform.commands.session import Session
from mlform.config import Given
from mlform.config.load import BLOCKS
from mlform.config.sources import parse_file
from mlform.diagnostics import DiagnosedError, Diagnostic, Diagnostics
from mlform.registry import Registry

GOLDEN = Path(__file__).parent / "golden"
FILE = re.compile(r"^# --- file (\S+)\n", re.MULTILINE)
GARBAGE = (
    "x = = 1",
    "y = [1,",
    "bad bad",
    'z = "${"',
    "q = <<E",
    "}",
    "{",
    "w = foo(1,",
    "@",
    "k = 'a'",
    "n {",
    '"',
    "/*",
    "v = 1 2",
)


def specs(folder: str) -> list[tuple[str, Mapping[str, str]]]:
    found = []
    for path in sorted((GOLDEN / folder).glob("*.mlf.hcl")):
        last = path.read_text(encoding="utf-8").split("# --- then\n")[-1]
        if "# --- provider" in last or "# --- given" in last or "# --- generate" in last:
            continue
        first, *others = FILE.split(last)
        files = {"main.mlf.hcl": first, **dict(zip(others[::2], others[1::2], strict=True))}
        found.append((path.name, files))
    return found


def problems(root: Path, files: Mapping[str, str]) -> list[Diagnostic]:
    for old in sorted(root.rglob("*.hcl")):
        old.unlink()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    session = Session(root, Given((), {}, partial=True), Registry({"toy": TARGET}))
    try:
        validate(session)
    except DiagnosedError as error:
        return error.diagnostics.errors
    return []


def syntax(files: Mapping[str, str]) -> list[Diagnostic]:
    found = Diagnostics()
    for name, text in files.items():
        if name.endswith(".mlf.hcl"):
            parse_file(name, text, found, BLOCKS)
    return found.errors


SOUND = specs("plans")
WRONG = [(name, files) for name, files in specs("mistakes") if not syntax(files)]


@st.composite
def torn(draw: st.DrawFn, choices: list[tuple[str, Mapping[str, str]]]) -> Mapping[str, str]:
    files = dict(draw(st.sampled_from(choices))[1])
    name = draw(st.sampled_from(sorted(n for n in files if n.endswith(".mlf.hcl"))))
    lines = files[name].split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    if draw(st.booleans()):
        lines.insert(at, draw(st.sampled_from(GARBAGE)))
    else:
        column = draw(st.integers(0, len(lines[at])))
        mark = draw(st.sampled_from('{}[]()"=,$%@'))
        lines[at] = f"{lines[at][:column]}{mark}{lines[at][column:]}"
    return {**files, name: "\n".join(lines)}


def test_what_is_sound_but_for_its_syntax_gives_no_other_error(tmp_path: Path) -> None:
    sound = [spec for spec in SOUND if not problems(tmp_path, spec[1])]
    assert len(sound) > 15

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(torn(sound))
    def holds(files: Mapping[str, str]) -> None:
        wrong = {(e.summary, e.subject) for e in syntax(files)}
        if wrong:
            echoes = [e for e in problems(tmp_path, files) if (e.summary, e.subject) not in wrong]
            assert not echoes

    holds()


def test_a_syntax_error_hides_no_mistake_elsewhere(tmp_path: Path) -> None:
    """A torn block at the end takes away only what may be said of names that it may declare."""
    told = lost = 0
    for name, files in WRONG:
        before = problems(tmp_path, files)
        torn_files = {**files, "zz.mlf.hcl": 'output "torn" {\n  value = = 1\n}\n'}
        after = problems(tmp_path, torn_files)
        assert [e.subject.file for e in after if e.subject and e.subject.file == "zz.mlf.hcl"]
        seen = {(e.summary, e.subject) for e in after}
        missing = [e for e in before if (e.summary, e.subject) not in seen]
        told += len(before) - len(missing)
        lost += len(missing)
        assert all(e.missing for e in missing), (name, missing)
    assert told > 3 * lost


def test_torn_blocks_may_declare_what_is_missing(tmp_path: Path) -> None:
    spec = (
        'variable "a" {\n  type = = number\n}\n'
        'output "o" {\n  value = var.a + local.b + module.c.d\n}\n'
        'output "p" {\n  value = upper(1, 2)\n}\n'
        'output "q" {\n  sensitve = true\n  value = true + "x"\n}\n'
    )
    found = problems(tmp_path, {"main.mlf.hcl": spec})
    assert {e.summary for e in found} == {
        "Invalid expression",
        "Wrong number of arguments",
        "Unknown argument",
        "Invalid operand",
    }
