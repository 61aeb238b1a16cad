"""Regular expressions in the syntax of RE2, as Terraform has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
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
        # For each open group, how many groups flags have opened inside it: they end with it.
        self.opened = [0]
        # Whether `$` and `^` stand at every line, for each of those.
        self.multiline = [False]

    def run(self) -> str:
        while self.at < len(self.pattern):
            if self.pattern[self.at] == "[":
                self._set()
            else:
                self._token()
        self.out.append(")" * self.opened[0])
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
            self.out.append(")" * (self.opened.pop() + 1))
            self.multiline.pop()
        elif char == "$" and not self.multiline[-1]:
            self.out.append(r"\Z")
        elif char == "|" and self.opened[-1]:
            raise _UnsupportedError("after flags in the middle put the alternatives in (?i:…)")
        elif char == "+" and self.out and self.out[-1] in {"*", "+", "?"}:
            raise _UnsupportedError("there are no possessive repetitions")
        else:
            self.out.append(char)

    def _open(self, opener: str) -> None:
        self.out.append(opener)
        self.opened.append(0)
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
            self.opened[-1] += 1
        self.multiline[-1] = multiline

    def _escape(self, char: str) -> None:
        if char in "pP":
            raise _UnsupportedError(r"\p classes are not known; write the characters in brackets")
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
                if posix[1] or posix[2] not in _CLASSES:
                    raise _UnsupportedError(f"the class {posix.group()} is not known")
                pieces.append(_CLASSES[posix[2]])
                at = posix.end()
            elif self.pattern[at] == "\\":
                escaped = self.pattern[at + 1 : at + 2]
                pieces.append(_ESCAPES.get(escaped, "\\" + escaped))
                at += 2
            else:
                char = self.pattern[at]
                pieces.append("\\" + char if char in "[]&~|" else char)
                at += 1
        if at >= len(self.pattern):
            raise _UnsupportedError("a bracket is not closed")
        self.out += ["".join(pieces), "]"]
        self.at = at + 1


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
