"""``for`` in brackets, braces and templates; tuple and object constructors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlform.lang.evaluator import Bound, Evaluator
from mlform.lang.marks import mark, reveal
from mlform.lang.numbers import counted
from mlform.lang.operations import OperationError, kind_of, text
from mlform.lang.weight import check_weight
from mlform.syntax import tree
from mlform.syntax.tree import Expr
from mlform.types import ANY, Primitive, Type
from mlform.values import UNKNOWN, SetValue, Unknown, Value

_BAD_KEY = "Invalid object key"


class Loop:
    """One pass of a ``for``. ``open`` and ``marked`` are told after it: a condition may say so."""

    def __init__(
        self,
        ev: Evaluator,
        expr: tree.ForTuple | tree.ForObject | tree.TemplateFor,
        bound: Bound,
    ) -> None:
        self.ev, self.expr, self.bound = ev, expr, bound
        self.collection, self.secret = reveal(ev.value(expr.collection, bound))
        self.marked = self.secret
        self.open = False
        check_weight(self.collection)

    def rounds(self, condition: Expr | None = None) -> Iterator[Bound]:
        """Yield the names of each round in which the condition holds."""
        expr = self.expr
        if condition is not None and not self._untyped() and not self._sound(condition):
            return
        for key, item in self._items():
            self.ev.count()
            inner = {**self.bound, expr.value: item}
            if expr.key is not None:
                inner[expr.key] = key
            if condition is None:
                yield inner
                continue
            chosen, mark_ = self.ev.condition(condition, inner, strict=True, quiet=self.open)
            self.marked |= mark_
            if isinstance(chosen, Unknown):
                self.open = True
            elif chosen:
                yield inner

    def _untyped(self) -> bool:
        """Tell whether what the loop goes through is of no known type: HCL looks no further."""
        return isinstance(self.collection, Unknown) and self.collection.type == ANY

    def _sound(self, condition: Expr) -> bool:
        """Tell whether a condition is one, whatever the loop goes through, if anything."""
        names = [n for n in (self.expr.value, self.expr.key) if n is not None]
        before = self.ev.faults
        open_ = {**self.bound, **dict.fromkeys(names, UNKNOWN)}
        self.ev.condition(condition, open_, strict=True)
        self.open |= self.ev.faults > before
        return not self.open

    def _items(self) -> Iterator[tuple[Value, Value]]:
        found = self.collection
        if isinstance(found, Mapping):
            return ((k, found[k]) for k in sorted(found))
        if isinstance(found, SetValue):
            return ((v, v) for v in found)
        if isinstance(found, list | tuple):
            return ((counted(i), v) for i, v in enumerate(found))
        self.open = True
        if not (isinstance(found, Unknown) and _many(found.type)):
            detail = f"A for goes through a list, set, map or object, not {kind_of(found)}."
            self.ev.fault("Not a collection", detail, self.expr.collection)
            self.marked = False
        return iter(())

    def result(self, value: Value, unknown: Unknown = UNKNOWN) -> Value:
        """Return what the loop made, or an unknown if a part of it is still open."""
        return mark(unknown if self.open else value, marked=self.marked)


def _many(type_: Type) -> bool:
    """Tell whether a loop goes through values of a type."""
    return type_ == ANY or not isinstance(type_, Primitive)


def for_tuple(ev: Evaluator, expr: tree.ForTuple, bound: Bound) -> Value:
    """``[for …]``."""
    loop = Loop(ev, expr, bound)
    with ev.hushed(marked=loop.secret):
        found = [ev.value(expr.result, inner) for inner in loop.rounds(expr.condition)]
    return loop.result(found)


def for_object(ev: Evaluator, expr: tree.ForObject, bound: Bound) -> Value:
    """``{for …}``."""
    loop = Loop(ev, expr, bound)
    found: dict[str, Any] = {}
    with ev.hushed(marked=loop.secret):
        for inner in loop.rounds(expr.condition):
            key, marked = object_key(ev, expr.key_result, inner, lenient=True, quiet=loop.open)
            loop.marked |= marked
            if key is None:
                loop.open = True
                continue
            value = ev.value(expr.result, inner)
            if expr.group:
                found.setdefault(key, []).append(value)
            elif key in found:
                detail = (
                    f'The key "{key}" comes up more than once. Make the keys unique, or add '
                    "... after the value to collect the values of each key."
                )
                hint = "A key comes up more than once."
                ev.error("Duplicate object key", detail, expr.key_result, marked=marked, hint=hint)
            else:
                found[key] = value
    return loop.result(found)


def object_key(
    ev: Evaluator, expr: Expr, bound: Bound, *, lenient: bool = False, quiet: bool = False
) -> tuple[str | None, bool]:
    """Return a key, ``None`` if it is unknown or wrong, and whether it is marked.

    What is unknown must be of a type that may be a key, unless this is ``lenient``. That a value
    is no key is not noted if this is ``quiet``.
    """
    key, marked = reveal(ev.value(expr, bound))
    if isinstance(key, Unknown) and (lenient or key.type == ANY or isinstance(key.type, Primitive)):
        return None, marked
    try:
        return text(key), marked
    except OperationError as error:
        if not quiet:
            ev.error(_BAD_KEY, f"As a key, {error}.", expr, marked=marked)
        return None, marked


def tuple_(ev: Evaluator, expr: tree.TupleExpr, bound: Bound) -> Value:
    """Return a tuple: ``[a, b]``."""
    return [ev.value(item, bound) for item in expr.items]


def object_(ev: Evaluator, expr: tree.ObjectExpr, bound: Bound) -> Value:
    """``{ key = value }``; of equal keys the last counts."""
    found: dict[str, Value] = {}
    secret = still_open = wrong = False
    for key_expr, value_expr in expr.items:
        unclear = isinstance(key_expr, tree.GetAttr)
        if unclear:
            detail = "To use the value as the key, put it in parentheses; as a text, in quotes."
            ev.fault("Ambiguous object key", detail, key_expr)
        before = ev.faults
        key, marked = object_key(ev, key_expr, bound, quiet=unclear)
        wrong |= ev.faults > before
        secret |= marked
        value = ev.value(value_expr, bound)
        if key is None:
            still_open = True
        else:
            found[key] = value
    return mark(UNKNOWN if still_open else found, marked=secret and not wrong)
