"""Values and their types as the console prints them: what can be told apart looks different."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlform.lang.operations import text
from mlform.lang.unification import type_of
from mlform.types import ANY, Collection, ObjectType, Primitive, TupleType, Type
from mlform.values import (
    Handle,
    ListValue,
    MapValue,
    Null,
    Sensitive,
    SetValue,
    Unknown,
    Value,
    short,
)

_ESCAPES: Final = {
    '"': r"\"",
    "\\": r"\\",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}


def console(value: Value, indent: int = 0) -> str:
    """Return a value as an expression that has it, as far as there is one."""
    match value:
        case Sensitive(value=inner):
            hidden = not isinstance(inner, Unknown)
            return "(sensitive value)" if hidden else console(inner, indent)
        case Unknown():
            return "(known after apply)"
        case None:
            return "null"
        case Null(type=type_):
            return _null(type_)
        case str():
            return _string(value, indent)
        case Handle():
            name = value.address + (f".{value.attribute}" if value.attribute else "")
            known = isinstance(value.digest, str)
            return f"{name} @ {short(str(value.digest)) if known else '(known after apply)'}"
        case Mapping():
            opener, closer = ("tomap({", "})") if isinstance(value, MapValue) else ("{", "}")
            lines = [
                f"{_string(k, indent + 2)} = {console(value[k], indent + 2)}" for k in sorted(value)
            ]
        case list() | tuple():
            opener, closer = _brackets(value)
            lines = [f"{console(item, indent + 2)}," for item in value]
        case _:
            return text(value)
    if not lines:
        return opener + closer
    pad = " " * indent
    return "\n".join([opener, *(f"{pad}  {line}" for line in lines), pad + closer])


def _brackets(value: object) -> tuple[str, str]:
    if isinstance(value, ListValue):
        return "tolist([", "])"
    return ("toset([", "])") if isinstance(value, SetValue) else ("[", "]")


def _null(type_: Type) -> str:
    match type_:
        case Collection(name=name, element=element):
            return f"to{name}(null) /* of {_friendly(element)} */"
        case ObjectType() | TupleType():
            return f"null /* {_friendly(type_)} */"
        case _:
            return "null" if type_ == ANY else f"to{type_}(null)"


def _friendly(type_: Type) -> str:
    match type_:
        case Collection(name=name, element=element):
            return f"{name} of {_friendly(element)}"
        case ObjectType():
            return "object"
        case TupleType():
            return "tuple"
        case _:
            return "dynamic" if type_ == ANY else str(type_)


def _string(value: str, indent: int) -> str:
    if "\n" not in value:
        return f'"{"".join(map(_escape, value))}"'
    lines = value.split("\n")
    end = "EOT"
    while end in lines:
        end += "_"
    pad = " " * indent
    opener = f"<<-{end}" if indent else f"<<{end}"
    return "\n".join([opener, *(pad + line for line in lines), pad + end])


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def console_type(value: Value) -> str:
    """Return the type of a value, one attribute or element a line."""
    return _type(type_of(value), 0)


def _type(type_: Type, depth: int) -> str:
    pad = "    " * depth
    match type_:
        case Collection(name=name, element=Primitive() | Collection() as element):
            return f"{name}({_type(element, depth)})"
        case Collection(name=name, element=element):
            return f"{name}(\n{pad}    {_type(element, depth + 1)},\n{pad})"
        case ObjectType(attributes=attributes):
            opener, closer = "object({", "})"
            lines = [f"{k}: {_type(attributes[k], depth + 1)}," for k in sorted(attributes)]
        case TupleType(elements=elements):
            opener, closer = "tuple([", "])"
            lines = [f"{_type(element, depth + 1)}," for element in elements]
        case _:
            return "dynamic" if type_ == ANY else str(type_)
    if not lines:
        return opener + closer
    return "\n".join([opener, *(f"{pad}    {line}" for line in lines), pad + closer])
