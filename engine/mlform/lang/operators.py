"""Literals, templates, operators and conditionals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from mlform.lang.bounds import (
    OPEN_BOOL,
    OPEN_NUMBER,
    OPEN_STRING,
    compared,
    either,
    may_be_null,
    no_null,
    starting,
)
from mlform.lang.conversion import ConversionError, convert, type_of, unify
from mlform.lang.evaluator import LONGEST, Bound, Evaluator, TooMuchError
from mlform.lang.graphemes import normal
from mlform.lang.loops import Loop
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.numbers import negative
from mlform.lang.operations import ARITHMETIC, OperationError, equal, scalar, text
from mlform.lang.unification import apart
from mlform.syntax import tree
from mlform.syntax.tree import Expr
from mlform.types import (
    ANY,
    BOOL,
    NUMBER,
    Collection,
    ObjectType,
    Primitive,
    TupleType,
    Type,
)
from mlform.values import (
    UNKNOWN,
    Handle,
    ListValue,
    MapValue,
    Null,
    SetValue,
    Unknown,
    Value,
    is_sensitive,
)

_BAD_OPERAND = "Invalid operand"
_UNLIKE = "Inconsistent conditional result types"


def literal(_ev: Evaluator, expr: tree.Literal, _bound: Bound) -> Value:
    """Return what is written, text in its composed form."""
    return normal(expr.value) if isinstance(expr.value, str) else expr.value


def inner(ev: Evaluator, expr: tree.Parens | tree.TemplateWrap, bound: Bound) -> Value:
    """Return the value inside, of whatever type."""
    return ev.value(expr.inner, bound)


def template(ev: Evaluator, expr: tree.Template, bound: Bound) -> Value:
    """Join the parts as text."""
    return _joined(ev, expr.parts, bound)


def template_if(ev: Evaluator, expr: tree.TemplateIf, bound: Bound) -> Value:
    """``%{ if }``."""
    condition, marked = ev.condition(expr.condition, bound)
    if isinstance(condition, Unknown):
        for parts in (expr.then, expr.otherwise):
            marked |= reveal(ev.unused(partial(_joined, parts=parts, bound=bound)))[1]
        return mark(OPEN_STRING, marked=marked and condition is not UNKNOWN)
    chosen, other = expr.then, expr.otherwise
    if not condition:
        chosen, other = other, chosen
    marked |= reveal(ev.unused(partial(_joined, parts=other, bound=bound)))[1]
    return mark(_joined(ev, chosen, bound), marked=marked)


def template_for(ev: Evaluator, expr: tree.TemplateFor, bound: Bound) -> Value:
    """``%{ for }``."""
    loop = Loop(ev, expr, bound)
    pieces: list[str] = []
    size = 0
    with ev.hushed(marked=loop.secret):
        for names in loop.rounds():
            piece, marked = reveal(_joined(ev, expr.parts, names))
            loop.marked |= marked
            if isinstance(piece, Unknown):
                loop.open = True
            else:
                pieces.append(piece)
                size += len(piece)
                if size > LONGEST:
                    raise TooMuchError(f"A template gives more than {LONGEST:,} characters")
    return loop.result(normal("".join(pieces)), OPEN_STRING)


def _joined(ev: Evaluator, parts: Sequence[Expr], bound: Bound) -> Value:
    pieces: list[str] = []
    secret = False
    before: Unknown | None = None
    for part in parts:
        found, marked = reveal(ev.value(part, bound))
        secret |= marked and found is not None and not isinstance(found, Null)
        if isinstance(found, Handle):
            found = found.digest
        if isinstance(found, Unknown):
            before = starting("".join(pieces)) if before is None else before
            continue
        try:
            pieces.append(text(found))
        except OperationError as error:
            detail = f"In a template, {error}."
            ev.error("Invalid template interpolation", detail, part, marked=marked)
            before = OPEN_STRING
    if sum(map(len, pieces)) > LONGEST:
        raise TooMuchError(f"A template gives more than {LONGEST:,} characters")
    return mark(normal("".join(pieces)) if before is None else before, marked=secret)


def unary(ev: Evaluator, expr: tree.Unary, bound: Bound) -> Value:
    """``-x`` and ``!x``."""
    found, marked = reveal(ev.value(expr.operand, bound))
    try:
        given = scalar(found, BOOL if expr.op == "!" else NUMBER)
    except OperationError as error:
        detail = f"For {expr.op}, {error}."
        ev.error(_BAD_OPERAND, detail, expr.operand, marked=marked)
        given = Unknown(BOOL if expr.op == "!" else NUMBER)
    if isinstance(given, Unknown):
        return mark(no_null(given.type), marked=marked)
    return mark(not given if expr.op == "!" else negative(given), marked=marked)


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
        known = not isinstance(same, Unknown)
        return mark(same == (expr.op == "==") if known else same, marked=marked)
    numbers: list[Value] = []
    for side, value, secret in (
        (expr.left, left, left_marked),
        (expr.right, right, right_marked),
    ):
        try:
            numbers.append(scalar(value, NUMBER))
        except OperationError as error:
            detail = f"For {expr.op}, {error}."
            numbers.append(ev.error(_BAD_OPERAND, detail, side, marked=secret))
    if any(isinstance(n, Unknown) for n in numbers):
        open_ = OPEN_NUMBER if expr.op in "+-*/%" else compared(expr.op, *numbers)
        return mark(open_, marked=marked)
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
    if left is not decisive and not isinstance(left, Unknown):
        right, right_marked = _side(ev, expr.right, expr.op, ev.value(expr.right, bound))
        found = OPEN_BOOL if isinstance(right, Unknown) else right
        return mark(found, marked=left_marked or right_marked)
    # The right side may only make sense where the left does not decide: x != null && x.y.
    with ev.aside() as problems:
        given = ev.value(expr.right, bound)
    ev.keep_mistakes(problems)
    if problems.errors or (left is decisive and reveal(given)[0] is None):
        return mark(left, marked=left_marked or bare(given)[1])
    right, right_marked = _side(ev, expr.right, expr.op, given)
    found = decisive if decisive in (left, right) else OPEN_BOOL
    return mark(found, marked=left_marked or right_marked)


def _side(ev: Evaluator, expr: Expr, op: str, value: Value) -> tuple[Value, bool]:
    found, marked = reveal(value)
    try:
        return scalar(found, BOOL), marked
    except OperationError as error:
        return ev.error(_BAD_OPERAND, f"For {op}, {error}.", expr, marked=marked), marked


def conditional(ev: Evaluator, expr: tree.Conditional, bound: Bound) -> Value:
    """``condition ? then : otherwise``; both sides become one type."""
    condition, marked = ev.condition(expr.condition, bound)
    if isinstance(condition, Unknown):
        sides = [_aside(ev, side, bound) for side in (expr.then, expr.otherwise)]
        marked |= any(reveal(side)[1] for side in sides)
        type_ = _common(ev, expr, sides[0], sides[1])
        if type_ is None or condition is UNKNOWN:
            # What is no condition leaves no mark; so no names of secret attributes either.
            hidden = type_ is None or (marked and _has_names(type_))
            return UNKNOWN if type_ is None or hidden else Unknown(type_)
        return mark(_either(sides[0], sides[1], type_), marked=marked)
    chosen_expr, other_expr = expr.then, expr.otherwise
    if not condition:
        chosen_expr, other_expr = other_expr, chosen_expr
    chosen = ev.value(chosen_expr, bound)
    other = _aside(ev, other_expr, bound)
    marked |= reveal(other)[1]
    type_ = _common(ev, expr, *((chosen, other) if condition else (other, chosen)))
    if type_ is None:
        return UNKNOWN
    plain = reveal(chosen)[0]
    if plain is not None and type_of(plain) in {ANY, type_}:
        return mark(chosen, marked=marked)
    try:
        _alike_enough(plain, type_)
        return mark(convert(chosen, type_), marked=marked)
    except ConversionError as error:
        detail = f"Both results become {type_}, and this one cannot: {error}."
        ev.error(_UNLIKE, detail, chosen_expr, marked=bare(chosen)[1])
        return mark(Unknown(type_), marked=marked)


def _has_names(type_: Type) -> bool:
    """Tell whether a type has attributes, whose names may be secret."""
    match type_:
        case ObjectType(attributes=attributes):
            return bool(attributes)
        case Collection(element=element):
            return _has_names(element)
        case TupleType(elements=elements):
            return any(map(_has_names, elements))
        case _:
            return False


def _alike_enough(value: Value, type_: Type) -> None:
    """Raise ``ConversionError`` if parts differ that become a collection of no type yet."""
    parts = value.values() if isinstance(value, Mapping) else value
    plain = type(value) in {list, tuple, dict}
    open_ = type_ in {Collection("list", ANY), Collection("map", ANY)}
    if not (plain and open_ and isinstance(parts, Iterable)):
        return
    types = {type_of(v) for v in parts} - {ANY}
    if len(types) > 1 and not all(isinstance(t, Primitive) for t in types):
        raise ConversionError("", "all elements must have the same type")


def _aside(ev: Evaluator, expr: Expr, bound: Bound) -> Value:
    """Return a result that may not be needed: what is wrong with it is no error here."""
    if isinstance(expr, tree.Literal):
        return ev.value(expr, bound)
    return ev.unused(lambda aside: aside.value(expr, bound))


def _either(left: Value, right: Value, type_: Type) -> Value:
    """Return what is known of a value that is one of two: it may be the same in both."""
    one, other = reveal(left)[0], reveal(right)[0]
    if isinstance(one, Null | None) and isinstance(other, Null | None):
        return convert(None, type_)
    if isinstance(one, int | Decimal) and type_ == NUMBER and equal(one, other) is True:
        return one
    if isinstance(type_, Collection) and type_of(one) != type_of(other):
        # One is converted, and cty tells no more of it then.
        open_ = may_be_null(one) or may_be_null(other)
        return Unknown(type_) if open_ else no_null(type_)
    both = (ListValue, SetValue, MapValue)
    if isinstance(one, both) and isinstance(other, both) and isinstance(type_, Collection):
        size = len(one) if len(one) == len(other) else None
        if size is not None and (
            type_.name == "list" or size == 0 or (size, type_.name) == (1, "set")
        ):
            made: Value = [Unknown(type_.element)] * size if type_.name != "map" else {}
            return convert(made, type_)
    return either(one, other, type_)


def _common(ev: Evaluator, expr: tree.Conditional, left: Value, right: Value) -> Type | None:
    """Return the type of both results, or note that there is none."""
    types = [type_of(side) for side in (left, right)]
    # A sensitive null is not the null that takes the type of the other.
    for side, other in zip((left, right), reversed(types), strict=True):
        if side is None:
            return other
    if ANY in types:
        return ANY
    found = unify(types)
    if found is not None:
        return found
    shown = sorted(map(str, types))
    detail = (
        f"Both results must be of one type, and no type fits both {shown[0]} and {shown[1]}. "
        f"{apart(types[0], types[1])}"
    ).rstrip()
    secret = bare(left)[1] or bare(right)[1]
    hint = "Give both results the same type."
    ev.error(_UNLIKE, detail, expr, marked=secret, hint=hint)
    return None
