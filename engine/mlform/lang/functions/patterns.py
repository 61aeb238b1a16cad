"""Regular expressions in the syntax of RE2, as Terraform has them."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from mlform.lang.operations import OperationError

_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_ESCAPES: Final = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t\n\f\r ",
}
_TOKEN: Final = re.compile(
    r"(?P<literal>\\Q(?:(?!\\E).)*(?:\\E)?)"
    r"|\\x\{(?P<code>[0-9a-fA-F]{1,6})\}"
    r"|\\(?P<escape>.)"
    r"|\(\?(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<kind>[:)])"
    r"|\(\?P?<(?P<name>[A-Za-z_]\w*)>"
    r"|(?P<other>\(\?)"
    r"|(?P<char>.)",
    re.DOTALL,
)
_REFERENCE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")
_COUNT: Final = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_REPEATED: Final = re.compile(r"[*+?]|\{.*")
_CATEGORY: Final = re.compile(r"([LMNPSZC])|\{(\^?)([LMNPSZC][a-z]?)\}")
_LONGEST: Final = 10_000


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, argument: int) -> re.Pattern[str]:
    """Return a pattern compiled. Raises ``OperationError`` about the argument it came by."""
    if len(pattern) > _LONGEST:
        raise OperationError(f"the pattern is longer than {_LONGEST:,} characters", argument)
    try:
        return re.compile(_Translator(pattern).run(), re.ASCII)
    except re.error as error:
        raise OperationError(f"the pattern is wrong: {error.msg}", argument) from None
    except (_UnsupportedError, OverflowError, RecursionError) as error:
        raise OperationError(f"the pattern is wrong: {error}", argument) from None


class _UnsupportedError(Exception):
    """Python's expressions have it, RE2's have not; or the other way round."""


class _Translator:
    """Writes an RE2 pattern as one of Python's."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        # For each open group, the flags set inside it: each is a group that ends with it.
        self.opened: list[list[str]] = [[]]
        # Whether `$` and `^` stand at every line, for each of those.
        self.multiline = [False]

    def run(self) -> str:
        while self.at < len(self.pattern):
            if self.pattern[self.at] == "[":
                self._set()
            else:
                self._token()
        self.out.append(")" * len(self.opened[0]))
        return "".join(self.out)

    def _token(self) -> None:
        found = _TOKEN.match(self.pattern, self.at)
        assert found is not None, "the last alternative matches any character"
        self.at = found.end()
        if found["literal"] is not None:
            self.out.append(re.escape(found["literal"][2:].removesuffix(r"\E")))
        elif found["code"] is not None:
            self.out.append(re.escape(chr(int(found["code"], 16))))
        elif found["escape"] is not None:
            self._escape(found["escape"])
        elif found["flags"] is not None:
            self._flags(found["flags"], group=found["kind"] == ":")
        elif found["name"] is not None:
            self._open(f"(?P<{found['name']}>")
        elif found["other"]:
            raise _UnsupportedError("there is no look-around and no back-reference")
        else:
            self._char(found["char"])

    def _char(self, char: str) -> None:
        if char == "(":
            self._open("(")
        elif char == ")":
            if len(self.opened) == 1:
                raise _UnsupportedError("a parenthesis is closed that was not opened")
            self.out.append(")" * (len(self.opened.pop()) + 1))
            self.multiline.pop()
        elif char == "$" and not self.multiline[-1]:
            self.out.append(r"\Z")
        elif char == "|":
            # Flags hold for the alternatives after them too.
            flags = self.opened[-1]
            self.out += [")" * len(flags), "|", *(f"(?{f}:" for f in flags)]
        elif char in "{}":
            count = _COUNT.match(self.pattern, self.at - 1)
            self.out.append(f"\\{char}" if count is None else count.group())
            self.at += 0 if count is None else len(count.group()) - 1
        elif char == "+" and self.out and _REPEATED.fullmatch(self.out[-1]):
            raise _UnsupportedError("there are no possessive repetitions")
        else:
            self.out.append(char)

    def _open(self, opener: str) -> None:
        self.out.append(opener)
        self.opened.append([])
        self.multiline.append(self.multiline[-1])

    def _flags(self, flags: str, *, group: bool) -> None:
        if "U" in flags:
            raise _UnsupportedError("the flag U is not known")
        on, _, off = flags.partition("-")
        multiline = "m" in on or (self.multiline[-1] and "m" not in off)
        if group:
            self._open(f"(?{flags}:")
        else:
            self.out.append(f"(?{flags}:")
            self.opened[-1].append(flags)
        self.multiline[-1] = multiline

    def _escape(self, char: str) -> None:
        if char in "pP":
            inside, self.at = _category(self.pattern, self.at, negated=char == "P")
            self.out.append(f"[{inside}]")
            return
        if char.isdigit() and char != "0":
            raise _UnsupportedError("there are no back-references")
        if char in _ESCAPES:
            self.out.append(f"[{_ESCAPES[char]}]")
        elif char.lower() in _ESCAPES:
            self.out.append(f"[^{_ESCAPES[char.lower()]}]")
        elif char == "z":
            self.out.append(r"\Z")
        elif char == "Z":
            raise _UnsupportedError(r"\Z is not known; write \z")
        else:
            self.out.append("\\" + char)

    def _set_escape(self, at: int, pieces: list[str]) -> int:
        escaped = self.pattern[at : at + 1]
        if escaped and escaped in "pP":
            inside, at = _category(self.pattern, at + 1, negated=escaped == "P")
            pieces.append(inside)
            return at
        if escaped in {"D", "W", "S"}:
            pieces.append(_all_but(_ESCAPES[escaped.lower()]))
        else:
            pieces.append(_ESCAPES.get(escaped, "\\" + escaped))
        return at + 1

    def _set(self) -> None:
        """Copy a set in brackets: POSIX classes written out, what Python reads anew escaped."""
        at = self.at + 1
        pieces = ["["]
        if self.pattern[at : at + 1] == "^":
            pieces.append("^")
            at += 1
        first = True
        while at < len(self.pattern) and (first or self.pattern[at] != "]"):
            first = False
            posix = _POSIX.match(self.pattern, at)
            if posix is not None:
                if posix[2] not in _CLASSES:
                    raise _UnsupportedError(f"the class {posix.group()} is not known")
                inside = _CLASSES[posix[2]]
                pieces.append(_all_but(inside) if posix[1] else inside)
                at = posix.end()
            elif self.pattern[at] == "\\":
                at = self._set_escape(at + 1, pieces)
            else:
                char = self.pattern[at]
                pieces.append("\\" + char if char in "[]&~|" else char)
                at += 1
        if at >= len(self.pattern):
            raise _UnsupportedError("a bracket is not closed")
        self.out += ["".join(pieces), "]"]
        self.at = at + 1


