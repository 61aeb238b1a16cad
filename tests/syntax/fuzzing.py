"""A coverage-guided fuzzer of reading, laying out and evaluating: needs `pip install atheris`.

    python -m tests.syntax.fuzzing CORPUS -max_total_time=600 -timeout=10 -rss_limit_mb=2000

CORPUS is a folder, filled with the texts of the tests when it is empty; further arguments are
libFuzzer's. Whatever is neither an answer nor a problem with a place, or what is slow or large,
stops it; the text that did is kept, and belongs into ``test_hard_texts.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate
from mlform.render.console import console, console_type
from mlform.syntax import parse, parse_expression, parse_template
from mlform.syntax.json import parse_json
from mlform.syntax.layout import layout
from mlform.syntax.tree import Expr, Source
from mlform.values import UNKNOWN, ListValue, Sensitive, Value

HERE = Path(__file__).parent
BLOCKS = {"dataset": 2, "locals": 0, "variable": 1}
SCOPE: dict[str, Value] = {
    "local": {"unknown": UNKNOWN, "secret": Sensitive("s"), "template": "a ${a} b"},
    "a": 1,
    "b": "text",
    "x": ListValue([1, 2]),
    "d": {"a": {"b": True}},
}


def judge(text: str) -> None:
    """Read a text in each way that there is. Raises whatever is a bug."""
    lines = text.count("\n") + text.count("\r") + 1
    for read in (parse, layout):
        found = Diagnostics()
        made = read(text, "spec.mlf.hcl", found)
        _check(found, lines)
        if not found.errors and isinstance(made, str):
            again = layout(made, "spec.mlf.hcl", found)
            assert again == made, "a layout stays as it is"
    found = Diagnostics()
    parse_json(text, "spec.mlf.json", found, BLOCKS)
    _check(found, lines)
    for read_expression in (parse_expression, parse_template):
        found = Diagnostics()
        expr, source = read_expression(text, "spec.mlf.hcl", found)
        _check(found, lines)
        if not found.errors:
            _worth(expr, source, lines)


def _worth(expr: Expr, source: Source, lines: int) -> None:
    found = Diagnostics()
    value = evaluate(expr, SCOPE, found, source)
    _check(found, lines)
    if not found.errors:
        console(value)
        console_type(value)


def _check(found: Diagnostics, lines: int) -> None:
    for problem in found:
        assert problem.summary, problem
        assert problem.detail, problem
        assert problem.subject is not None, problem
        assert 1 <= problem.subject.line <= lines, problem


def fill(corpus: Path) -> None:
    """Write the texts of the tests into an empty folder."""
    corpus.mkdir(parents=True, exist_ok=True)
    if any(corpus.iterdir()):
        return
    texts = [case["text"] for case in json.loads((HERE / "cases.json").read_text("utf-8"))]
    texts += [case["text"] for case in json.loads((HERE / "found.json").read_text("utf-8"))]
    samples = HERE.parent / "lang" / "data" / "expressions.jsonl"
    texts += [json.loads(line)[0] for line in samples.read_text("utf-8").splitlines()]
    texts += [
        '{"dataset": {"file": {"x": [{"a": "${b}", "n": 1.5e3}, {"a": null}]}}}',
        "[{}, true]",
    ]
    for number, text in enumerate(texts):
        (corpus / f"{number:05}").write_bytes(text.encode())


def main() -> None:
    """Run until something is wrong or the time is over."""
    import atheris  # type: ignore[import-not-found,unused-ignore]

    fill(Path(sys.argv[1]))

    def one(data: bytes) -> None:
        judge(data.decode("utf-8", "replace"))

    atheris.instrument_all()
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
