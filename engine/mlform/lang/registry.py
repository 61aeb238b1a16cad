"""What a built-in function is: its parameters, and how unknown and marked values reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from mlform.lang.evaluator import Bound, Evaluator, Scope
from mlform.lang.marks import reveal
from mlform.lang.operations import OperationError, boolean, integer, kind_of, number, text
from mlform.syntax.tree import Call
from mlform.values import SetValue, Value

MOST: Final = 1_000_000
"""Elements or characters that one call may make: a short text cannot fill the memory."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: how its values are converted, and whether null is one of them."""

    name: str
    convert: Callable[[Any], Any]
    null: bool = False

    def accept(self, value: Any) -> Any:
        """Return an argument as the function takes it. Raises ``OperationError``."""
        if value is None:
            if self.null:
                return None
            raise OperationError("a value is required, not null")
        return self.convert(value)


def _plural(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


@dataclass(frozen=True)
class Function:
    """One function over values.

    Sensitive marks are taken off the arguments and put on the result, and with an unknown
    argument the result is unknown, without a call. To a ``nested`` function this happens only at
    the surface: marks and unknowns inside lists and objects reach it. A ``lazy`` one
    is called with unknown arguments too. With ``world`` the first
    argument says where files are and when the plan is made.
    """

    name: str
    parameters: tuple[Parameter, ...]
    rest: Parameter | None
    run: Callable[..., Value]
    nested: bool
    lazy: bool
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
        return f"takes {least}{_plural(wanted)}{shown}, and was given {given}"


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
        return f"takes {least}{_plural(self.least)}, and was given {given}"


FUNCTIONS: Final[dict[str, Function | Special]] = {}
"""The built-in functions by name, once ``mlform.lang.functions`` is imported."""

_Run: TypeAlias = Callable[..., Value]


def function(
    name: str,
    *parameters: Parameter,
    rest: Parameter | None = None,
    nested: bool = False,
    lazy: bool = False,
    world: bool = False,
) -> Callable[[_Run], _Run]:
    """Register the decorated function under a name of the language."""

    def register(run: _Run) -> _Run:
        FUNCTIONS[name] = Function(name, parameters, rest, run, nested, lazy, world)
        return run

    return register


_SpecialRun: TypeAlias = Callable[[Evaluator, Call, Bound], Value]


def special(name: str, *, least: int = 1, most: int | None = 1) -> Callable[[_SpecialRun], Any]:
    """Register the decorated function as one that takes expressions."""

    def register(run: _SpecialRun) -> _SpecialRun:
        FUNCTIONS[name] = Special(name, least, most, run)
        return run

    return register


@dataclass(frozen=True)
class World:
    """What functions may know of the outside: the folder that paths start from, the plan's time."""

    base: Path
    as_of: str | None

    @classmethod
    def of(cls, scope: Scope) -> World:
        """Read the roots ``path`` and ``plan`` of a scope."""
        path, plan = (reveal(scope.get(root))[0] for root in ("path", "plan"))
        path = path if isinstance(path, Mapping) else {}
        as_of = plan.get("as_of") if isinstance(plan, Mapping) else None
        base = Path(str(path.get("cwd", "."))) / str(path.get("root", "."))
        return cls(base, as_of if isinstance(as_of, str) else None)


def string(name: str, *, null: bool = False) -> Parameter:
    """Return a parameter that takes text."""
    return Parameter(name, text, null)


def num(name: str) -> Parameter:
    """Return a parameter that takes a number."""
    return Parameter(name, number)


def whole_number(name: str) -> Parameter:
    """Return a parameter that takes an int."""
    return Parameter(name, integer)


def flag(name: str) -> Parameter:
    """Return a parameter that takes a bool."""
    return Parameter(name, boolean)


def anything(name: str, *, null: bool = True) -> Parameter:
    """Return a parameter that takes any value as it is."""
    return Parameter(name, lambda value: value, null)


def sequence(name: str, *, null: bool = False) -> Parameter:
    """Return a parameter that takes a list, tuple or set."""
    return Parameter(name, as_sequence, null)


def as_sequence(value: Any) -> list[Any]:
    """Return a list, tuple or set as it is. Raises ``OperationError``."""
    if isinstance(value, SetValue):
        return value
    if isinstance(value, list | tuple):
        return list(value)
    raise OperationError(f"a list is required, not {kind_of(value)}")


def mapping(name: str) -> Parameter:
    """Return a parameter that takes a map or object."""
    return Parameter(name, as_mapping)


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a map or object as it is. Raises ``OperationError``."""
    if isinstance(value, Mapping):
        return value
    raise OperationError(f"a map is required, not {kind_of(value)}")


def strings(name: str, *, null: bool = False) -> Parameter:
    """Return a parameter that takes a list of texts; with ``null``, some may be null."""

    def convert(value: Any) -> list[Any]:
        return [_element(text, v, null=null) for v in as_sequence(value)]

    return Parameter(name, convert)


def _element(convert: Callable[[Any], Any], value: Any, *, null: bool) -> Any:
    if value is None:
        if null:
            return None
        raise OperationError("a list without null elements is required")
    return convert(value)


def check_size(count: float, what: str = "elements") -> None:
    """Raise ``OperationError`` if a result would be too large to hold."""
    if count > MOST:
        raise OperationError(f"the result would have more than {MOST:,} {what}")
