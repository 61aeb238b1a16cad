from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from tests.lang.oracle import ERROR, Answer, ours

SAMPLE = Path(__file__).parent / "data" / "expressions.jsonl"


def test_random_expressions_mean_what_they_mean_to_terraform() -> None:
    """Each line has an expression, what Terraform prints of it, and its type; or it is an error."""
    wrong: list[str] = []
    asked = 0
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        text, *answer = json.loads(line)
        if "yamldecode" in text and find_spec("yaml") is None:
            continue
        asked += 1
        found = ours(text)
        if found != (Answer(*answer) if answer else ERROR):
            wrong.append(f"{text}\n  {found}\n  {answer}")
    assert asked > 1000
    assert not wrong, "\n".join(wrong[:10])
