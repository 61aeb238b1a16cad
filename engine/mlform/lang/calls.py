"""Function calls: arguments, their checks, and errors at the argument that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final

from mlform.diagnostics import did_you_mean
from mlform.lang.bounds import no_null
from mlform.lang.evaluator import UNKNOWN_FUNCTION, WRONG_COUNT, Bound, Evaluator
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError, kind_of
from mlform.lang.registry import Function, Parameter, Special, World, is_sequence
from mlform.syntax.tree import Call, Expr, Name
from mlform.values import UNBOUND, UNKNOWN, Unknown, Value, is_known

_ARGUMENT: Final = "Invalid function argument"
_FAILED: Final = "Error in function call"
_SCALARS: Final = (str, int, float)
_SILENT: Final = frozenset({"tobool", "tolist", "tomap", "tonumber", "toset", "tostring"})
"""Functions of whose unknown results Terraform tells nothing but the type."""
_MAY_BE_NULL: Final = frozenset({"element", "ephemeralasnull", "issensitive", "lookup"}) | {
    *("nonsensitive", "one", "sensitive", "strcontains", "timeadd", "yamlencode")
}
"""Functions whose unknown results may be null, for all that Terraform says of them."""


@cache
def built_in() -> Mapping[str, Function | Special]:
    """Return the built-in functions by name."""
    # Imported at the first call, not before: reading a spec for its references needs none.
    found: Mapping[str, Function | Special] = import_module("mlform.lang.functions").FUNCTIONS
    return found


def functions() -> list[str]:
    """Return the names of the built-in functions, in order."""
    return sorted(built_in())


def call(ev: Evaluator, expr: Call, bound: Bound) -> Value:
    """``name(arguments…)``."""
    function = built_in().get(expr.name.removeprefix("core::"))
    if function is None:
        found = _provided(ev, expr)
        if not isinstance(found, Function):
            return _no_function(ev, expr, bound, found)
        function = found
    if isinstance(function, Special):
        problem = function.wrong_count(len(expr.arguments), expand=expr.expand)
        if problem:
            return ev.fault(WRONG_COUNT, f"{expr.name} {problem}.", expr)
        before = ev.faults
        made = function.run(ev, expr, bound)
        return made if ev.faults == before else UNKNOWN
    before = ev.faults
    given = [(*_reveal(ev.value(a, bound), function), a) for a in expr.arguments]
    marked = any(m for _, m, _ in given)
    if ev.faults > before:
        return mark(UNKNOWN, marked=marked)
    spread = False
    if expr.expand and given:
        expanded = _expand(ev, given, function)
        if expanded is None:
            return mark(UNKNOWN, marked=marked)
        # Where nothing is spread, nothing is given by it that could be secret.
        spread = given[-1][1] and len(expanded) >= len(given)
        given = expanded
        marked = spread or any(m for _, m, _ in given)
    problem = function.wrong_count(len(given))
    if problem:
        return ev.error(
            WRONG_COUNT,
            f"{expr.name} {problem}.",
            expr,
            marked=marked and expr.expand,
            hint="Count.",
        )
    given, marked = _kept(function, given)
    marked = marked or spread
    taken, inside = _take(ev, function, given, marked=marked)
    marked = marked or inside
    if taken is None:
        return mark(UNKNOWN, marked=marked)
    try:
        return mark(_result(ev, function, taken), marked=marked)
    except OperationError as error:
        at: Expr = expr
        summary, detail = _FAILED, f"{expr.name}: {error}."
        if error.argument is not None and error.argument < len(given):
            at, summary = given[error.argument][2], _ARGUMENT
        return mark(ev.error(summary, detail, at, marked=marked), marked=marked)
    except RecursionError:
        detail = f"{expr.name}: the values are nested too deeply."
        return mark(ev.fault(_FAILED, detail, expr), marked=marked)


def _result(ev: Evaluator, function: Function, taken: list[Any]) -> Value:
    type_ = function.type_for(taken)
    if _all_ready(function, taken):
        world = World.of(ev.scope) if function.world else None
        return _refined(function, function.apply(world, type_, taken))
    return _refined(function, Unknown(type_))


def _refined(function: Function, value: Value) -> Value:
    if not isinstance(value, Unknown) or function.name in _MAY_BE_NULL:
        return value
    if function.name in _SILENT:
        return Unknown(value.type)
    return no_null(value.type) if value.bounds is UNBOUND else value


def _all_ready(function: Function, taken: list[Any]) -> bool:
    parameters = map(function.parameter, range(len(taken)))
    return all(_ready(function, p, value) for p, value in zip(parameters, taken, strict=True))


def _ready(function: Function, parameter: Parameter, value: Value) -> bool:
    if isinstance(value, Unknown):
        return parameter.unknown
    return function.nested or value is None or isinstance(value, _SCALARS) or is_known(value)


def _provided(ev: Evaluator, expr: Call) -> Function | str:
    """Return what a provider offers under a name, or why there is no such function."""
    if not expr.name.startswith("provider::"):
        return ""
    from mlform.lang.provided import PROVIDED, Provided  # noqa: PLC0415 - few specs call any

    provided: object = ev.scope.get(PROVIDED)
    if not isinstance(provided, Provided):
        return f"{expr.name} is a provider's function, and none of them can be called here."
    try:
        return provided.find(expr.name)
    except TypeError as error:
        return f"{error}. This is a bug of the provider."


def _no_function(ev: Evaluator, expr: Call, bound: Bound, why: str) -> Value:
    for argument in expr.arguments:
        ev.value(argument, bound)
    name = Name(expr.start, expr.start + len(expr.name), expr.name)
    if why:
        return ev.fault(UNKNOWN_FUNCTION, why, name)
    hint = did_you_mean(expr.name, built_in())
    detail = f'There is no function "{expr.name}".{hint}'
    if expr.name in {"list", "map"}:
        other = "[a, b]" if expr.name == "list" else "{ key = value }"
        detail = f"The function {expr.name} is gone: write {other}, or to{expr.name}({other})."
    return ev.fault(UNKNOWN_FUNCTION, detail, name)


def _reveal(value: Value, function: Function) -> tuple[Any, bool]:
    return reveal(value) if function.marked else bare(value)


def _expand(
    ev: Evaluator, given: list[tuple[Any, bool, Expr]], function: Function
) -> list[tuple[Any, bool, Expr]] | None:
    *first, (last, _, at) = given
    if isinstance(last, Unknown) and is_sequence(last.type):
        return None
    if not isinstance(last, list | tuple):
        ev.fault(_ARGUMENT, f"Before ... a list is required, not {kind_of(last)}.", at)
        return None
    rest = [(*_reveal(v, function), at) for v in last]
    return [*first, *rest]


def _kept(
    function: Function, given: list[tuple[Any, bool, Expr]]
) -> tuple[list[tuple[Any, bool, Expr]], bool]:
    """Return the arguments, marked where the function takes marks, and whether another was."""
    takes = [function.parameter(at).marked for at in range(len(given))]
    found = [(mark(v, marked=m and t), m, e) for (v, m, e), t in zip(given, takes, strict=True)]
    return found, any(m and not t for (_, m, _), t in zip(given, takes, strict=True))


def _take(
    ev: Evaluator, function: Function, given: list[tuple[Any, bool, Expr]], *, marked: bool
) -> tuple[list[Any] | None, bool]:
    """Return the arguments as the function takes them, ``None`` if there is no calling it.

    Then one is wrong, which is noted, or of no known type. And whether one is marked only now: a
    set is, if something inside it is.
    """
    parameters = [function.parameter(at) for at in range(len(given))]
    inside = False
    taken: list[Any] = []
    for parameter, (value, _, expr) in zip(parameters, given, strict=True):
        with _noted(ev, function, parameter, expr, marked=marked):
            found, mark_ = reveal(parameter.converted(value))
            taken.append(mark(found, marked=mark_ and parameter.marked))
            inside |= mark_ and not parameter.marked
    if len(taken) < len(given):
        return None, inside
    for parameter, found, (_, _, expr) in zip(parameters, taken, given, strict=True):
        before = ev.faults
        with _noted(ev, function, parameter, expr, marked=marked or inside):
            parameter.require(found)
        if ev.faults > before or parameter.shuns(found):
            return None, inside
    before = ev.faults
    ready = _all_ready(function, taken)
    for at, parameter in enumerate(parameters):
        if parameter.late and not ready:
            continue
        with _noted(ev, function, parameter, given[at][2], marked=marked or inside):
            taken[at] = parameter.checked(taken[at])
    return (None if ev.faults > before else taken), inside


@contextmanager
def _noted(
    ev: Evaluator, function: Function, parameter: Parameter, at: Expr, *, marked: bool
) -> Iterator[None]:
    try:
        yield
    except OperationError as error:
        detail = f'For the argument "{parameter.name}" of {function.name}, {error}.'
        ev.error(_ARGUMENT, detail, at, marked=marked)
