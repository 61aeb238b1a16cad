"""Type constraints of variables: from expressions to types."""

from __future__ import annotations

from typing import Final

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.conversion import ConversionError, convert
from mlform.lang.evaluate import evaluate
from mlform.syntax.tree import Call, Expr, Literal, Name, ObjectExpr, Source, TupleExpr
from mlform.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    Collection,
    ObjectType,
    TupleType,
    Type,
)
from mlform.values import Value

_PRIMITIVES: Final = {t.name: t for t in (STRING, NUMBER, BOOL, ANY)}
_COLLECTIONS: Final = ("list", "set", "map")
_SHAPES: Final = {"object": "{name = T}", "tuple": "[T]"} | dict.fromkeys(_COLLECTIONS, "T")
_WORDS: Final = (*_PRIMITIVES, *_SHAPES)
_SUMMARY: Final = "Invalid type"


def parse_type(expr: Expr, source: Source, diagnostics: Diagnostics) -> Type | None:
    """Return the type that an expression such as ``list(string)`` names, or note why it is none.

    ``list`` and ``map`` alone are of any one type, as Terraform once wrote them.
    """
    if isinstance(expr, Name) and expr.name in {"list", "map"}:
        return Collection(expr.name, ANY)
    return _Reader(source, diagnostics).read(expr)


class _Reader:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source, self.diagnostics = source, diagnostics

    def read(self, expr: Expr) -> Type | None:
        match expr:
            case Name(name=name) if name in _PRIMITIVES:
                return _PRIMITIVES[name]
            case Name(name=name) if name in _SHAPES:
                shape = _SHAPES[name]
                return self.error(f"Say what is inside: {name}({shape}).", expr)
            case Call(name=name) if name in _COLLECTIONS:
                return self.collection(expr)
            case Call(name="tuple"):
                return self.tuple_type(expr)
            case Call(name="object"):
                return self.object_type(expr)
            case Call(name="optional"):
                return self.error("Only an attribute of an object can be optional.", expr)
            case _:
                return self.no_type(expr)

    def no_type(self, expr: Expr) -> Type | None:
        name = getattr(expr, "name", None)
        hint = did_you_mean(name, _WORDS) if isinstance(name, str) else ""
        written = self.source.text[expr.start : expr.end]
        return self.error(
            f"{written} is no type.{hint} Types are string, number, bool, any, list(T), set(T), "
            "map(T), object({name = T}) and tuple([T]).",
            expr,
        )

    def error(self, detail: str, expr: Expr) -> Type | None:
        """Note a problem; there is no type then."""
        self.diagnostics.error(_SUMMARY, detail, at=self.source.span(expr.start, expr.end))
        return None

    def collection(self, call: Call) -> Type | None:
        if len(call.arguments) != 1 or call.expand:
            return self.error(f"{call.name} takes one type, as in {call.name}(string).", call)
        element = self.read(call.arguments[0])
        return None if element is None else Collection(call.name, element)

    def tuple_type(self, call: Call) -> Type | None:
        match call:
            case Call(arguments=(TupleExpr(items=items),), expand=False):
                found = [self.read(item) for item in items]
                known = tuple(t for t in found if t is not None)
                return TupleType(known) if len(known) == len(found) else None
            case _:
                pass
        return self.error("tuple takes a list of types, as in tuple([string, number]).", call)

    def object_type(self, call: Call) -> Type | None:
        match call:
            case Call(arguments=(ObjectExpr(items=items),), expand=False):
                return self.attributes(items)
            case _:
                pass
        return self.error("object takes names with types, as in object({name = string}).", call)

    def attributes(self, items: tuple[tuple[Expr, Expr], ...]) -> Type | None:
        attributes: dict[str, Type] = {}
        optional: dict[str, Value] = {}
        sound = True
        for key, written in items:
            quoted = self.source.text.startswith('"', key[0])
            if not isinstance(key, Literal) or not isinstance(key.value, str) or quoted:
                self.error(
                    "The name of an attribute is a plain word: no text in quotes, no expression.",
                    key,
                )
                sound = False
                continue
            if key.value in attributes:
                self.error(f'The attribute "{key.value}" is given twice.', key)
                sound = False
            inner, call = written, None
            if isinstance(written, Call) and written.name == "optional":
                if not 1 <= len(written.arguments) <= 2 or written.expand:
                    self.error("optional takes a type, and a default if need be.", written)
                    sound = False
                    continue
                inner, call = written.arguments[0], written
            found = self.read(inner)
            if found is None:
                sound = False
                continue
            attributes[key.value] = found
            if call is not None:
                optional[key.value], fits = self.default(call, found)
                sound &= fits
        return ObjectType(attributes, optional) if sound else None

    def default(self, call: Call, type_: Type) -> tuple[Value, bool]:
        if len(call.arguments) == 1:
            return None, True
        before = len(self.diagnostics.errors)
        value = evaluate(call.arguments[1], {}, self.diagnostics, self.source)
        if len(self.diagnostics.errors) > before:
            return None, False
        try:
            return convert(value, type_), True
        except ConversionError as error:
            self.error(f"The default is not of the type {type_}: {error}.", call.arguments[1])
            return None, False
