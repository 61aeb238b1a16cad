"""Written HCL reads back as the data it was made from."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.syntax.trees import body

from mlform.diagnostics import Diagnostics
from mlform.syntax.layout import layout
from mlform.syntax.tree import Expr, Literal, ObjectExpr, TupleExpr, Unary
from mlform.syntax.write import write_blocks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "${a}",
        "$${a}",
        "%{if a}",
        "%%{",
        "$",
        '"',
        "\\",
        "a\nb\r\t",
        "#x",
        "//",
        "<<E",
        "\x00",
        "é😀",
    ]
)
NAMES = st.sampled_from(["a", "b_1", "labels", "block_type", "self", "for", "null", "x-y"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
BLOCKS = st.tuples(NAMES, st.lists(TEXTS, max_size=2), st.dictionaries(NAMES, VALUES, max_size=3))


def data(expr: Expr) -> Any:
    match expr:
        case Literal():
            return expr.value
        case Unary(op="-"):
            return -data(expr.operand)
        case TupleExpr():
            return [data(x) for x in expr.items]
        case ObjectExpr():
            return {data(key): data(value) for key, value in expr.items}
        case _:
            raise AssertionError(expr)


def read(text: str) -> list[tuple[str, list[str], dict[str, Any]]]:
    return [
        (
            block.kind,
            [label.text for label in block.labels],
            {name: data(found.expr) for name, found in block.body.attributes.items()},
        )
        for block in body(text).blocks
    ]


def exact(value: Any) -> Any:
    """Floats as the decimals they are written as."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    return [exact(inner) for inner in value] if isinstance(value, list) else value


@given(st.lists(BLOCKS, max_size=2))
@settings(max_examples=60, deadline=None)
def test_reads_back_as_it_was(blocks: list[tuple[str, list[str], dict[str, Any]]]) -> None:
    text = write_blocks(blocks)
    assert read(text) == [(kind, labels, exact(values)) for kind, labels, values in blocks]
    assert layout(text, "written.hcl", Diagnostics()) == text


def test_looks_as_people_write_it() -> None:
    values = {"source": "a.csv", "parts": {"a.csv": "sha256:00"}, "rows": 3, "tags": ["${x}"]}
    assert write_blocks([("pin", ["dataset.loans"], values), ("k", [], {})]) == (
        'pin "dataset.loans" {\n'
        '  source = "a.csv"\n'
        "  parts = {\n"
        '    "a.csv" = "sha256:00",\n'
        "  }\n"
        "  rows = 3\n"
        "  tags = [\n"
        '    "$${x}",\n'
        "  ]\n"
        "}\n"
        "\n"
        "k {\n"
        "}\n"
    )
    assert write_blocks([]) == ""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("two words", {}),
        ("k", {"a.b": 1}),
        ("k", {"a": math.nan}),
        ("k", {"a": [math.inf]}),
        ("k", {"a": "\ud800"}),
        ("k", {"a": object()}),
    ],
)
def test_what_has_no_form_is_refused(kind: str, values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"form|name|surrogate"):
        write_blocks([(kind, [], values)])


def test_reading_does_not_load_the_library_for_writing() -> None:
    code = "import sys, mlform.syntax; sys.exit('hcl2' in sys.modules or 'lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
