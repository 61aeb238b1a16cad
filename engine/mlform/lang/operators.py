"""Literals, templates, operators and conditionals."""

from __future__ import annotations

from collections.abc import Sequence

from mlform.lang.conversion import convert, type_of, unify
from mlform.lang.evaluator import Bound, Evaluator
from mlform.lang.graphemes import normal
from mlform.lang.loops import Loop
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import ARITHMETIC, OperationError, boolean, equal, number, text
from mlform.syntax import tree
from mlform.syntax.tree import Expr
from mlform.values import UNKNOWN, Handle, Value, is_sensitive

_BAD_OPERAND = "Invalid operand"


def literal(_ev: Evaluator, expr: tree.Literal, _bound: Bound) -> Value:
    """Return what is written."""
    return expr.value


def inner(ev: Evaluator, expr: tree.Parens | tree.TemplateWrap, bound: Bound) -> Value:
    """Return the value inside, of whatever type."""
    return ev.value(expr.inner, bound)


def template(ev: Evaluator, expr: tree.Template, bound: Bound) -> Value:
    """Join the parts as text."""
    return _joined(ev, expr.parts, bound)


def template_if(ev: Evaluator, expr: tree.TemplateIf, bound: Bound) -> Value:
    """``%{ if }``."""
    condition, marked = ev.condition(expr.condition, bound)
    if condition is UNKNOWN:
        for parts in (expr.then, expr.otherwise):
            marked |= reveal(_joined(ev, parts, bound))[1]
        return mark(UNKNOWN, marked=marked)
    chosen = expr.then if condition else expr.otherwise
    return mark(_joined(ev, chosen, bound), marked=marked)


def template_for(ev: Evaluator, expr: tree.TemplateFor, bound: Bound) -> Value:
    """``%{ for }``."""
    loop = Loop(ev, expr, bound)
    pieces: list[str] = []
    with ev.hushed(marked=loop.secret):
        for names in loop.rounds():
            piece, marked = reveal(_joined(ev, expr.parts, names))
            loop.marked |= marked
            if piece is UNKNOWN:
                loop.open = True
            else:
                pieces.append(piece)
    return loop.result(normal("".join(pieces)))


def _joined(ev: Evaluator, parts: Sequence[Expr], bound: Bound) -> Value:
    pieces: list[str] = []
    secret = still_open = False
    for part in parts:
        found, marked = reveal(ev.value(part, bound))
        secret |= marked
        if isinstance(found, Handle):
            found = found.digest
        if found is UNKNOWN:
            still_open = True
            continue
        try:
            pieces.append(text(found))
        except OperationError as error:
            secret |= is_sensitive(found)
            detail = f"In a template, {error}."
            ev.error("Invalid template interpolation", detail, part, marked=marked)
            still_open = True
    return mark(UNKNOWN if still_open else normal("".join(pieces)), marked=secret)


def unary(ev: Evaluator, expr: tree.Unary, bound: Bound) -> Value:
    """``-x`` and ``!x``."""
    found, marked = reveal(ev.value(expr.operand, bound))
    if found is UNKNOWN:
        return mark(UNKNOWN, marked=marked)
    try:
        result: Value = not boolean(_given(found)) if expr.op == "!" else -number(_given(found))
    except OperationError as error:
        detail = f"For {expr.op}, {error}."
        result = ev.error(_BAD_OPERAND, detail, expr.operand, marked=marked)
    return mark(result, marked=marked)


def _given(value: Value) -> Value:
    if value is None:
        raise OperationError("a value is required, not null")
    return value


