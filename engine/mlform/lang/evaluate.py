"""What an expression is worth in a scope. Unknown in, unknown out; marks are never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.functions import FUNCTIONS, special
from mlform.lang.operations import (
    ARITHMETIC,
    OperationError,
    boolean,
    equal,
    kind_of,
    number,
    reveal,
    text,
)
from mlform.syntax import tree
from mlform.syntax.tree import Expr, Source
from mlform.values import UNKNOWN, Handle, Sensitive, Value

Scope: TypeAlias = Mapping[str, Value]
"""Root name → value: ``var``, ``local``, and one entry for each resource kind."""

_ITEM: Final = "\0item"


def evaluate(expr: Expr, scope: Scope, diagnostics: Diagnostics, source: Source) -> Value:
    """Return the value of ``expr``. An error is noted once and stands as UNKNOWN from there on."""
    return _Evaluator(diagnostics, source).value(expr, scope)


class _Evaluator:
    def __init__(self, diagnostics: Diagnostics, source: Source) -> None:
        self.diagnostics, self.source = diagnostics, source

    def value(self, expr: Expr, scope: Scope) -> Value:
        return _DISPATCH[type(expr)](self, expr, scope)

    def error(self, summary: str, detail: str, expr: Expr) -> Value:
        self.diagnostics.error(summary, detail, at=self.source.span(expr[0], expr[1]))
        return UNKNOWN

    def literal(self, expr: tree.Literal, scope: Scope) -> Value:
        return expr.value

    def parens(self, expr: tree.Parens | tree.TemplateWrap, scope: Scope) -> Value:
        return self.value(expr.inner, scope)

    def template(self, expr: tree.Template, scope: Scope) -> Value:
        return self._joined(expr.parts, scope)

    def _joined(self, parts: tuple[Expr, ...], scope: Scope) -> Value:
        pieces: list[str] = []
        marked = unknown = False
        for part in parts:
            found, mark = reveal(self.value(part, scope))
            marked |= mark
            if found is UNKNOWN or (isinstance(found, Handle) and found.digest is UNKNOWN):
                unknown = True
                continue
            try:
                pieces.append(text(found))
            except OperationError as error:
                self.error("Invalid template interpolation", f"In a template, {error}.", part)
                unknown = True
        result: Value = UNKNOWN if unknown else "".join(pieces)
        return Sensitive(result) if marked else result

    def template_if(self, expr: tree.TemplateIf, scope: Scope) -> Value:
        condition, marked = self._condition(expr.condition, scope)
        if condition is UNKNOWN:
            return _mark(UNKNOWN, marked)
        return _mark(self._joined(expr.then if condition else expr.otherwise, scope), marked)

    def template_for(self, expr: tree.TemplateFor, scope: Scope) -> Value:
        items, marked = self._items(expr.collection, scope)
        if items is None:
            return _mark(UNKNOWN, marked)
        pieces: list[Value] = []
        for key, item in items:
            inner = {**scope, expr.value: item} | ({expr.key: key} if expr.key else {})
            pieces.append(self._joined(expr.parts, inner))
        shown = [reveal(p) for p in pieces]
        if any(v is UNKNOWN for v, _ in shown):
            return _mark(UNKNOWN, marked or any(m for _, m in shown))
        return _mark("".join(str(v) for v, _ in shown), marked or any(m for _, m in shown))

    def name(self, expr: tree.Name, scope: Scope) -> Value:
        if expr.name in scope:
            return scope[expr.name]
        detail = f'There is no "{expr.name}" here.{did_you_mean(expr.name, scope)}'
        return self.error("Unknown reference", detail, expr)

    def get_attr(self, expr: tree.GetAttr, scope: Scope) -> Value:
        target, marked = reveal(self.value(expr.target, scope))
        return _mark(self._step(target, expr.name, expr), marked)

    def index(self, expr: tree.Index, scope: Scope) -> Value:
        target, marked = reveal(self.value(expr.target, scope))
        key, mark = reveal(self.value(expr.key, scope))
        if target is UNKNOWN or key is UNKNOWN:
            return _mark(UNKNOWN, marked or mark)
        if isinstance(target, list | tuple):
            return _mark(self._item(target, key, expr), marked or mark)
        try:
            return _mark(self._step(target, text(key), expr), marked or mark)
        except OperationError as error:
            return self.error("Invalid index", f"The index: {error}.", expr.key)

    def _item(self, target: Any, key: Value, expr: tree.Index) -> Value:
        try:
            at = number(key)
        except OperationError as error:
            return self.error("Invalid index", f"A list takes a number: {error}.", expr.key)
        if not isinstance(at, int) or not 0 <= at < len(target):
            detail = f"The list has {len(target)} element(s); there is none at {at}."
            return self.error("Invalid index", detail, expr.key)
        found: Value = target[at]
        return found

    def _step(self, target: Value, name: str, expr: Expr) -> Value:
        if target is UNKNOWN:
            return UNKNOWN
        if isinstance(target, Handle):
            if name in target.attributes:
                return target.attributes[name]
            if target.digest is UNKNOWN and target.attribute is not None:
                return UNKNOWN
            known = ", ".join(target.attributes)
            detail = (
                f'{target.address} gives no "{name}".{did_you_mean(name, target.attributes)} '
                f"It gives {known}."
            )
            return self.error("Unknown attribute", detail, expr)
        if isinstance(target, Mapping):
            if name in target:
                return target[name]
            detail = f'There is no "{name}" in this object.{did_you_mean(name, target)}'
            return self.error("Unknown attribute", detail, expr)
        if target is None:
            return self.error("Value is null", f'A null value has no "{name}".', expr)
        detail = f'A {kind_of(target)} has no attributes, so no "{name}".'
        return self.error("Unknown attribute", detail, expr)

    def splat(self, expr: tree.Splat, scope: Scope) -> Value:
        found, marked = reveal(self.value(expr.source, scope))
        if found is UNKNOWN:
            return _mark(UNKNOWN, marked)
        items = [] if found is None else found if isinstance(found, list | tuple) else [found]
        return _mark([self.value(expr.each, {**scope, _ITEM: i}) for i in items], marked)

    def splat_item(self, expr: tree.SplatItem, scope: Scope) -> Value:
        return scope[_ITEM]

    def tuple_(self, expr: tree.TupleExpr, scope: Scope) -> Value:
        return [self.value(item, scope) for item in expr.items]

    def object_(self, expr: tree.ObjectExpr, scope: Scope) -> Value:
        found: dict[str, Value] = {}
        marked = False
        for key_expr, value_expr in expr.items:
            key, mark = reveal(self.value(key_expr, scope))
            marked |= mark
            if key is UNKNOWN:
                return UNKNOWN
            try:
                name = text(key)
            except OperationError as error:
                self.error("Invalid object key", f"The key: {error}.", key_expr)
                continue
            found[name] = self.value(value_expr, scope)
        return _mark(found, marked)

    def _items(self, expr: Expr, scope: Scope) -> tuple[list[tuple[Value, Value]] | None, bool]:
        found, marked = reveal(self.value(expr, scope))
        if found is UNKNOWN:
            return None, marked
        if isinstance(found, Mapping):
            return [(k, found[k]) for k in sorted(found)], marked
        if isinstance(found, list | tuple):
            return list(enumerate(found)), marked
        detail = f"A `for` goes through a list, set, map or object, not {kind_of(found)}."
        self.error("Not a collection", detail, expr)
        return None, marked

    def _chosen(
        self, expr: tree.ForTuple | tree.ForObject, scope: Scope
    ) -> tuple[Iterator[Scope] | None, bool]:
        items, marked = self._items(expr.collection, scope)
        if items is None:
            return None, marked
        inner: list[Scope] = []
        for key, item in items:
            bound = {**scope, expr.value: item} | ({expr.key: key} if expr.key else {})
            if expr.condition is not None:
                condition, mark = self._condition(expr.condition, bound)
                marked |= mark
                if condition is UNKNOWN:
                    return None, marked
                if not condition:
                    continue
            inner.append(bound)
        return iter(inner), marked

    def for_tuple(self, expr: tree.ForTuple, scope: Scope) -> Value:
        chosen, marked = self._chosen(expr, scope)
        if chosen is None:
            return _mark(UNKNOWN, marked)
        return _mark([self.value(expr.result, inner) for inner in chosen], marked)

    def for_object(self, expr: tree.ForObject, scope: Scope) -> Value:
        chosen, marked = self._chosen(expr, scope)
        if chosen is None:
            return _mark(UNKNOWN, marked)
        found: dict[str, Any] = {}
        for inner in chosen:
            key, mark = reveal(self.value(expr.key_result, inner))
            marked |= mark
            if key is UNKNOWN:
                return _mark(UNKNOWN, marked)
            try:
                name = text(key)
            except OperationError as error:
                return self.error("Invalid object key", f"The key: {error}.", expr.key_result)
            value = self.value(expr.result, inner)
            if expr.group:
                found.setdefault(name, []).append(value)
            elif name in found:
                detail = f'The key "{name}" comes up twice. Group with `...`, or make keys unique.'
                return self.error("Duplicate object key", detail, expr.key_result)
            else:
                found[name] = value
        return _mark(found, marked)

    def call(self, expr: tree.Call, scope: Scope) -> Value:
        if (handler := special(expr.name)) is not None:
            return handler(self, expr, scope)
        function = FUNCTIONS.get(expr.name)
        if function is None:
            detail = f'There is no function "{expr.name}".{did_you_mean(expr.name, FUNCTIONS)}'
            return self.error("Unknown function", detail, expr)
        found = [reveal(self.value(a, scope)) for a in expr.arguments]
        marked = any(mark for _, mark in found)
        values: list[Any] = [value for value, _ in found]
        if expr.expand and values:
            *values, last = values
            if last is UNKNOWN:
                return _mark(UNKNOWN, marked)
            if not isinstance(last, list | tuple):
                return self.error("Invalid expansion", "`...` takes a list.", expr.arguments[-1])
            values += last
        if any(v is UNKNOWN for v in values) and not function.lazy:
            return _mark(UNKNOWN, marked)
        try:
            return _mark(function.run(*values), marked)
        except OperationError as error:
            shown = "the values are sensitive" if marked else str(error)
            return self.error("Error in function call", f"{expr.name}: {shown}.", expr)
        except TypeError:
            detail = f"{expr.name} takes {function.shape}; it was given {len(values)} argument(s)."
            return self.error("Wrong number of arguments", detail, expr)

    def unary(self, expr: tree.Unary, scope: Scope) -> Value:
        found, marked = reveal(self.value(expr.operand, scope))
        if found is UNKNOWN:
            return _mark(UNKNOWN, marked)
        try:
            result: Value = not boolean(found) if expr.op == "!" else -number(found)
        except OperationError as error:
            return self.error("Invalid operand", f"`{expr.op}`: {error}.", expr.operand)
        return _mark(result, marked)

    def binary(self, expr: tree.Binary, scope: Scope) -> Value:
        left, left_mark = reveal(self.value(expr.left, scope))
        right, right_mark = reveal(self.value(expr.right, scope))
        marked = left_mark or right_mark
        if expr.op in {"==", "!="}:
            same = equal(left, right)
            result = same if same is UNKNOWN or expr.op == "==" else not same
            return _mark(result, marked)
        if expr.op in {"&&", "||"}:
            return _mark(self._logic(expr, left, right), marked)
        if left is UNKNOWN or right is UNKNOWN:
            return _mark(UNKNOWN, marked)
        try:
            return _mark(ARITHMETIC[expr.op](number(left), number(right)), marked)
        except OperationError as error:
            shown = "the values are sensitive" if marked else str(error)
            return self.error("Invalid operand", f"`{expr.op}`: {shown}.", expr)

    def _logic(self, expr: tree.Binary, left: Value, right: Value) -> Value:
        decisive = expr.op == "||"
        found: list[Value] = []
        for side, value in ((expr.left, left), (expr.right, right)):
            if value is UNKNOWN:
                found.append(UNKNOWN)
                continue
            try:
                found.append(boolean(value))
            except OperationError as error:
                return self.error("Invalid operand", f"`{expr.op}`: {error}.", side)
        if decisive in found:
            return decisive
        return UNKNOWN if UNKNOWN in found else not decisive

    def conditional(self, expr: tree.Conditional, scope: Scope) -> Value:
        condition, marked = self._condition(expr.condition, scope)
        if condition is UNKNOWN:
            return _mark(UNKNOWN, marked)
        return _mark(self.value(expr.then if condition else expr.otherwise, scope), marked)

    def _condition(self, expr: Expr, scope: Scope) -> tuple[Any, bool]:
        found, marked = reveal(self.value(expr, scope))
        if found is UNKNOWN:
            return UNKNOWN, marked
        try:
            return boolean(found), marked
        except OperationError as error:
            return self.error("Invalid condition", f"The condition: {error}.", expr), marked


def _mark(value: Value, marked: bool) -> Value:  # noqa: FBT001 - it is the mark
    return Sensitive(value) if marked and not isinstance(value, Sensitive) else value


_DISPATCH: Final[Mapping[type, Callable[[_Evaluator, Any, Scope], Value]]] = {
    tree.Literal: _Evaluator.literal,
    tree.Template: _Evaluator.template,
    tree.TemplateWrap: _Evaluator.parens,
    tree.TemplateIf: _Evaluator.template_if,
    tree.TemplateFor: _Evaluator.template_for,
    tree.Name: _Evaluator.name,
    tree.GetAttr: _Evaluator.get_attr,
    tree.Index: _Evaluator.index,
    tree.Splat: _Evaluator.splat,
    tree.SplatItem: _Evaluator.splat_item,
    tree.TupleExpr: _Evaluator.tuple_,
    tree.ObjectExpr: _Evaluator.object_,
    tree.ForTuple: _Evaluator.for_tuple,
    tree.ForObject: _Evaluator.for_object,
    tree.Call: _Evaluator.call,
    tree.Unary: _Evaluator.unary,
    tree.Binary: _Evaluator.binary,
    tree.Conditional: _Evaluator.conditional,
    tree.Parens: _Evaluator.parens,
}

__all__ = ["Decimal", "Scope", "evaluate"]
