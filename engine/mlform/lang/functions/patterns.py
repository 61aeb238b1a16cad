"""Regular expressions of RE2, as Terraform has them: no input takes more than linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from mlform.lang.operations import OperationError
from mlform.types import STRING, ObjectType, TupleType, Type

_REFERENCE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_ESCAPE: Final = re.compile(r"\\Q.*?(?:\\E|\Z)|\\(.)", re.DOTALL)
_LOOKING: Final = re.compile(r"\(\?(?:<?[=!]|P=|P>|>|#|\()")
_LONGEST: Final = 10_000


class Pattern:
    """A compiled pattern: ``names`` of its groups by position, ``None`` for one without."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.names: list[str | None] = [None] * compiled.groups
        for name, position in compiled.groupindex.items():
            self.names[position - 1] = name

    def result_type(self) -> Type:
        """Return the type of a match: an object of named groups, a tuple of others, a text."""
        if not self.names:
            return STRING
        if all(n is None for n in self.names):
            return TupleType((STRING,) * len(self.names))
        if None in self.names:
            raise OperationError("either all groups of a pattern have names, or none", 0)
        return ObjectType(dict.fromkeys(map(str, self.names), STRING))

    def result(self, found: Any) -> Any:
        """Return a match as a value of ``result_type``; ``None`` for a group with no part in it."""
        if not self.names:
            return found.group()
        if self.names[0] is None:
            return list(found.groups())
        return dict(zip(self.names, found.groups(), strict=True))

    def search(self, value: str) -> Any:
        """Return the first match, or ``None``."""
        return self._compiled.search(_encodable(value))

    def matches(self, value: str) -> Iterator[Any]:
        """Yield the matches in turn; an empty one right after another does not count."""
        end = -1
        for found in self._compiled.finditer(_encodable(value)):
            if found.end() > found.start() or found.start() != end:
                yield found
            end = found.end()

    def expand(self, found: Any, template: str) -> str:
        """Return a replacement with ``$1``, ``${1}`` and ``$name`` filled in."""

        def fill(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            if name.isdigit() and name.isascii() and (name == "0" or name[0] != "0"):
                position = int(name[:4])
                return (found.group(position) or "") if position <= len(self.names) else ""
            return (found.group(name) or "") if name in self.names else ""

        return _REFERENCE.sub(fill, template)


@lru_cache(maxsize=64)
def compile_pattern(written: str, argument: int) -> Pattern:
    """Return a pattern compiled. Raises ``OperationError`` about the argument it came by."""
    if len(written) > _LONGEST:
        raise OperationError(f"the pattern is longer than {_LONGEST:,} characters", argument)
    # Imported at the first pattern, not before: few specs have one.
    re2 = import_module("re2")
    options = re2.Options()
    options.log_errors = False
    try:
        if any(found[1] == "C" for found in _ESCAPE.finditer(written)):
            raise OperationError(r"the pattern is wrong: \C is not known", argument)
        return Pattern(re2.compile(_encodable(written), options))
    except re2.error as error:
        raise OperationError(f"the pattern is wrong: {_why(written, error)}", argument) from None


def _why(written: str, error: Exception) -> str:
    said = error.args[0] if error.args else ""
    reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    if _LOOKING.search(written):
        return f"{reason} (there is no look-around, and no atomic or conditional group)"
    if any(found[1] and found[1] in "123456789" for found in _ESCAPE.finditer(written)):
        return f"{reason} (there are no back-references)"
    return reason


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise OperationError("the text has half a surrogate pair in it") from None
    return value
