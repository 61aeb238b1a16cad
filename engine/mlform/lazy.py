"""Dataclasses whose methods are made when the first object is.

The standard library writes and compiles six methods of a dataclass when its module is loaded, and
that was nearly half of what a short command took: it makes no object of most classes. Here a class
has stand-ins until its first object is made; then it gets an ``__init__`` of its own, and what
compares, hashes and shows works from the names of the fields. To type checkers it is the standard
library's ``dataclass``.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, asdict, field
from functools import cache
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

__all__ = ["asdict", "dataclass", "field", "ready", "replace"]

_making: Final = threading.RLock()
_FEW: Final = 8
"""To so many objects of a class, writing an ``__init__`` of its own takes longer than it spares."""
_pending: Final[dict[Any, Callable[[], None]]] = {}
"""Class → what makes all its methods, for each that has not all yet."""
_written: Final[dict[Any, Mapping[str, Any]]] = {}
"""Class → what was written in it."""


def ready() -> None:
    """Make the methods of all classes that are loaded: forks of this process need not, each."""
    for write in list(_pending.values()):
        write()


class _Fields:
    """Stands for the fields as the standard library has them, until somebody asks for those."""

    def __get__(self, _object: object, owner: Any) -> Any:
        with _making:
            cls = next(c for c in owner.__mro__ if "__dataclass_fields__" in c.__dict__)
            if cls.__dict__["__dataclass_fields__"] is self:
                # A twin says what they are, so that no other thread sees the class half made. It
                # has a docstring, or the standard library would write it one with its signature.
                body = _written[cls]
                said = {**body, "__doc__": body.get("__doc__") or cls.__name__}
                twin = type(cls)(cls.__name__, cls.__bases__, said)
                made: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(twin)
                cls.__dataclass_params__ = made.__dataclass_params__
                cls.__dataclass_fields__ = made.__dataclass_fields__
        return owner.__dataclass_fields__


@cache
def _fields(cls: Any) -> tuple[Field[Any], ...]:
    """Return the fields of a class, those of its bases first."""
    found: dict[str, Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        if base in _written:
            found |= {it.name: it for it in _fields(base)}
        elif "__dataclass_fields__" in base.__dict__:
            found |= {it.name: it for it in dataclasses.fields(base)}
    body = _written[cls]
    for name, kind in body.get("__annotations__", {}).items():
        if "ClassVar" in str(kind):
            continue
        given = body.get(name, MISSING)
        it = given if isinstance(given, Field) else field(default=given)
        it.name, it.kw_only = name, it.kw_only is True
        found[name] = it
    return tuple(found.values())


if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(it: Any, /, **changes: Any) -> Any:
        """Return an object like another, some of its fields changed."""
        cls = type(it)
        if cls not in _written:
            return dataclasses.replace(it, **changes)
        for one in _fields(cls):
            if one.init:
                if one.name not in changes:
                    changes[one.name] = getattr(it, one.name)
            elif one.name in changes:
                raise ValueError(f"field {one.name} is no argument of {cls.__qualname__}")
        return cls(**changes)


def _lazy(cls: Any, *, frozen: bool, eq: bool) -> Any:
    body = _written[cls] = _body(cls)

    made = False

    def make() -> None:
        nonlocal made
        with _making:
            if made:
                return
            fields = _fields(cls)
            named = tuple(it.name for it in fields if it.init and not it.kw_only)
            type.__setattr__(cls, "__match_args__", named)
            if "__repr__" not in body:
                cls.__repr__ = _repr(fields)
            if eq and "__eq__" not in body:
                cls.__eq__, hashed = _comparing(fields)
                if frozen and "__hash__" not in body:
                    cls.__hash__ = hashed
            cls.__init__ = _first(cls, fields, write)
            made = True

    def write() -> None:
        with _making:
            make()
            if _pending.pop(cls, None):
                cls.__init__ = _init(cls, _fields(cls), frozen=frozen)

    _pending[cls] = write

    def stand_in(name: str) -> Callable[..., Any]:
        def method(self: Any, *given: Any, **named: Any) -> Any:
            make()
            return getattr(cls, name)(self, *given, **named)

        return method

    for name in ("__init__", "__repr__", *(("__eq__", "__hash__") if eq else ())):
        if name not in body:
            setattr(cls, name, stand_in(name))
    if eq and not frozen and "__hash__" not in body:
        cls.__hash__ = None
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refusing(cls)
    cls.__dataclass_fields__ = _Fields()
    return cls


def _body(cls: Any) -> dict[str, Any]:
    """Return what was written in a class, and leave the defaults alone of its fields."""
    body = {n: v for n, v in cls.__dict__.items() if n not in {"__dict__", "__weakref__"}}
    for name, value in body.items():
        if isinstance(value, Field) and value.default is MISSING:
            delattr(cls, name)
        elif isinstance(value, Field):
            setattr(cls, name, value.default)
    return body


def _first(cls: Any, fields: tuple[Field[Any], ...], write: Callable[[], None]) -> Any:
    """Make an ``__init__`` for the first objects of a class, of which most have no more.

    It works from names, so nothing is compiled; whatever is not as it should be is left to the one
    that ``write`` writes.
    """
    left = count(_FEW, -1)
    places = [it.name for it in fields if it.init and not it.kw_only]
    after = hasattr(cls, "__post_init__")

    def __init__(self: Any, /, *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes one
        told = dict(zip(places, given, strict=False)) | named
        if next(left) > 0 and len(told) == len(given) + len(named):
            values = {it.name: _worth(it, told) for it in fields}
            if not told and MISSING not in values.values():
                self.__dict__.update(values)
                if after:
                    self.__post_init__()
                return
        write()
        cls.__init__(self, *given, **named)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


def _worth(it: Field[Any], told: dict[str, Any]) -> Any:
    """Take what a field of a new object is worth from what is told, or from its default."""
    if it.init and it.name in told:
        return told.pop(it.name)
    return it.default if it.default_factory is MISSING else it.default_factory()


def _init(cls: Any, fields: tuple[Field[Any], ...], *, frozen: bool) -> Callable[..., None]:
    """Write the one method that is called too often to work from names."""
    known: dict[str, Any] = {"_missing": MISSING, "_set": object.__setattr__}
    plain: list[str] = []
    named: list[str] = []
    lines: list[str] = []
    for it in fields:
        given = worth = it.name
        if it.default_factory is not MISSING:
            known[f"_make_{it.name}"] = it.default_factory
            given = f"{it.name}=_missing"
            worth = f"_make_{it.name}() if {it.name} is _missing else {it.name}"
            worth = worth if it.init else f"_make_{it.name}()"
        elif it.default is not MISSING:
            known[f"_of_{it.name}"] = it.default
            given = f"{it.name}=_of_{it.name}"
            worth = worth if it.init else f"_of_{it.name}"
        elif not it.init:
            continue
        if it.init:
            (named if it.kw_only else plain).append(given)
        lines.append(f"_set(self, {it.name!r}, {worth})" if frozen else f"self.{it.name} = {worth}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    taken = ", ".join(["self", *plain, *(["*", *named] if named else [])])
    written = f"def __init__({taken}):\n " + "\n ".join(lines or ["pass"])
    made: dict[str, Callable[..., None]] = {}
    exec(written, known, made)  # noqa: S102 - as the standard library does, from names of fields
    made["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return made["__init__"]


def _repr(fields: tuple[Field[Any], ...]) -> Callable[[Any], str]:
    names = [it.name for it in fields if it.repr]

    def __repr__(self: Any) -> str:  # noqa: N807 - it becomes one
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _comparing(
    fields: tuple[Field[Any], ...],
) -> tuple[Callable[[Any, Any], Any], Callable[[Any], int]]:
    names = [it.name for it in fields if it.compare]
    worth: Callable[[Any], Any] = attrgetter(*names) if names else lambda _object: ()

    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807 - it becomes one
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or bool(worth(self) == worth(other))

    def __hash__(self: Any) -> int:  # noqa: N807 - it becomes one
        return hash(worth(self))

    return __eq__, __hash__


def _refusing(cls: Any) -> tuple[Callable[..., None], Callable[..., None]]:
    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 - it becomes one
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807 - it becomes one
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: Any = None, /, *, frozen: bool = False, eq: bool = True) -> Any:
        """Make a dataclass of a class, as the standard library does, later."""
        if cls is None:
            return lambda it: _lazy(it, frozen=frozen, eq=eq)
        return _lazy(cls, frozen=frozen, eq=eq)
