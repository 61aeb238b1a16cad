"""Why arguments are refused: in words of the language, and exactly where."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError

from mlform.diagnostics import Span, counted, did_you_mean
from mlform.lazy import dataclass
from mlform.sdk.shapes import within as taken
from mlform.syntax.tree import Attribute, Call, Expr, Literal, ObjectExpr, TupleExpr

Path: TypeAlias = tuple[str | int, ...]

_TICK: Final = "'"
_LITERAL: Final = r"'([^']*)'"
_QUOTED: Final = r'"([^"]*)"'

_WANTED: Final[Mapping[str, str]] = {
    "string": "a string is required",
    "int": "a whole number is required",
    "float": "a number is required",
    "decimal": "a number is required",
    "bool": "true or false is required",
    "list": "a list is required",
    "tuple": "a list is required",
    "set": "a list is required",
    "dict": "an object is required",
    "mapping": "an object is required",
    "model": "an object is required",
}
"""What a type error of pydantic, named ``TYPE_…``, asks for."""

_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "greater_than": ("gt", "must be more than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "less_than": ("lt", "must be less than {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
    "string_pattern_mismatch": ("pattern", "must match the pattern {}"),
}


@dataclass(frozen=True)
class Problem:
    """Why an argument is refused. ``path`` leads from the argument to the part of it to blame."""

    path: Path
    message: str
    extra: bool = False
    """Whether the part is one that should not be there at all."""

    @property
    def argument(self) -> str:
        """The argument by name; empty where it is about several."""
        return str(self.path[0]) if self.path else ""

    @property
    def text(self) -> str:
        """What is wrong, after its place, as in ``shape.size: a number is required``."""
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path)[1:]
        message = self.message if self.message.endswith((".", "?")) else f"{self.message}."
        return f"{place}: {message}" if place else message

    def span(self, arguments: Mapping[str, Attribute], otherwise: Span) -> Span:
        """Return where the part to blame is written, as far as it is there."""
        attribute = arguments.get(self.argument)
        if attribute is None:
            return otherwise
        expr = attribute.expr
        for part in self.path[1:]:
            found = _inside(expr, part)
            if found is None:
                break
            key, expr = found
            if self.extra and part == self.path[-1]:
                return attribute.source.span(key[0], key[1])
        return spot(attribute, self.message, expr)


def spot(attribute: Attribute, message: str, within: Expr | None = None) -> Span:
    """Return where what a message is about is written: what it quotes first of several values.

    ``within``: the part of the argument that is to blame, if that is known.
    """
    expr = attribute.expr if within is None else within
    for name in re.findall(_QUOTED, message):
        if (found := next(_written(expr, name), None)) is not None:
            return attribute.source.span(found[0], found[1])
    if isinstance(expr, ObjectExpr) and not attribute.source.text.startswith("{", expr[0]):
        return _header(attribute, expr)
    return attribute.source.span(expr[0], expr[1])


def _written(expr: Expr, text: str) -> Iterator[Expr]:
    """Yield every key and value within an expression that is this very text."""
    match expr:
        case Literal(value=value) if value == text:
            yield expr
        case TupleExpr(items=items) | Call(name="concat", arguments=items):
            for item in items:
                yield from _written(item, text)
        case ObjectExpr(items=pairs):
            for pair in pairs:
                for part in pair:
                    yield from _written(part, text)
        case _:
            return


def problems(
    error: ValidationError,
    secret: Collection[str],
    model: type[BaseModel],
    within: Path = (),
) -> list[Problem]:
    """Return what a model finds wrong; values of arguments in ``secret`` are not shown.

    ``within`` is the argument of ``model`` that was looked at alone, if it was one.
    """
    found: list[Problem] = []
    for item in error.errors(include_url=False):
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1 and not within:
            continue  # reading the block has told of it
        path = _named((*within, *item["loc"]), model, extra=item["type"] == "extra_forbidden")
        kind, extra = item["type"], item["type"] == "extra_forbidden"
        message, given = _message(item), item.get("input")
        if kind == "union_tag_invalid":
            context = item["ctx"]
            path, given = (*path, context["discriminator"].strip(_TICK)), context["tag"]
            kind = "literal_error"
        if item["type"] == "string_pattern_mismatch" and (example := _example(model, path)):
            message = f"must be written as {json.dumps(example)} is"
        if extra:
            message += _taken(model, path)
        path, message = _blamed(model, path, message)
        hidden = (str(path[0]) if path else "") in secret
        if isinstance(given, str | int | float) and not hidden and not extra:
            shown = json.dumps(given, ensure_ascii=False)
            if not (isinstance(given, str) and shown in message):  # a type's own words may have it
                message = f"{message} (it is {shown})"
            if kind == "literal_error" and isinstance(given, str):
                message += (
                    f".{did_you_mean(given, re.findall(_QUOTED, message.partition(' (')[0]))}"
                )
        if item["type"] == "missing":
            message, path = f'needs "{path[-1]}"', path[:-1]
        found.append(Problem(path, message, extra=extra))
    return found


def _blamed(model: type[BaseModel], path: Path, message: str) -> tuple[Path, str]:
    """Lead to the argument that a message about several begins with, as in ``steps: …``."""
    name, colon, rest = message.partition(": ")
    if not colon or not name.isidentifier():
        return path, message
    names = {field.name for field in taken(model, [p for p in path if isinstance(p, str)])}
    return ((*path, name), rest) if name in names else (path, message)


def _example(model: type[BaseModel], path: Path) -> str | None:
    """Return how a value of an argument is written."""
    there = taken(model, [p for p in path[:-1] if isinstance(p, str)])
    return next((field.example for field in there if field.name == path[-1]), None)


def _taken(model: type[BaseModel], path: Path) -> str:
    """Say what there is beside the part that is none."""
    names = [f.name for f in taken(model, [p for p in path[:-1] if isinstance(p, str)])]
    if not names:
        return ""
    return f".{did_you_mean(str(path[-1]), names)} There is {', '.join(names)}."


def _named(location: Path, model: type[BaseModel], *, extra: bool) -> Path:
    """Return a location without what pydantic puts in for unions: names of types, and tags."""
    found: list[str | int] = []
    for part in location:
        if isinstance(part, str):
            last = extra and part is location[-1]
            there = {f.name for f in taken(model, [p for p in found if isinstance(p, str)])}
            if not last and (
                not part.replace("-", "_").isidentifier() or (there and part not in there)
            ):
                continue
        found.append(part)
    return tuple(found)


def _message(item: Mapping[str, Any]) -> str:
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind == "extra_forbidden":
        return "there is no such argument here"
    if kind in {"literal_error", "enum", "union_tag_invalid"}:
        expected = str(context.get("expected", context.get("expected_tags")))
        names = re.findall(_LITERAL, expected)
        known = " or ".join(f'"{name}"' for name in names) or expected
        return f"must be {known}"
    if kind == "union_tag_not_found":
        return f'needs "{context["discriminator"].strip(_TICK)}"'
    if kind in _LIMITS:
        name, wanted = _LIMITS[kind]
        return wanted.format(context[name])
    if kind in {"too_short", "too_long"}:
        bound = "at least" if kind == "too_short" else "at most"
        number = counted(context.get("min_length", context.get("max_length")) or 0, "element")
        return f"must have {bound} {number}, and has {context['actual_length']}"
    family, _, rest = kind.partition("_")
    if rest in {"type", "parsing", "from_float", "attributes_type"} and family in _WANTED:
        return _WANTED[family]
    return str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _inside(expr: Expr, part: str | int) -> tuple[Expr, Expr] | None:
    """Return the key and the value of a part of an expression, if it is written out."""
    match expr:
        case TupleExpr(items=items) if isinstance(part, int) and part < len(items):
            return items[part], items[part]
        case Call(name="concat", arguments=lists) if isinstance(part, int):
            flat = [i for a in lists if isinstance(a, TupleExpr) for i in a.items]
            whole = all(isinstance(a, TupleExpr) for a in lists)
            return (flat[part], flat[part]) if whole and part < len(flat) else None
        case ObjectExpr(items=pairs):
            for key, value in pairs:
                if isinstance(key, Literal) and key.value == part:
                    return key, value
            return None
        case _:
            return None


def _header(attribute: Attribute, body: Expr) -> Span:
    """Return the header of the block whose body an object was made from."""
    text = attribute.source.text
    begin = text.rfind("\n", 0, body[0]) + 1
    head = text[begin : body[0]].rstrip().removesuffix("{").rstrip()
    start = begin + len(head) - len(head.lstrip())
    return attribute.source.span(start, begin + len(head))
