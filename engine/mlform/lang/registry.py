"""What a built-in function is: parameters, result, and how unknown and marked values reach it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from mlform.lang.conversion import ConversionError, convert
from mlform.lang.evaluator import Bound, Evaluator, Scope
from mlform.lang.marks import reveal, unique
from mlform.lang.operations import OperationError, integer, kind_of, number_of, shorten
from mlform.lazy import dataclass
from mlform.syntax.tree import Call
from mlform.types import ANY, NUMBER, STRING, Collection, ObjectType, TupleType, Type
from mlform.values import (
    ListValue,
    MapValue,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    is_known,
)

MOST: Final = 1_000_000
"""Elements or characters that one call may make: a short text cannot fill the memory."""

STRINGS: Final = Collection("list", STRING)
ANY_LIST: Final = Collection("list", ANY)
ANY_SET: Final = Collection("set", ANY)


def absent(value: Value) -> bool:
    """Tell whether a value is null, of whatever type."""
    return value is None or isinstance(value, Null)


def whole(value: Value) -> bool:
    """Tell whether nothing inside a value is unknown."""
    return is_known(value)


@dataclass(frozen=True)
class Parameter:
    """One parameter: the type its arguments are converted to, and what else may reach it.

    ``null`` and ``unknown`` values reach the function only if it takes them, and a value of no
    known type (``null`` as it is written, or unknown) only a ``dynamic`` one. ``check`` narrows
    further what is not null, and may be unknown; a ``late`` one does so only for a call that is
    made. A parameter that is ``marked`` gives its function the mark of an argument too, and does
    not mark the result.
    """

    name: str
    type: Type = ANY
    null: bool = False
    unknown: bool = False
    dynamic: bool = False
    check: Callable[[Any], Any] | None = None
    late: bool = False
    marked: bool = False

    def converted(self, value: Any) -> Any:
        """Return an argument as the type of the parameter. Raises ``OperationError``."""
        try:
            return convert(value, self.type)
        except ConversionError as error:
            raise OperationError(str(error)) from None

    def require(self, value: Any) -> None:
        """Raise ``OperationError`` if a converted argument is null, and no null is taken."""
        if absent(value) and not self.null:
            raise OperationError("a value is required, not null")

    def checked(self, value: Any) -> Any:
        """Return a converted argument as the function takes it. Raises ``OperationError``."""
        return value if self.check is None or absent(value) else self.check(value)

    def shuns(self, value: Any) -> bool:
        """Tell whether a converted argument is of no known type, and the function takes none."""
        open_ = value is None or (isinstance(value, Unknown) and value.type == ANY)
        return open_ and not self.dynamic and (value is not None or self.null)


Result: TypeAlias = Type | Callable[..., Type]
"""The type of a function's results, or what tells it from the arguments."""


@dataclass(frozen=True)
class Function:
    """One function over values.

    ``result`` is the type of what it returns, unknown results as well; where the arguments
    decide, it is a callable that takes them, unknown ones too, and its answer is the first
    argument of ``run``. Sensitive marks are taken off the arguments and put on the result, and
    with an unknown argument the result is unknown, without a call. To a ``nested`` function
    this happens only at the surface: unknowns inside lists and objects reach it, and, if it is
    ``marked``, marks inside them. With ``world`` the first argument says where files are and
    when the plan is made.
    """

    name: str
    parameters: tuple[Parameter, ...]
    rest: Parameter | None
    result: Result
    run: Callable[..., Value]
    nested: bool
    marked: bool
    world: bool

    def parameter(self, position: int) -> Parameter:
        """Return the parameter that takes the argument at a position."""
        if position < len(self.parameters):
            return self.parameters[position]
        assert self.rest is not None, "the arguments have been counted"
        return self.rest

    def wrong_count(self, given: int) -> str:
        """Return what is wrong with a number of arguments, or nothing."""
        wanted = len(self.parameters)
        if given == wanted or (given > wanted and self.rest is not None):
            return ""
        names = [p.name for p in self.parameters]
        if self.rest is not None:
            names.append(f"{self.rest.name}…")
        least = "at least " if self.rest is not None else ""
        shown = f" ({', '.join(names)})" if names else ""
        return f"takes {least}{number_of(wanted, 'argument')}{shown}, and was given {given}"

    def type_for(self, arguments: list[Any]) -> Type:
        """Return the type of the result for arguments. Raises ``OperationError``."""
        return self.result(*arguments) if callable(self.result) else self.result

    def apply(self, world: World | None, type_: Type, arguments: list[Any]) -> Value:
        """Return the result for arguments that are known. Raises ``OperationError``."""
        first: list[object] = [world] if self.world else []
        if callable(self.result):
            first.append(type_)
        return shaped(self.run(*first, *arguments), type_)


