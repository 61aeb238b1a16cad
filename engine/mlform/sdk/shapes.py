"""The shapes of arguments: what objects inside of them hold, and which values they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from mlform.lazy import dataclass
from mlform.sdk.docs import field_docs


@dataclass(frozen=True)
class Field:
    """One argument, or one key of an object: its name as written, and what it is for."""

    name: str
    required: bool
    text: str
    annotation: Any
    example: str | None = None
    """How a value is written, where a pattern says what one looks like."""


def fields(model: type[BaseModel]) -> Iterator[Field]:
    """Yield the fields of a model, the required ones first."""
    docs = field_docs(model)
    for name, info in sorted(model.model_fields.items(), key=lambda f: not f[1].is_required()):
        example = str(info.examples[0]) if info.examples else None
        text, required = docs.get(name, ""), info.is_required()
        yield Field(info.alias or name, required, text, info.annotation, example)


def within(model: type[BaseModel], path: Sequence[str]) -> list[Field]:
    """Return what may be written in the object that a path of names leads to."""
    found: Sequence[Any] = [model]
    for key in path:
        found = [inner for part in found for inner in _inside(part, key)]
    models = [m for part in found for m in _parts(part) if _is_model(m)]
    known: dict[str, Field] = {}
    for inner in models:
        for field in fields(inner):
            known.setdefault(field.name, field)
    return list(known.values())


def choices(annotation: Any) -> list[Any]:
    """Return the values that an argument can have, if there are only some."""
    found: list[Any] = []
    for part in _parts(annotation):
        if get_origin(part) is Literal:
            found += get_args(part)
        elif part is bool:
            found += [True, False]
    return found


def _inside(annotation: Any, key: str) -> Iterator[Any]:
    for part in _parts(annotation):
        if _is_model(part):
            yield from (f.annotation for f in fields(part) if f.name == key)
        elif get_origin(part) in {dict, Mapping} and len(get_args(part)) > 1:
            yield get_args(part)[1]


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation may be: the alternatives, and the elements of lists."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _parts(inside[0])
    elif origin in {Union, UnionType}:
        for part in inside:
            yield from _parts(part)
    elif origin in {list, tuple, set, frozenset, Sequence}:
        for part in inside[:1]:
            yield from _parts(part)
    else:
        yield annotation


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)
