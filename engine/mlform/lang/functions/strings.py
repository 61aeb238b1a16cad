"""Text. Characters are what people count as one: grapheme clusters."""

from __future__ import annotations

import re

from mlform.lang.functions.patterns import compile_pattern, expand_template, matches
from mlform.lang.graphemes import clusters, normal
from mlform.lang.operations import OperationError
from mlform.lang.registry import check_size, function, string, strings, whole_number
from mlform.values import Value


@function("upper", string("str"))
def upper(value: str) -> Value:
    """Return the text in capitals, letter by letter as Terraform does."""
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in value)


@function("lower", string("str"))
def lower(value: str) -> Value:
    """Return the text in small letters."""
    return "".join(c.lower()[:1] for c in value)


@function("title", string("str"))
def title(value: str) -> Value:
    """Return the text with the first letter of each word as a capital."""
    pieces: list[str] = []
    inside = False
    for char in value:
        pieces.append(char if inside or len(char.upper()) > 1 else char.upper())
        inside = not _separates(char)
    return "".join(pieces)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return char.isspace()


@function("trim", string("str"), string("cutset"))
def trim(value: str, cutset: str) -> Value:
    """Remove any of some characters from both ends."""
    return value.strip(cutset) if cutset else value


@function("trimprefix", string("str"), string("prefix"))
def trimprefix(value: str, prefix: str) -> Value:
    """Remove a text from the start, if it is there."""
    return value.removeprefix(prefix)


@function("trimsuffix", string("str"), string("suffix"))
def trimsuffix(value: str, suffix: str) -> Value:
    """Remove a text from the end, if it is there."""
    return value.removesuffix(suffix)


@function("trimspace", string("str"))
def trimspace(value: str) -> Value:
    """Remove white space from both ends."""
    return value.strip()


@function("chomp", string("str"))
def chomp(value: str) -> Value:
    """Remove line breaks from the end."""
    return value.rstrip("\r\n")


@function("indent", whole_number("spaces"), string("str"))
def indent(spaces: int, value: str) -> Value:
    """Put spaces before every line but the first."""
    if spaces < 0:
        raise OperationError(f"the number of spaces is 0 or more, not {spaces}", 0)
    check_size(len(value) + spaces * value.count("\n"), "characters")
    return value.replace("\n", "\n" + " " * spaces)


@function("startswith", string("str"), string("prefix"))
def startswith(value: str, prefix: str) -> Value:
    """Tell whether a text starts with another."""
    return value.startswith(prefix)


@function("endswith", string("str"), string("suffix"))
def endswith(value: str, suffix: str) -> Value:
    """Tell whether a text ends with another."""
    return value.endswith(suffix)


@function("strcontains", string("str"), string("substr"))
def strcontains(value: str, part: str) -> Value:
    """Tell whether a text holds another."""
    return part in value


@function("strrev", string("str"))
def strrev(value: str) -> Value:
    """Return the characters in the opposite order."""
    return normal("".join(reversed(clusters(value))))


@function("substr", string("str"), whole_number("offset"), whole_number("length"))
def substr(value: str, offset: int, length: int) -> Value:
    """Return some characters; a negative offset counts from the end, a negative length is all."""
    found = clusters(value)
    start = max(0, offset + len(found)) if offset < 0 else offset
    return "".join(found[start:] if length < 0 else found[start : start + length])


@function("split", string("separator"), string("str"))
def split(separator: str, value: str) -> Value:
    """Cut a text at each separator."""
    if separator:
        return list(value.split(separator))
    return list(value)


@function("join", string("separator"), rest=strings("lists"))
def join(separator: str, *lists: list[str]) -> Value:
    """Put the strings of lists together, with a separator between them."""
    if not lists:
        raise OperationError("a list is required after the separator")
    pieces = [v for one in lists for v in one]
    check_size(sum(map(len, pieces)) + len(separator) * len(pieces), "characters")
    return normal(separator.join(pieces))


@function("replace", string("str"), string("substr"), string("replace"))
def replace(value: str, part: str, new: str) -> Value:
    """Replace every occurrence of a text, or of a pattern between slashes."""
    if len(part) > 1 and part.startswith("/") and part.endswith("/"):
        pattern = compile_pattern(part[1:-1], 1)
        size = 0
        pieces: list[str] = []
        end = 0
        for found in matches(pattern, value):
            pieces += [value[end : found.start()], expand_template(found, new)]
            size += len(pieces[-1])
            check_size(size, "characters")
            end = found.end()
        return normal("".join(pieces) + value[end:])
    check_size(len(value) + value.count(part) * len(new), "characters")
    return normal(value.replace(part, new))


def _captures(found: re.Match[str]) -> Value:
    if found.re.groupindex:
        if len(found.re.groupindex) < found.re.groups:
            raise OperationError("either all groups of a pattern have names, or none", 0)
        return dict(found.groupdict())
    return list(found.groups()) if found.re.groups else found.group()


@function("regex", string("pattern"), string("string"))
def regex(pattern: str, value: str) -> Value:
    """Return the first match: its groups as a list or an object, or all of it without groups."""
    found = compile_pattern(pattern, 0).search(value)
    if found is None:
        raise OperationError("the pattern does not match the string", 1)
    return _captures(found)


@function("regexall", string("pattern"), string("string"))
def regexall(pattern: str, value: str) -> Value:
    """Return every match."""
    return [_captures(found) for found in matches(compile_pattern(pattern, 0), value)]
