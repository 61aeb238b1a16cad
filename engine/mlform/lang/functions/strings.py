"""Text. Characters are what people count as one: grapheme clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlform.lang.functions.patterns import compile_pattern
from mlform.lang.graphemes import clusters, normal
from mlform.lang.operations import OperationError
from mlform.lang.registry import (
    STRINGS,
    Parameter,
    absent,
    as_list,
    check_size,
    function,
    string,
    whole_number,
)
from mlform.types import ANY, BOOL, STRING, Collection, Type
from mlform.values import Unknown, Value

_WIDEST = 1 << 40
"""More characters than any text can have."""


@function("upper", string("str"), result=STRING)
def upper(value: str) -> Value:
    """Return the text in capitals, letter by letter as Terraform does."""
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in value)


@function("lower", string("str"), result=STRING)
def lower(value: str) -> Value:
    """Return the text in small letters."""
    return "".join(c.lower()[:1] for c in value)


@function("title", string("str"), result=STRING)
def title(value: str) -> Value:
    """Return the text with the first letter of each word as a capital."""
    pieces: list[str] = []
    inside = False
    for char in value:
        pieces.append(char if inside or len(char.title()) > 1 else char.title())
        inside = not _separates(char)
    return "".join(pieces)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return char.isspace()


@function("trim", string("str"), string("cutset"), result=STRING)
def trim(value: str, cutset: str) -> Value:
    """Remove any of some characters from both ends."""
    return value.strip(cutset) if cutset else value


@function("trimprefix", string("str"), string("prefix"), result=STRING)
def trimprefix(value: str, prefix: str) -> Value:
    """Remove a text from the start, if it is there."""
    return value.removeprefix(prefix)


@function("trimsuffix", string("str"), string("suffix"), result=STRING)
def trimsuffix(value: str, suffix: str) -> Value:
    """Remove a text from the end, if it is there."""
    return value.removesuffix(suffix)


@function("trimspace", string("str"), result=STRING)
def trimspace(value: str) -> Value:
    """Remove white space from both ends."""
    return value.strip()


@function("chomp", string("str"), result=STRING)
def chomp(value: str) -> Value:
    """Remove line breaks from the end."""
    return value.rstrip("\r\n")


@function("indent", whole_number("spaces"), string("str"), result=STRING)
def indent(spaces: int, value: str) -> Value:
    """Put spaces before every line but the first."""
    if spaces < 0:
        raise OperationError(f"the number of spaces is 0 or more, not {spaces}", 0)
    check_size(len(value) + spaces * value.count("\n"), "characters")
    if spaces > _WIDEST:
        raise OperationError(f"{spaces:,} spaces are more than a text can have", 0)
    lines = value.split("\n")
    return ("\n" + " " * (spaces if len(lines) > 1 else 0)).join(lines)


@function("startswith", Parameter("str", STRING, unknown=True), string("prefix"), result=BOOL)
def startswith(value: str | Unknown, prefix: str) -> Value:
    """Tell whether a text starts with another; each starts with the empty one."""
    if isinstance(value, Unknown):
        known = value.bounds.prefix
        if known.startswith(prefix):
            return True
        return Unknown(BOOL) if len(prefix.encode()) > len(known.encode()) else False
    return value.startswith(prefix)


@function("endswith", string("str"), string("suffix"), result=BOOL)
def endswith(value: str, suffix: str) -> Value:
    """Tell whether a text ends with another."""
    return value.endswith(suffix)


@function("strcontains", string("str"), string("substr"), result=BOOL)
def strcontains(value: str, part: str) -> Value:
    """Tell whether a text holds another."""
    return part in value


@function("strrev", string("str"), result=STRING)
def strrev(value: str) -> Value:
    """Return the characters in the opposite order."""
    return normal("".join(reversed(clusters(value))))


@function("substr", string("str"), whole_number("offset"), whole_number("length"), result=STRING)
def substr(value: str, offset: int, length: int) -> Value:
    """Return some characters; a negative offset counts from the end, a negative length is all."""
    found = clusters(value)
    if offset < 0:
        # Counted from the end, no length means all of the rest too.
        offset, length = max(0, offset + len(found)), length or -1
    return "".join(found[offset:] if length < 0 else found[offset : offset + length])


@function("split", string("separator"), string("str"), result=STRINGS)
def split(separator: str, value: str) -> Value:
    """Cut a text at each separator."""
    if separator:
        return list(value.split(separator))
    return list(value)


@function("join", string("separator"), rest=as_list("lists", STRING), result=STRING)
def join(separator: str, *lists: Sequence[str]) -> Value:
    """Put the strings of lists together, with a separator between them."""
    if not lists:
        raise OperationError("a list is required after the separator")
    for position, one in enumerate(lists, 1):
        if any(map(absent, one)):
            raise OperationError("a list without null elements is required", position)
    pieces = [v for one in lists for v in one]
    check_size(sum(map(len, pieces)) + len(separator) * len(pieces), "characters")
    return normal(separator.join(pieces))


@function("replace", string("str"), string("substr"), string("replace"), result=STRING)
def replace(value: str, part: str, new: str) -> Value:
    """Replace every occurrence of a text, or of a pattern between slashes."""
    if len(part) > 1 and part.startswith("/") and part.endswith("/"):
        pattern = compile_pattern(part[1:-1], 1)
        size = len(value)
        pieces: list[str] = []
        end = 0
        for found in pattern.matches(value):
            pieces += [value[end : found.start()], pattern.expand(found, new)]
            size += len(pieces[-1])
            check_size(size, "characters")
            end = found.end()
        return normal("".join(pieces) + value[end:])
    check_size(len(value) + value.count(part) * len(new), "characters")
    return normal(value.replace(part, new))


def _match_type(pattern: str | Unknown, _value: Any) -> Type:
    return ANY if isinstance(pattern, Unknown) else compile_pattern(pattern, 0).result_type()


@function("regex", string("pattern"), string("string"), result=_match_type)
def regex(_type: Type, pattern: str, value: str) -> Value:
    """Return the first match: its groups as a tuple or an object, or all of it without groups."""
    compiled = compile_pattern(pattern, 0)
    found = compiled.search(value)
    if found is None:
        raise OperationError("the pattern does not match the string", 1)
    result: Value = compiled.result(found)
    return result


@function(
    "regexall",
    string("pattern"),
    string("string"),
    result=lambda *given: Collection("list", _match_type(*given)),
)
def regexall(_type: Type, pattern: str, value: str) -> Value:
    """Return every match."""
    compiled = compile_pattern(pattern, 0)
    found: list[Value] = []
    for match in compiled.matches(value):
        found.append(compiled.result(match))
        check_size(len(found) * (len(compiled.names) + 1))
    return found
