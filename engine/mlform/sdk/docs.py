"""What fields are for, as their docstrings say: the text below each in the class."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def told(docstring: str | None) -> str:
    """Return a docstring as users read it: names in single backticks, as in Markdown."""
    return inspect.cleandoc(docstring or "").replace("``", "`")


def sentence(text: str) -> str:
    """Return the first sentence of a text, on one line."""
    first = text.partition("\n\n")[0]
    return " ".join(first.split()).partition(". ")[0].removesuffix(".")


@cache
def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstring of each field of a model by its name; those without one are missing.

    Read from the source when first asked, so that importing a provider stays cheap.
    """
    found: dict[str, str] = {}
    for class_ in reversed(model.__mro__):
        if issubclass(class_, BaseModel) and class_ is not BaseModel:
            found |= dict(_documented(class_))
    return {n: d for n, d in found.items() if n in model.model_fields}


def _documented(class_: type) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(class_)))
    except (OSError, TypeError, SyntaxError):  # made at run time, or shipped without its source
        return
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, after in pairwise(body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, told(text)
            case _:
                continue