@dataclass(frozen=True)
class Special:
    """A function that takes its arguments as expressions, or with their marks."""

    name: str
    least: int
    most: int | None
    run: Callable[[Evaluator, Call, Bound], Value]

    def wrong_count(self, given: int, *, expand: bool) -> str:
        """Return what is wrong with a number of arguments, or nothing."""
        if expand:
            return "takes each argument by itself, not ..."
        if self.least <= given and (self.most is None or given <= self.most):
            return ""
        least = "at least " if self.most is None else ""
        return f"takes {least}{number_of(self.least, 'argument')}, and was given {given}"


FUNCTIONS: Final[dict[str, Function | Special]] = {}
"""The built-in functions by name, once ``mlform.lang.functions`` is imported."""

_Run: TypeAlias = Callable[..., Value]


def function(
    name: str,
    *parameters: Parameter,
    rest: Parameter | None = None,
    result: Result,
    nested: bool = False,
    marked: bool | None = None,
    world: bool = False,
) -> Callable[[_Run], _Run]:
    """Register the decorated function under a name of the language.

    What is nested is marked as well, unless it says otherwise.
    """
    marked = nested if marked is None else marked

    def register(run: _Run) -> _Run:
        FUNCTIONS[name] = Function(name, parameters, rest, result, run, nested, marked, world)
        return run

    return register


_SpecialRun: TypeAlias = Callable[[Evaluator, Call, Bound], Value]


def special(name: str, *, least: int = 1, most: int | None = 1) -> Callable[[_SpecialRun], Any]:
    """Register the decorated function as one that takes expressions."""

    def register(run: _SpecialRun) -> _SpecialRun:
        FUNCTIONS[name] = Special(name, least, most, run)
        return run

    return register


LIVE: Final = "\0live"
"""A root, of no name that can be written: ``True`` lets functions give a new result each time.

A plan must come out the same whenever it is made, so there they give an unknown; a console and an
apply ask for one result now.
"""
LIVELY: Final = re.compile(r"\b(?:bcrypt|timestamp|uuid)\s*\(").search
"""Finds a call of such a function in the text of an expression."""


@dataclass(frozen=True)
class World:
    """What functions may know of the outside: the folder that paths start from, the plan's time.

    ``live`` says whether the result may be another one the next time.
    """

    base: Path
    as_of: str | None
    live: bool

    @classmethod
    def of(cls, scope: Scope) -> World:
        """Read the roots ``path`` and ``plan`` of a scope."""
        path, plan = (reveal(scope.get(root))[0] for root in ("path", "plan"))
        path = path if isinstance(path, Mapping) else {}
        as_of = plan.get("as_of") if isinstance(plan, Mapping) else None
        base = Path(str(path.get("cwd", "."))) / str(path.get("root", "."))
        return cls(base, as_of if isinstance(as_of, str) else None, scope.get(LIVE) is True)


def string(name: str, *, null: bool = False) -> Parameter:
    """Return a parameter that takes text."""
    return Parameter(name, STRING, null)


def num(name: str) -> Parameter:
    """Return a parameter that takes a number."""
    return Parameter(name, NUMBER)


