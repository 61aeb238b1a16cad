"""Function calls: arguments, their checks, and errors at the argument that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from mlform.diagnostics import did_you_mean
from mlform.lang.evaluator import UNKNOWN_FUNCTION, WRONG_COUNT, Bound, Evaluator
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError, kind_of
from mlform.lang.registry import Function, Special, World
from mlform.syntax.tree import Call, Expr
from mlform.values import UNKNOWN, Value, is_known

_ARGUMENT: Final = "Invalid function argument"
_FAILED: Final = "Error in function call"
_SCALARS: Final = (str, int, float)


@cache
def _functions() -> Mapping[str, Function | Special]:
    # Imported at the first call, not before: reading a spec for its references needs none.
    found: Mapping[str, Function | Special] = import_module("mlform.lang.functions").FUNCTIONS
    return found


def functions() -> list[str]:
    """Return the names of the built-in functions, in order."""
    return sorted(_functions())


def call(ev: Evaluator, expr: Call, bound: Bound) -> Value:
    """``name(arguments…)``."""
    function = _functions().get(expr.name.removeprefix("core::"))
    if function is None:
        return _no_function(ev, expr, bound)
    if isinstance(function, Special):
        problem = function.wrong_count(len(expr.arguments), expand=expr.expand)
        if problem:
            return ev.fault(WRONG_COUNT, f"{expr.name} {problem}.", expr)
        return function.run(ev, expr, bound)
    given = [(*_reveal(ev.value(a, bound), function), a) for a in expr.arguments]
    marked = any(m for _, m, _ in given)
    if expr.expand and given:
        expanded = _expand(ev, given, function)
        if expanded is None:
            return mark(UNKNOWN, marked=marked)
        given = expanded
        marked = marked or any(m for _, m, _ in given)
    values = [v for v, _, _ in given]
    problem = function.wrong_count(len(values))
    if problem:
        return ev.error(
            WRONG_COUNT,
            f"{expr.name} {problem}.",
            expr,
            marked=marked and expr.expand,
            hint="Count.",
        )
    taken = _take(ev, function, values, [a for _, _, a in given], marked=marked)
    if taken is None:
        return mark(UNKNOWN, marked=marked)
    try:
        return mark(_run(ev, function, taken), marked=marked)
    except OperationError as error:
        at: Expr = expr
        summary, detail = _FAILED, f"{expr.name}: {error}."
        if error.argument is not None and error.argument < len(given):
            at, summary = given[error.argument][2], _ARGUMENT
        return mark(ev.error(summary, detail, at, marked=marked), marked=marked)
    except RecursionError:
        detail = f"{expr.name}: the values are nested too deeply."
        return mark(ev.fault(_FAILED, detail, expr), marked=marked)


def _run(ev: Evaluator, function: Function, taken: list[Any]) -> Value:
    if function.world:
        return function.run(World.of(ev.scope), *taken)
    return function.run(*taken)


def _no_function(ev: Evaluator, expr: Call, bound: Bound) -> Value:
    for argument in expr.arguments:
        ev.value(argument, bound)
    hint = did_you_mean(expr.name, _functions())
    detail = f'There is no function "{expr.name}".{hint}'
    if expr.name in {"list", "map"}:
        other = "[a, b]" if expr.name == "list" else "{ key = value }"
        detail = f"The function {expr.name} is gone: write {other}, or to{expr.name}({other})."
    return ev.fault(UNKNOWN_FUNCTION, detail, expr)


def _reveal(value: Value, function: Function) -> tuple[Any, bool]:
    return reveal(value) if function.nested else bare(value)


def _expand(
    ev: Evaluator, given: list[tuple[Any, bool, Expr]], function: Function
) -> list[tuple[Any, bool, Expr]] | None:
    *first, (last, _, at) = given
    if last is UNKNOWN:
        return None
    if not isinstance(last, list | tuple):
        ev.fault(_ARGUMENT, f"Before ... a list is required, not {kind_of(last)}.", at)
        return None
    rest = [(*_reveal(v, function), at) for v in last]
    return [*first, *rest]


def _take(
    ev: Evaluator, function: Function, values: list[Any], at: list[Expr], *, marked: bool
) -> list[Any] | None:
    """Return the arguments converted; ``None`` if one is wrong (noted) or unknown."""
    taken: list[Any] = []
    ready = True
    for position, (value, expr) in enumerate(zip(values, at, strict=True)):
        if (value is UNKNOWN and not function.lazy) or not (
            function.nested or value is None or isinstance(value, _SCALARS) or is_known(value)
        ):
            ready = False
            continue
        parameter = function.parameter(position)
        try:
            taken.append(parameter.accept(value))
        except OperationError as error:
            detail = f'For the argument "{parameter.name}" of {function.name}, {error}.'
            ev.error(_ARGUMENT, detail, expr, marked=marked)
            ready = False
    return taken if ready else None
