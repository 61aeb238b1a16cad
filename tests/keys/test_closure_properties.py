"""What a closure's digest does not see, and that it sees all the rest, on generated code."""

from __future__ import annotations

import ast
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mlform.keys import ClosureCache, closure
from mlform.keys.facts import read

SOURCE = '''\
"""About the module."""

from __future__ import annotations

import math  # arithmetic
from collections.abc import Sequence

LIMIT: int = 3
NAMES = {"a": 1, "b": 2}


class Scaler:
    """Scales."""

    factor = 2

    def __init__(self, by: float = 1.5) -> None:
        """Keep it."""
        self.by: float = by

    @property
    def twice(self):
        return self.by * 2

    def apply(self, values: Sequence[float], *, flip: bool = False) -> list[float]:
        # Each in turn.
        found = [v * self.by if not flip else -v for v in values if v < LIMIT]
        return found


def helper(x: float, y: float = math.pi) -> float:
    "A helper."
    total: float = x + y
    while total > LIMIT and x != 7:
        total -= 1
    try:
        return math.log(total)
    except ValueError:
        return float("nan")


def build(frame: object, n: int = 2) -> object:
    def inner(k: int) -> int:
        """Inside."""
        return k % n

    scale = Scaler(by=0.5)
    return [helper(inner(k), NAMES["a"]) for k in range(n)], scale.apply([1, 2.5], flip=True)
'''


def facts(source: str) -> str:
    return read(source.encode(), "it.py").content


def loose(source: str, seed: int) -> str:
    """Write the same program otherwise: comments, blank lines, quotes, parentheses."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    lines = []
    for line in ast.unparse(_without(ast.parse(source), rng)).splitlines():
        if rng.random() < 0.2 and lines[-1:] != ["@property"]:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}# {rng.random()}")
        lines.append(f"{line}{'  # so it is' if rng.random() < 0.2 else ''}")
        if rng.random() < 0.2:
            lines.append("")
    return "\n".join(lines) + "\n"


def _without(tree: ast.Module, rng: random.Random) -> ast.Module:
    """Drop, or add, docstrings and annotations at random."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0]
            told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            if told and rng.random() < 0.5 and len(node.body) > 1:
                del node.body[0]
            elif not told and rng.random() < 0.3:
                node.body.insert(0, ast.Expr(ast.Constant("Something new.")))
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            if rng.random() < 0.5:
                node.returns = None
            for argument in node.args.args:
                argument.annotation = None if rng.random() < 0.5 else ast.Name("Other")
    return ast.fix_missing_locations(tree)


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_what_does_not_run_does_not_count(seed: int) -> None:
    assert facts(loose(SOURCE, seed)) == facts(SOURCE)


def _expressions(tree: ast.Module) -> list[ast.expr]:
    """Return the expressions that run: neither docstrings nor annotations."""
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            hidden.add(id(node.value))
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for annotation in filter(None, annotations):
            hidden |= {id(n) for n in ast.walk(annotation)}
    return [n for n in ast.walk(tree) if isinstance(n, ast.expr) and id(n) not in hidden]


@given(st.data())
@settings(max_examples=200)
def test_whatever_runs_counts(data: st.DataObject) -> None:
    tree = ast.parse(SOURCE)
    found = [n for n in _expressions(tree) if _changed(n) is not None]
    node = data.draw(st.sampled_from(found), label="expression")
    change = _changed(node)
    assert change is not None
    for name, value in change.items():
        setattr(node, name, value)
    assert facts(ast.unparse(ast.fix_missing_locations(tree))) != facts(SOURCE)


def _changed(node: ast.expr) -> dict[str, object] | None:
    """Return the fields of an expression that means something else."""
    match node:
        case ast.Constant(value=bool() as value):
            return {"value": not value}
        case ast.Constant(value=int() | float() as value):
            return {"value": value + 1}
        case ast.Constant(value=str() as value):
            return {"value": f"{value}x"}
        case ast.Name(id=name):
            return {"id": f"{name}_"}
        case ast.Attribute(attr=name):
            return {"attr": f"{name}_"}
        case ast.BinOp(op=ast.Sub()):
            return {"op": ast.Add()}
        case ast.BinOp():
            return {"op": ast.Sub()}
        case ast.UnaryOp(op=ast.Not()):
            return {"op": ast.USub()}
        case ast.UnaryOp():
            return {"op": ast.Not()}
        case ast.Compare(ops=[ast.Lt()]):
            return {"ops": [ast.Gt()]}
        case ast.Compare():
            return {"ops": [ast.Lt()]}
        case ast.BoolOp():
            return {"op": ast.Or()}
        case ast.Call(keywords=[]):
            return {"keywords": [ast.keyword("more", ast.Constant(1))]}
        case _:
            return None


def test_the_closure_of_an_example_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    digests = set()
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "it.py").write_text(SOURCE)
        digests.add(closure(folder, "it.py:build", ClosureCache(None)).digest)
    assert len(digests) == 1
