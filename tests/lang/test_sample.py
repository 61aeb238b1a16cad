from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.lang.oracle import ERROR, Answer, ours

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(("sample", "least"), [("expressions", 1000), ("chosen", 150)])
def test_expressions_mean_what_they_mean_to_terraform(sample: str, least: int) -> None:
    """Each line has an expression, what Terraform prints of it, and its type; or it is an error."""
    wrong: list[str] = []
    asked = 0
    for line in (DATA / f"{sample}.jsonl").read_text(encoding="utf-8").splitlines():
        text, *answer = json.loads(line)
        if "yamldecode" in text and find_spec("yaml") is None:
            continue
        asked += 1
        found = ours(text)
        if found != (Answer(*answer) if answer else ERROR):
            wrong.append(f"{text}\n  {found}\n  {answer}")
    assert asked > least
    assert not wrong, "\n".join(wrong[:10])
