"""HCL's JSON syntax: JSON text to the tree that the native syntax gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from mlform.diagnostics import Diagnostics, counted
from mlform.syntax.expressions import ExpressionScanner
from mlform.syntax.height import height
from mlform.syntax.jsonread import Array, JsonReader, JsonValue, Object, Scalar, String, offsets
from mlform.syntax.limits import too_deep, too_large, uncollected
from mlform.syntax.problems import (
    BAD_JSON_BLOCK,
    DUPLICATE_KEY,
    MAX_DEPTH,
    MAX_ERRORS,
    SyntaxProblem,
)
from mlform.syntax.tree import (
    Attribute,
    Block,
    Body,
    Expr,
    Label,
    Literal,
    ObjectExpr,
    Source,
    TupleExpr,
)

_COMMENT: Final = "//"


def parse_json(text: str, file: str, diagnostics: Diagnostics, blocks: Mapping[str, int]) -> Body:
    """Read a file of HCL's JSON syntax, noting problems in ``diagnostics``, at most 20.

    In JSON only the schema tells blocks from attributes: ``blocks`` names the types of blocks and
    says how many labels each has. Inside a block such a name means a block only if its value is
    built like one; everything else is an attribute. Strings are templates, ``"//"`` properties
    are comments, and an array of objects stands for several blocks.
    """
    source = Source(file, text.removeprefix("\ufeff"))
    nothing = Body(0, len(source.text), {}, (), source)
    if too_large(source, diagnostics):
        return nothing
    converter = _Converter(source, diagnostics, blocks)
    with uncollected(len(text)):
        try:
            return converter.body([JsonReader(source).document()], top=True)
        except SyntaxProblem as problem:
            converter.note(problem)
        except RecursionError:
            converter.note(too_deep(0, len(source.text)))
    return nothing


class _Converter:
    """Turns JSON values into bodies and expressions."""

    def __init__(self, source: Source, diagnostics: Diagnostics, blocks: Mapping[str, int]) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.blocks = blocks
        self.errors = 0

    def note(self, problem: SyntaxProblem) -> None:
        """Note a problem, unless there are too many already."""
        self.errors += 1
        if self.errors <= MAX_ERRORS:
            at = self.source.span(problem.start, problem.end)
            self.diagnostics.error(problem.summary, problem.detail, at=at)

    def body(self, values: list[JsonValue], *, top: bool = False) -> Body:
        """Return the body that objects, or arrays of objects, make together."""
        attributes: dict[str, Attribute] = {}
        found: list[Block] = []
        keys: dict[str, String] = {}
        for value in (inner for outer in values for inner in _each(outer)):
            if not isinstance(value, Object):
                self._no_object(value, "A body")
                continue
            for key, inner in value.properties:
                if key.text == _COMMENT:
                    continue
                if not self._first(keys, key):
                    continue
                labels = self.blocks.get(key.text)
                if labels is not None and (top or _like_block(inner, labels)):
                    found.extend(self._blocks(key, inner, labels))
                else:
                    expr = self._walkable(self.expression(inner))
                    start = key.start + 1
                    attributes[key.text] = Attribute(start, inner.end, key.text, expr, self.source)
        return Body(values[0].start, values[-1].end, attributes, (*found,), self.source)

    def _walkable(self, expr: Expr) -> Expr:
        """Return the expression, or null for one whose tree is too high to walk."""
        if not isinstance(expr, TupleExpr | ObjectExpr) or height(expr) <= MAX_DEPTH:
            return expr
        self.note(too_deep(expr.start, expr.end))
        return Literal(expr.start, expr.end, None)

    def _first(self, keys: dict[str, String], key: String) -> bool:
        first = keys.setdefault(key.text, key)
        if first is key:
            return True
        line = self.source.span(first.start, first.end).line
        detail = f'"{key.text}" is set on line {line} already. Remove one of the two properties.'
        self.note(SyntaxProblem(DUPLICATE_KEY, detail, key.start, key.end))
        return False

    def _no_object(self, value: JsonValue, what: str) -> None:
        kind = {String: "a string", Scalar: "a number, a bool or null", Array: "an array"}
        detail = f"{what} is written as an object or an array of objects, not {kind[type(value)]}."
        self.note(SyntaxProblem(BAD_JSON_BLOCK, detail, value.start, value.end))

    def _blocks(self, kind: String, value: JsonValue, count: int) -> Iterator[Block]:
        """Yield the blocks of one type: below ``count`` levels of labels, objects are bodies."""
        waiting: list[tuple[JsonValue, tuple[String, ...]]] = [(value, ())]
        while waiting:
            outer, labels = waiting.pop(0)
            for inner in _each(outer):
                if isinstance(inner, Scalar) and inner.value is None:
                    continue
                if not isinstance(inner, Object):
                    what = f'A block of type "{kind.text}"'
                    if len(labels) < count:
                        what += f" has {counted(count, 'label')} as property names: its value"
                    self._no_object(inner, what)
                elif len(labels) == count:
                    yield self._block(kind, labels, inner)
                else:
                    keys: dict[str, String] = {}
                    waiting.extend(
                        (below, (*labels, key))
                        for key, below in inner.properties
                        if key.text != _COMMENT and self._first(keys, key)
                    )

    def _block(self, kind: String, labels: tuple[String, ...], value: Object) -> Block:
        last = labels[-1] if labels else kind
        return Block(
            kind.start,
            value.end,
            last.end,
            kind.text,
            tuple(Label(label.start, label.end, label.text) for label in labels),
            self.body([value]),
            self.source,
        )

    def expression(self, value: JsonValue) -> Expr:
        """Return the expression a value stands for."""
        match value:
            case String():
                return self._template(value)
            case Scalar(start=start, end=end, value=known):
                return Literal(start, end, known)
            case Array(start=start, end=end, items=items):
                return TupleExpr(start, end, tuple(self.expression(item) for item in items))
            case Object(start=start, end=end, properties=properties):
                keys: dict[str, String] = {}
                return ObjectExpr(
                    start,
                    end,
                    tuple(
                        (self._template(key), self.expression(inner))
                        for key, inner in properties
                        if self._first(keys, key)
                    ),
                )

    def _template(self, value: String) -> Expr:
        if "${" not in value.text and "%{" not in value.text:
            return Literal(value.start, value.end, value.text)
        places = offsets(self.source.text, value)
        try:
            expr = ExpressionScanner(Source(self.source.file, value.text)).whole_template()
        except SyntaxProblem as problem:
            start, end = places[problem.start], places[problem.end]
            self.note(SyntaxProblem(problem.summary, problem.detail, start, end))
            return Literal(value.start, value.end, None)
        moved: Expr = _moved(expr, places.__getitem__)
        return moved._replace(start=value.start, end=value.end)


def _each(value: JsonValue) -> tuple[JsonValue, ...]:
    return value.items if isinstance(value, Array) else (value,)


def _like_block(value: JsonValue, labels: int) -> bool:
    """Tell whether a value is built as blocks with so many labels are."""
    level = [value]
    for _ in range(labels + 1):
        inner = [item for outer in level for item in _each(outer)]
        if not inner or not all(isinstance(item, Object) for item in inner):
            return False
        level = [
            below for item in inner if isinstance(item, Object) for _, below in item.properties
        ]
    return True


def _moved(node: Any, place: Callable[[int], int]) -> Any:
    """Return a tree with its offsets carried over from a string's text to the file's."""
    if not isinstance(node, tuple):
        return node
    if not hasattr(node, "_fields"):
        return tuple(_moved(inner, place) for inner in node)
    inner = (_moved(field, place) for field in node[2:])
    make: Callable[..., Any] = type(node)
    return make(place(node[0]), place(node[1]), *inner)
