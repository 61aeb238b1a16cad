"""Environment markers of requirements (PEP 508): ``python_version < "3.12" and extra == "x"``.

An own evaluator, so that a key does not depend on whether a library for it is installed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

# Not compiled before they are needed: most commands meet no marker.
_PIECE: Final = (
    r"\s*(?:(?P<mark>\(|\)|<=|>=|===|==|!=|~=|<|>)|(?P<word>[A-Za-z_.]+)"
    r"|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')"
)
_VERSION: Final = (
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)"
    r"(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(?:post|rev|r)[-_.]?(\d*))?"
    r"(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+[a-z0-9._-]+)?"
)
_STAGE: Final = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_VERSIONS: Final = frozenset(
    {"python_version", "python_full_version", "implementation_version", "platform_release"}
)

_Version = tuple[int, tuple[int, ...], tuple[int, ...]]


def holds(marker: str) -> bool:
    """Tell whether a marker is true here, no extra being asked for.

    A marker that cannot be read counts as true: too much in a key is safer than too little.
    """
    try:
        parser = _Parser(_tokens(marker))
        result = parser.either()
    except ValueError:
        return True
    return result if not parser.left else True


@cache
def _here() -> Mapping[str, str]:
    import platform  # noqa: PLC0415 - see above

    return {
        "extra": "",
        "implementation_name": sys.implementation.name,
        "implementation_version": ".".join(map(str, sys.implementation.version[:3])),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def _tokens(marker: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at, marker, token = 0, marker.rstrip(), re.compile(_PIECE)
    while at < len(marker):
        match = token.match(marker, at)
        if match is None or match.lastgroup is None:
            raise ValueError(marker)
        group = "text" if match.lastgroup in {"double", "single"} else match.lastgroup
        tokens.append((group, match[match.lastgroup]))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; evaluates as it goes."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.left = tokens[::-1]

    def either(self) -> bool:
        result = self.both()
        while self._took("or"):
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.one()
        while self._took("and"):
            result = self.one() and result
        return result

    def one(self) -> bool:
        if self._took("("):
            result = self.either()
            if not self._took(")"):
                raise ValueError("unclosed parenthesis")
            return result
        left, left_name = self._value()
        operator = self._next()[1]
        if operator == "not":
            operator += f" {self._next()[1]}"
        right, right_name = self._value()
        return _compare(left, operator, right, versions=bool({left_name, right_name} & _VERSIONS))

    def _value(self) -> tuple[str, str]:
        group, text = self._next()
        if group == "text":
            return text, ""
        name = text.replace(".", "_")
        if name not in _here():
            raise ValueError(f"unknown marker variable {text}")
        return _here()[name], name

    def _next(self) -> tuple[str, str]:
        if not self.left:
            raise ValueError("incomplete marker")
        return self.left.pop()

    def _took(self, text: str) -> bool:
        if self.left and self.left[-1][0] != "text" and self.left[-1][1] == text:
            self.left.pop()
            return True
        return False


def _compare(left: str, operator: str, right: str, *, versions: bool) -> bool:
    if operator in {"in", "not in"}:
        return (left in right) == (operator == "in")
    if operator == "===":
        return left == right
    if versions:
        one, other = _version(left), _version(right.removesuffix(".*"))
        if one is not None and other is not None:
            return _compare_versions(one, operator, other, wild=right.endswith(".*"))
    return _ORDER[operator](left, right) if operator in _ORDER else False


_ORDER: Final[Mapping[str, Callable[[object, object], bool]]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,  # type: ignore[operator]
    "<=": lambda a, b: a <= b,  # type: ignore[operator]
    ">": lambda a, b: a > b,  # type: ignore[operator]
    ">=": lambda a, b: a >= b,  # type: ignore[operator]
}


def _compare_versions(one: _Version, operator: str, other: _Version, *, wild: bool) -> bool:
    if wild and operator in {"==", "!="}:
        return _starts(one, other[1]) == (operator == "==")
    if operator == "~=":
        return _plain(one) >= _plain(other) and _starts(one, other[1][:-1])
    if operator not in _ORDER:
        raise ValueError(f"unknown operator {operator}")
    return _ORDER[operator](_plain(one), _plain(other))


def _starts(version: _Version, prefix: tuple[int, ...]) -> bool:
    release = version[1] + (0,) * (len(prefix) - len(version[1]))
    return release[: len(prefix)] == prefix


def _plain(version: _Version) -> _Version:
    epoch, release, rest = version
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    return epoch, release, rest


def _version(text: str) -> _Version | None:
    match = re.fullmatch(_VERSION, text.strip(), re.IGNORECASE)
    if match is None:
        return None
    epoch, release, stage, number, implicit, post, dev, dev_number = match.groups()
    # The order of PEP 440: 1.dev0 < 1a0 < 1rc0 < 1 < 1.post0.
    if stage:
        kind = (_STAGE[stage.lower()], int(number or 0))
    else:
        kind = (-1 if dev and post is None and implicit is None else 3, 0)
    after = -1 if post is None and implicit is None else int(post or implicit or 0)
    before = int(dev_number or 0) if dev else sys.maxsize
    return int(epoch or 0), tuple(map(int, release.split("."))), (*kind, after, before)