def binary(ev: Evaluator, expr: tree.Binary, bound: Bound) -> Value:
    """``left op right``."""
    if expr.op in {"&&", "||"}:
        return _logic(ev, expr, bound)
    left, left_marked = reveal(ev.value(expr.left, bound))
    right, right_marked = reveal(ev.value(expr.right, bound))
    marked = left_marked or right_marked
    if expr.op in {"==", "!="}:
        marked = marked or is_sensitive(left) or is_sensitive(right)
        same = equal(left, right)
        return mark(same if same is UNKNOWN else same == (expr.op == "=="), marked=marked)
    numbers: list[Value] = []
    for side, value, secret in (
        (expr.left, left, left_marked),
        (expr.right, right, right_marked),
    ):
        try:
            numbers.append(UNKNOWN if value is UNKNOWN else number(_given(value)))
        except OperationError as error:
            detail = f"For {expr.op}, {error}."
            numbers.append(ev.error(_BAD_OPERAND, detail, side, marked=secret))
    if UNKNOWN in numbers:
        return mark(UNKNOWN, marked=marked)
    try:
        result: Value = ARITHMETIC[expr.op](*numbers)
    except OperationError as error:
        result = ev.error("Invalid operation", f"{_capital(str(error))}.", expr, marked=marked)
    return mark(result, marked=marked)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _logic(ev: Evaluator, expr: tree.Binary, bound: Bound) -> Value:
    decisive = expr.op == "||"
    left, left_marked = _side(ev, expr.left, expr.op, ev.value(expr.left, bound))
    if left is not decisive and left is not UNKNOWN:
        right, right_marked = _side(ev, expr.right, expr.op, ev.value(expr.right, bound))
        return mark(right, marked=left_marked or right_marked)
    # The right side may only make sense where the left does not decide: x != null && x.y.
    with ev.aside() as problems:
        given = ev.value(expr.right, bound)
    ev.keep_mistakes(problems)
    if problems.errors or (left is decisive and reveal(given)[0] is None):
        return mark(left, marked=left_marked or bare(given)[1])
    right, right_marked = _side(ev, expr.right, expr.op, given)
    found = decisive if decisive in (left, right) else UNKNOWN
    return mark(found, marked=left_marked or right_marked)


def _side(ev: Evaluator, expr: Expr, op: str, value: Value) -> tuple[Value, bool]:
    found, marked = reveal(value)
    if found is UNKNOWN:
        return UNKNOWN, marked
    try:
        return boolean(_given(found)), marked
    except OperationError as error:
        return ev.error(_BAD_OPERAND, f"For {op}, {error}.", expr, marked=marked), marked


def conditional(ev: Evaluator, expr: tree.Conditional, bound: Bound) -> Value:
    """``condition ? then : otherwise``; both sides become one type."""
    condition, marked = ev.condition(expr.condition, bound)
    if condition is UNKNOWN:
        found = [ev.value(expr.then, bound), ev.value(expr.otherwise, bound)]
        _unified(ev, expr, found[0], found[1], UNKNOWN)
        return mark(UNKNOWN, marked=marked or any(map(is_sensitive, found)))
    chosen_expr, other_expr = expr.then, expr.otherwise
    if not condition:
        chosen_expr, other_expr = other_expr, chosen_expr
    chosen = ev.value(chosen_expr, bound)
    with ev.aside() as problems:
        other = ev.value(other_expr, bound)
    ev.keep_mistakes(problems)
    return mark(_unified(ev, expr, chosen, other, chosen), marked=marked)


def _unified(
    ev: Evaluator, expr: tree.Conditional, left: Value, right: Value, chosen: Value
) -> Value:
    left_bare, right_bare = reveal(left)[0], reveal(right)[0]
    if left_bare is None or right_bare is None or UNKNOWN in (left_bare, right_bare):
        return chosen
    if type(left_bare) is type(right_bare) and isinstance(left_bare, str | int | Handle):
        return chosen
    types = type_of(left_bare), type_of(right_bare)
    found = unify(types)
    if found is not None:
        return convert(chosen, found)
    shown = sorted(map(str, types))
    detail = f"Both results must be of one type, and no type fits both {shown[0]} and {shown[1]}."
    secret = bare(left)[1] or bare(right)[1]
    hint = "Give both results the same type."
    return ev.error("Inconsistent conditional result types", detail, expr, marked=secret, hint=hint)