@cache
def _all_but(inside: str) -> str:
    """Return the inside of a set of all characters but some of ASCII."""
    member = re.compile(f"[{inside}]")
    others = [re.escape(chr(c)) for c in range(128) if not member.match(chr(c))]
    return "".join(others) + "\x80-\U0010ffff"


def _category(pattern: str, at: int, *, negated: bool) -> tuple[str, int]:
    r"""Return the inside of a set for ``\pL`` or ``\p{Lu}``, and where it ends."""
    found = _CATEGORY.match(pattern, at)
    if found is None:
        raise _UnsupportedError(r"after \p comes a general category, such as L or {Lu}")
    name = found[1] or found[3]
    return _members(name, negated=negated != bool(found[2])), found.end()


@lru_cache(maxsize=32)
def _members(name: str, *, negated: bool) -> str:
    """Return the characters of a general category of Unicode, as the ranges of a set."""
    ranges: list[str] = []
    start = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and (
            unicodedata.category(chr(code)).startswith(name) != negated
        )
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"{re.escape(chr(start))}-{re.escape(chr(code - 1))}")
            start = None
    return "".join(ranges)


def matches(pattern: re.Pattern[str], value: str) -> Iterator[re.Match[str]]:
    """Yield the matches one after the other; an empty one right after another does not count."""
    end = -1
    for found in pattern.finditer(value):
        if found.end() > found.start() or found.start() != end:
            yield found
        end = found.end()


def expand_template(found: re.Match[str], template: str) -> str:
    """Return a replacement with ``$1``, ``${1}`` and ``$name`` filled in."""

    def fill(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        if name.isdigit():
            position = int(name[:4])
            return (found[position] or "") if position <= found.re.groups else ""
        return (found[name] or "") if name in found.re.groupindex else ""

    return _REFERENCE.sub(fill, template)
