"""Arguments written as blocks: ``window { rows = 500 }`` says ``window = { rows = 500 }``.

``dynamic`` makes such blocks from a collection. Both become expressions here, so that nothing
further in knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlform.config.blocks import Reader
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.syntax.tree import (
    Attribute,
    Block,
    Body,
    Call,
    Expr,
    ForTuple,
    Literal,
    Name,
    ObjectExpr,
    TupleExpr,
)

_META = ("lifecycle", "resources", "retry")


def with_blocks(
    block: Block, fields: Mapping[str, FieldInfo], diagnostics: Diagnostics
) -> dict[str, Attribute]:
    """Return the arguments of a resource block, those written as blocks too."""
    return _Nested(diagnostics).read(block.body, fields, block)


class _Nested:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics, self.reader = diagnostics, Reader(diagnostics)

    def read(
        self, body: Body, fields: Mapping[str, FieldInfo], owner: Block
    ) -> dict[str, Attribute]:
        found = dict(body.attributes)
        made: dict[str, list[tuple[Block, Expr, bool]]] = {}
        for inner in body.blocks:
            name = inner.kind
            if name in _META:
                continue
            if name == "dynamic":
                name = inner.labels[0].text if len(inner.labels) == 1 else ""
            model = _model(fields.get(name))
            if model is None:
                self._unexpected(inner, name, fields, owner)
            elif name in body.attributes:
                detail = f'"{name}" is given as an argument already. Keep one.'
                self.diagnostics.error("Unexpected block", detail, at=inner.header_span)
            else:
                many = inner.kind == "dynamic"
                expr = self._dynamic(inner, model) if many else self._object(inner, model)
                if expr is not None:
                    made.setdefault(name, []).append((inner, expr, many))
        for name, items in made.items():
            found[name] = self._argument(name, items, fields[name])
        return found

    def _unexpected(
        self, inner: Block, name: str, fields: Mapping[str, FieldInfo], owner: Block
    ) -> None:
        known = [n for n, info in fields.items() if _model(info)]
        what = ".".join([owner.kind, *(label.text for label in owner.labels[-1:])])
        detail = f'{what} holds no block "{name}".{did_you_mean(name, [*known, *_META])}'
        if name in fields:
            detail += f" It is an argument: write `{name} = {{ … }}`."
        self.diagnostics.error("Unexpected block", detail, at=inner.header_span)

    def _argument(
        self, name: str, items: list[tuple[Block, Expr, bool]], info: FieldInfo
    ) -> Attribute:
        first, last = items[0][0], items[-1][0]
        if _is_list(info):
            parts = [e if many else TupleExpr(e[0], e[1], (e,)) for _, e, many in items]
            expr: Expr = parts[0]
            if len(parts) > 1:
                expr = Call(first.start, last.end, "concat", tuple(parts), expand=False)
        else:
            for second, _, _ in items[1:]:
                detail = f"There is one {name} block already, at {first.header_span}. Keep one."
                self.diagnostics.error("Duplicate block", detail, at=second.header_span)
            expr = items[0][1]
            if items[0][2]:
                expr = Call(first.start, first.end, "one", (expr,), expand=False)
        return Attribute(first.start, last.end, name, expr, first.source)

    def _object(self, block: Block, model: type[BaseModel]) -> Expr:
        fields = {info.alias or n: info for n, info in model.model_fields.items()}
        attributes = self.read(block.body, fields, block)
        for label in block.labels:
            detail = f"A {block.kind} block takes no label."
            at = block.source.span(label.start, label.end)
            self.diagnostics.error("Wrong number of labels", detail, at=at)
        items = tuple(
            (Literal(a.start, a.start + len(a.name), name), a.expr)
            for name, a in attributes.items()
        )
        return ObjectExpr(block.body.start, block.body.end, items)

    def _dynamic(self, block: Block, model: type[BaseModel]) -> Expr | None:
        self.reader.only(block, ("for_each", "iterator", "labels"), ("content",))
        given = self.reader.required(block, "for_each")
        content = self.reader.once(block, "content")
        if given is None or content is None:
            if content is None:
                detail = 'A dynamic block needs a block "content": what each block made holds.'
                self.diagnostics.error("Missing block", detail, at=block.header_span)
            return None
        iterator = block.labels[0].text
        if (named := block.body.attributes.get("iterator")) is not None:
            if not isinstance(named.expr, Name):
                detail = "`iterator` is a plain name: what the element is called in `content`."
                self.diagnostics.error("Invalid argument", detail, at=named.value_span)
                return None
            iterator = named.expr.name
        return _for_each(iterator, given[0].expr, self._object(content, model))


def _for_each(iterator: str, collection: Expr, result: Expr) -> Expr:
    """Return ``[for it in [for k, v in collection : {key = k, value = v}] : result]``."""
    start, end = collection[0], collection[1]
    pair = ObjectExpr(
        start,
        end,
        (
            (Literal(start, end, "key"), Name(start, end, "key")),
            (Literal(start, end, "value"), Name(start, end, "value")),
        ),
    )
    pairs = ForTuple(start, end, "key", "value", collection, pair, None)
    return ForTuple(result[0], result[1], None, iterator, pairs, result, None)


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, UnionType}:
        return [o for a in get_args(annotation) for o in _options(a)]
    return [annotation]


def _model(info: FieldInfo | None) -> type[BaseModel] | None:
    """Return the shape of an argument that can be written as a block."""
    for option in _options(info.annotation) if info is not None else ():
        inner = get_args(option)[0] if get_origin(option) in {list, tuple} else option
        for candidate in _options(inner):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                return candidate
    return None


def _is_list(info: FieldInfo) -> bool:
    return any(get_origin(o) in {list, tuple} for o in _options(info.annotation))
