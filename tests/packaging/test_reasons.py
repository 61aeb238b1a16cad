"""Whoever turns a rule of the linter off says why, on the same line."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "engine", "examples", "providers", "schema", "tests")
OFF = re.compile(r"#\s*noqa\b(?P<rest>.*)")
SAID = re.compile(r": [A-Z]+\d+(, [A-Z]+\d+)* - \S")


def test_every_rule_that_is_turned_off_has_its_reason() -> None:
    bare, found = [], 0
    for path in (p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if (off := OFF.search(line)) is not None and "OFF = " not in line:
                found += 1
                if not SAID.match(off["rest"]):
                    bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found > 50
    assert not bare, "\n".join(bare)
