"""The values of the language: JSON, marked values, handles, and what only applying can tell.

A value carries its type. Scalars are what they are; a ``list`` or ``tuple`` of Python is a tuple
of the language and a ``dict`` an object, as ``[…]`` and ``{…}`` make them; ``ListValue``,
``SetValue`` and ``MapValue`` are collections of one element type. ``None`` is the null that is
written ``null``, of no type yet; ``Null`` one whose type is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, Final, TypeAlias, TypeGuard

from mlform.lazy import dataclass, field
from mlform.types import ANY, Type


@dataclass(frozen=True)
class Bounds:
    """What can be told of a value before it exists, beside its type.

    ``null``: whether it may be null. ``least`` and ``most``: of a number, or of how many elements
    a collection has, both themselves included. ``prefix``: what a text starts with.
    """

    null: bool = True
    least: int | Decimal | None = None
    most: int | Decimal | None = None
    prefix: str = ""


UNBOUND: Final = Bounds()
NO_NULL: Final = Bounds(null=False)


@dataclass(frozen=True)
class Unknown:
    """A value that does not exist until something upstream has been applied; its type may."""

    type: Type = ANY
    bounds: Bounds = field(default=UNBOUND, compare=False, repr=False)

    def __repr__(self) -> str:
        return "UNKNOWN" if self.type == ANY else f"UNKNOWN {self.type}"


UNKNOWN: Final = Unknown()
"""The unknown value of which nothing is known, not even a type."""


@dataclass(frozen=True)
class Null:
    """The null of one type, as ``tostring(null)`` makes it. ``None`` is the null of no type."""

    type: Type


class ListValue(list["Value"]):
    """A list: all elements are of one type (or null, or unknown)."""

    def __init__(self, items: Iterable[Value] = (), element: Type = ANY) -> None:
        super().__init__(items)
        self.element = element


class SetValue(list["Value"]):
    """A set: each element once, in the order Terraform shows them, all of one type."""

    def __init__(self, items: Iterable[Value] = (), element: Type = ANY) -> None:
        super().__init__(items)
        self.element = element


class MapValue(dict[str, "Value"]):
    """A map: all values are of one type (or null, or unknown)."""

    def __init__(
        self, items: Mapping[str, Value] | Iterable[tuple[str, Value]] = (), element: Type = ANY
    ) -> None:
        super().__init__(items)
        self.element = element


@dataclass(frozen=True)
class Sensitive:
    """A value that must never be shown: not in a plan, the state, a log or an error."""

    value: Value

    def __repr__(self) -> str:
        return "(sensitive value)"

    __str__ = __repr__


@dataclass(frozen=True)
class Handle:
    """A reference to a resource, or to one artifact among its attributes, with its digest.

    ``digest`` is ``UNKNOWN`` while what it names is still to be made. ``attributes`` serve
    traversal (``dataset.loans.rows``) and are no part of the identity: equal digests are equal
    content. ``covered`` are those that the digest covers, as plain data. In the arguments of a
    consumer ``used`` says what it takes, where that is less than all, and ``artifact`` what the
    digest names, so that it is known when nothing else has it any more. ``foretold`` is what is
    known of the attributes of what is still to be made, and ``behind`` of what a pin holds back.
    """

    address: str
    attribute: str | None
    digest: str | Unknown
    attributes: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)
    covered: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    used: Used | None = field(default=None, compare=False, repr=False)
    artifact: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    foretold: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    behind: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def counted(self) -> str | Unknown:
        """The digest that counts for the consumer: of what it takes."""
        return self.digest if self.used is None else self.used.digest


@dataclass(frozen=True)
class Used:
    """The facets of an output that one consumer takes: the columns of a table, say.

    ``digest`` covers ``facets``, each with its own digest, and nothing else; ``judged`` has those
    that only a decision takes. ``parts`` is a short hash of all of them together in each part of
    the output, so that a change can be named.
    """

    facets: Mapping[str, str]
    judged: Mapping[str, str]
    parts: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """The digest of these facets."""
        return digest({"facets": dict(self.facets)})


Scalar: TypeAlias = None | bool | int | float | Decimal | str
Known: TypeAlias = "Scalar | Handle | Sequence[Known] | Mapping[str, Known]"
Value: TypeAlias = (
    "Scalar | Null | Unknown | Sensitive | Handle | Sequence[Value] | Mapping[str, Value]"
)

_HANDLE = "$handle"
_PLAIN: Final = frozenset({str, int, float, bool, Decimal, type(None)})
"""The types of most values: told apart first, as nothing is inside of them."""
_UNCHANGED: Final = _PLAIN - {Decimal}
"""Those of them that are plain data as they are."""
_WHOLE: Final = _UNCHANGED - {float}
"""Those of them that are canonical as they are."""


def is_known(value: Value) -> TypeGuard[Known]:
    """Tell whether nothing inside ``value`` is unknown."""
    if type(value) in _PLAIN:
        return True
    match value:
        case Sensitive(value=inner):
            return is_known(inner)
        case Handle(digest=digest):
            return not isinstance(digest, Unknown)
        case Mapping():
            return all(is_known(v) for v in value.values())
        case str():
            return True
        case Sequence():
            return all(is_known(v) for v in value)
        case _:
            return not isinstance(value, Unknown)


def is_sensitive(value: Value) -> bool:
    """Tell whether anything inside ``value`` is marked sensitive."""
    if type(value) in _PLAIN:
        return False
    match value:
        case Sensitive():
            return True
        case Mapping():
            return any(is_sensitive(v) for v in value.values())
        case str() | Handle():
            return False
        case Sequence():
            return any(is_sensitive(v) for v in value)
        case _:
            return False


def secrets_in(value: Value) -> set[str]:
    """Return every text inside ``value`` that is marked sensitive, and what numbers there are."""
    if type(value) in _PLAIN:
        return set()
    match value:
        case Sensitive(value=inner):
            return _texts(inner)
        case Mapping():
            return {s for v in value.values() for s in secrets_in(v)}
        case str() | Handle():
            return set()
        case Sequence():
            return {s for v in value for s in secrets_in(v)}
        case _:
            return set()


def _texts(value: Value) -> set[str]:
    match value:
        case Sensitive(value=inner):
            return _texts(inner)
        case str():
            return {value}
        case bool() | None | Handle():
            return set()
        case int() | float() | Decimal():
            return {str(value)}
        case Mapping():
            return {s for v in value.values() for s in _texts(v)}
        case Sequence():
            return {s for v in value for s in _texts(v)}
        case _:
            return set()


def plain(value: Value, *, reveal: bool = False) -> Any:
    """Return ``value`` as JSON-ready data: handles tagged, numbers as int or float.

    A sensitive value is concealed; with ``reveal`` it is written out (for a provider's eyes
    only). Raises ``ValueError`` on an unknown value.
    """
    if type(value) in _UNCHANGED:
        return value
    match value:
        case Handle(digest=str()):
            return tagged(value)
        case Sensitive(value=inner):
            shown = plain(inner, reveal=True)
            return shown if reveal else conceal(shown)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case None | bool() | float() | str():
            return value
        case int():
            return int(value)
        case Null():
            return None
        case Mapping():
            return {str(k): plain(v, reveal=reveal) for k, v in value.items()}
        case Sequence():
            return [plain(v, reveal=reveal) for v in value]
        case _:
            raise ValueError("an unknown value has no plain form")


@cache
def _stretch(text: str) -> str:
    salt = b"mlform sensitive value"
    return hashlib.scrypt(text.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


def conceal(data: object) -> dict[str, str]:
    """Return what stands for sensitive plain data in a plan or the state.

    A slow hash (scrypt, RFC 7914), so that a change shows and guessing the value is dear.
    """
    return {"$sensitive": "scrypt:" + _stretch(canonical(data))}


def concealed(data: object) -> bool:
    """Tell whether plain data stand for a sensitive value."""
    return isinstance(data, Mapping) and data.keys() == {"$sensitive"}


def with_marks(data: Any, change: Callable[[Any], Any]) -> Any:
    """Return plain data in which what stands for each sensitive value is changed."""
    if type(data) in _PLAIN:
        return data
    if concealed(data):
        return {"$sensitive": change(data["$sensitive"])}
    if isinstance(data, Mapping):
        return {n: with_marks(v, change) for n, v in data.items()}
    if isinstance(data, list | tuple):
        return [with_marks(v, change) for v in data]
    return data


def without_marks(data: Any) -> Any:
    """Return plain data that say where there is a sensitive value, and no hash of it."""
    return with_marks(data, lambda _mark: True)


def tagged(handle: Handle) -> dict[str, Any]:
    """Return a handle with a known digest as plain data."""
    inner: dict[str, Any] = {
        "address": handle.address,
        "attribute": handle.attribute,
        "digest": handle.digest,
    }
    if handle.artifact is not None:
        inner["artifact"] = dict(handle.artifact)
    if handle.used is not None:
        inner["used"] = {n: dict(part) for n, part in vars(handle.used).items() if n != "digest"}
    return {_HANDLE: inner}


def handle_in(data: object) -> Handle | None:
    """Return the handle that ``data``, one node of plain data, stands for, or ``None``."""
    if (type(data) is dict or isinstance(data, Mapping)) and len(data) == 1 and _HANDLE in data:
        inner = data[_HANDLE]
        used = inner.get("used")
        return Handle(
            inner["address"],
            inner["attribute"],
            inner["digest"],
            covered=inner.get("artifact", {}),
            artifact=inner.get("artifact"),
            used=None if used is None else Used(**used),
        )
    return None


def handles(data: object) -> list[Handle]:
    """Return every handle inside plain data, in order."""
    if type(data) in _PLAIN:
        return []
    if handle := handle_in(data):
        return [handle]
    if isinstance(data, Mapping):
        return [h for v in data.values() for h in handles(v)]
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [h for v in data for h in handles(v)]
    return []


def identity(data: object) -> Any:
    """Return plain data with each handle reduced to the digest that counts, as keys have it."""
    if type(data) in _PLAIN:
        return data
    if handle := handle_in(data):
        return {"digest": handle.counted}
    if isinstance(data, Mapping):
        return {k: identity(v) for k, v in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [identity(v) for v in data]
    return data


def canonical(data: object) -> str:
    """Write plain data in the one form that equal data share (1 and 1.0 are equal)."""
    return _encode(_numbers(data))


_encode: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def _numbers(data: object) -> object:
    kind = type(data)
    if kind in _WHOLE:
        return data
    if kind is dict:
        if _WHOLE.issuperset(map(type, data.values())):  # type: ignore[attr-defined]
            return data
        return {k: v if type(v) in _WHOLE else _numbers(v) for k, v in data.items()}  # type: ignore[attr-defined]
    if kind is list:
        if _WHOLE.issuperset(map(type, data)):  # type: ignore[call-overload]
            return data
        return [v if type(v) in _WHOLE else _numbers(v) for v in data]  # type: ignore[attr-defined]
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, Mapping):
        return {k: _numbers(v) for k, v in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, str):
        return [_numbers(v) for v in data]
    return data


def digest(data: object) -> str:
    """Hash the canonical form of plain data; equal data have equal digests on every machine."""
    return "sha256:" + hashlib.sha256(canonical(data).encode()).hexdigest()


def short(content: str) -> str:
    """Return the first twelve hex digits of a digest, as people read it."""
    return content.removeprefix("sha256:")[:12]