def whole_number(name: str, *, bounded: bool = True, late: bool = True) -> Parameter:
    """Return a parameter that takes an int, of 64 bits if ``bounded``."""

    def check(value: Any) -> Any:
        if isinstance(value, Unknown):
            return value
        found = integer(value)
        if bounded and not -(2**63) <= found < 2**63:
            raise OperationError(f"{shorten(str(found))} is too large")
        return found

    return Parameter(name, NUMBER, check=check, late=late)


def anything(
    name: str, *, null: bool = False, unknown: bool = False, dynamic: bool = False
) -> Parameter:
    """Return a parameter that takes any value as it is."""
    return Parameter(name, ANY, null, unknown, dynamic)


def sequence(name: str) -> Parameter:
    """Return a parameter that takes a list, tuple or set as it is."""
    return Parameter(name, check=as_sequence)


def as_list(name: str, element: Type = ANY) -> Parameter:
    """Return a parameter that takes what converts to a list."""
    return Parameter(name, Collection("list", element))


def as_set(name: str) -> Parameter:
    """Return a parameter that takes what converts to a set."""
    return Parameter(name, ANY_SET)


def as_sequence(value: Any) -> Any:
    """Return a list, tuple or set as it is. Raises ``OperationError``."""
    if isinstance(value, list | tuple) or is_sequence(open_type(value)):
        return value
    raise OperationError(f"a list is required, not {kind_of(value)}")


def mapping(name: str) -> Parameter:
    """Return a parameter that takes a map or object as it is."""
    return Parameter(name, check=as_mapping)


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a map or object as it is. Raises ``OperationError``."""
    if isinstance(value, Mapping) or is_mapping(open_type(value)):
        found: Mapping[str, Any] = value
        return found
    raise OperationError(f"a map is required, not {kind_of(value)}")


def open_type(value: Value) -> Type | None:
    """Return the type of an unknown value; ``None`` for a known one."""
    return value.type if isinstance(value, Unknown) else None


def is_sequence(type_: Type | None) -> bool:
    """Tell whether a type is of lists, sets or tuples, or may be."""
    return (
        type_ == ANY
        or isinstance(type_, TupleType)
        or (isinstance(type_, Collection) and type_.name != "map")
    )


def is_mapping(type_: Type | None) -> bool:
    """Tell whether a type is of maps or objects, or may be."""
    return (
        type_ == ANY
        or isinstance(type_, ObjectType)
        or (isinstance(type_, Collection) and type_.name == "map")
    )


def shaped(value: Value, type_: Type) -> Value:
    """Return what a function made as a value of its result's type, nothing converted."""
    match value:
        case Sensitive(value=inner):
            return Sensitive(shaped(inner, type_))
        case None:
            return None if type_ == ANY else Null(type_)
        case Unknown(type=known):
            return Unknown(type_) if known == ANY else value
        case ListValue() | SetValue() | MapValue() | str():
            return value
        case list() | tuple():
            return _sequence(value, type_)
        case Mapping():
            return _mapping(value, type_)
        case _:
            return value


def _sequence(value: Any, type_: Type) -> Value:
    match type_:
        case Collection(name="list", element=element):
            return ListValue([shaped(v, element) for v in value], element)
        case Collection(name="set", element=element):
            return unique([shaped(v, element) for v in value], element)
        case TupleType(elements=elements) if len(elements) == len(value):
            return [shaped(v, t) for v, t in zip(value, elements, strict=True)]
        case _:
            return list(value)


def _mapping(value: Mapping[str, Value], type_: Type) -> Value:
    match type_:
        case Collection(name="map", element=element):
            return MapValue({k: shaped(v, element) for k, v in value.items()}, element)
        case ObjectType(attributes=attributes):
            return {k: shaped(v, attributes.get(k, ANY)) for k, v in value.items()}
        case _:
            return value


def check_size(count: float, what: str = "elements") -> None:
    """Raise ``OperationError`` if a result would be too large to hold."""
    if count > MOST:
        raise OperationError(f"the result would have more than {MOST:,} {what}")
