"""Types, and functions that take expressions or marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mlform.lang.conversion import ConversionError, convert
from mlform.lang.evaluator import Bound, Evaluator
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError
from mlform.lang.registry import anything, function, special
from mlform.syntax.tree import Call
from mlform.types import ANY, BOOL, NUMBER, STRING, Collection, Type
from mlform.values import UNKNOWN, Handle, Unknown, Value, is_known

_ANYTHING: Final = anything("value", null=True, unknown=True, dynamic=True)


def _to(value: Any, type_: Type) -> Value:
    try:
        return convert(value, type_)
    except ConversionError as error:
        raise OperationError(str(error), 0) from None


@function("tostring", _ANYTHING, result=STRING, nested=True, marked=False)
def tostring(value: Any) -> Value:
    """Convert to a string."""
    return _to(value, STRING)


@function("tonumber", _ANYTHING, result=NUMBER, nested=True, marked=False)
def tonumber(value: Any) -> Value:
    """Convert to a number."""
    return _to(value, NUMBER)


@function("tobool", _ANYTHING, result=BOOL, nested=True, marked=False)
def tobool(value: Any) -> Value:
    """Convert to a bool."""
    return _to(value, BOOL)


def _collection(name: str) -> tuple[Type, Callable[[Any], Type]]:
    """Return a type of collections of anything, and the check that a value converts to it."""
    wanted = Collection(name, ANY)

    def result(value: Any) -> Type:
        # What an unknown value converts to in the end, only its elements can tell.
        if isinstance(value, Unknown):
            _to(value, wanted)
        return wanted

    return wanted, result


_LIST, _list = _collection("list")
_SET, _set = _collection("set")
_MAP, _map = _collection("map")
_COLLECTED: Final = anything("value", null=True, dynamic=True)


@function("tolist", _COLLECTED, result=_list, nested=True)
def tolist(_type: Type, value: Any) -> Value:
    """Convert to a list, all elements of one type."""
    return _to(value, _LIST)


@function("toset", _COLLECTED, result=_set, nested=True)
def toset(_type: Type, value: Any) -> Value:
    """Convert to a set, all elements of one type."""
    return _to(value, _SET)


@function("tomap", _COLLECTED, result=_map, nested=True)
def tomap(_type: Type, value: Any) -> Value:
    """Convert to a map, all values of one type."""
    return _to(value, _MAP)


@function("ephemeralasnull", _ANYTHING, result=ANY, nested=True)
def ephemeralasnull(value: Any) -> Value:
    """Return the value: no value of the language is ephemeral once it is in an expression."""
    found: Value = value
    return found


@special("try", most=None)
def try_(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Return the first argument that evaluates without an error."""
    reasons: list[str] = []
    marked = False
    for argument in call.arguments:
        with ev.aside() as found:
            value = ev.value(argument, bound)
        if not found.errors:
            if not _settled(value):
                value = mark(UNKNOWN, marked=bare(value)[1])
            return value
        marked |= bare(value)[1]
        reasons += [f"{e.summary}: {e.detail}" for e in found.errors[:1]]
    detail = "try: no argument evaluates without an error. " + " ".join(reasons[:5])
    return mark(ev.error("Error in function call", detail, call, marked=marked), marked=marked)


def _settled(value: Value) -> bool:
    # A handle is usable before what it names is made; it is the expression that must be decided.
    found = reveal(value)[0]
    return isinstance(found, Handle) or is_known(found)


@special("can")
def can(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Tell whether an expression evaluates without an error."""
    with ev.aside() as found:
        value = ev.value(call.arguments[0], bound)
    if found.errors:
        return False
    return True if _settled(bare(value)[0]) else Unknown(BOOL)


@special("sensitive")
def sensitive(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Mark a value as sensitive."""
    return mark(ev.value(call.arguments[0], bound), marked=True)


@special("nonsensitive")
def nonsensitive(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Take the mark off a value; what is inside keeps its own."""
    value: Value = reveal(ev.value(call.arguments[0], bound))[0]
    return value


@special("issensitive")
def issensitive(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Tell whether a value is marked as sensitive."""
    value, marked = reveal(ev.value(call.arguments[0], bound))
    return Unknown(BOOL) if isinstance(value, Unknown) and not marked else marked
