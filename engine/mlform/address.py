"""The names of things: ``module.a["x"].training_job.risk[0]`` is an address."""

from __future__ import annotations

import json
import re
from functools import cached_property, total_ordering
from typing import TypeAlias

from mlform.lazy import dataclass, replace

Key: TypeAlias = None | int | str
"""Which instance: ``None`` the only one, a number under ``count``, a name under ``for_each``."""

_STEP = re.compile(r'([^\W\d][\w-]*)(?:\[(?:(\d+)|("(?:[^"\\]|\\.)*"))\])?(?:\.|$)')


def _key_text(key: Key) -> str:
    return "" if key is None else f"[{json.dumps(key, ensure_ascii=False)}]"


@total_ordering
@dataclass(frozen=True)
class Address:
    """The address of one resource instance. Its text form is what users read and write."""

    kind: str
    name: str
    key: Key = None
    module: tuple[tuple[str, Key], ...] = ()

    def __str__(self) -> str:
        return self._text

    # Every room looks things up by address, some sixty times for each resource of a plan.
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Address)
            and self.name == other.name
            and self.kind == other.kind
            and self.key == other.key
            and self.module == other.module
        )

    def __hash__(self) -> int:
        try:
            return self.__dict__["_hash"]  # type: ignore[no-any-return]
        except KeyError:
            found = hash((self.kind, self.name, self.key, self.module))
            self.__dict__["_hash"] = found
            return found

    def __reduce__(self) -> tuple[object, ...]:
        # What is cached stays behind: texts have other hashes in another process.
        return Address, (self.kind, self.name, self.key, self.module)

    def __lt__(self, other: Address) -> bool:
        return self._sort_key < other._sort_key

    @cached_property
    def _text(self) -> str:
        return f"{self.spot}{self.kind}.{self.name}{_key_text(self.key)}"

    @cached_property
    def _sort_key(self) -> tuple[object, ...]:
        module = tuple((name, *_ordered(key)) for name, key in self.module)
        return (module, self.kind, self.name, *_ordered(self.key))

    @property
    def config(self) -> Address:
        """The address of the block: this one without any instance key."""
        if self.key is None and all(key is None for _, key in self.module):
            return self
        return replace(self, key=None, module=tuple((name, None) for name, _ in self.module))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read the text form back. Raises ``ValueError`` on anything else."""
        kind, _, rest = text.partition(".")
        if kind != "module" and _is_plain(kind) and _is_plain(rest):
            return cls(kind, rest)
        steps: list[tuple[str, Key]] = []
        at = 0
        while at < len(text):
            if not (match := _STEP.match(text, at)):
                raise ValueError(f"not a resource address: {text!r}")
            name, number, word = match.groups()
            key: Key = int(number) if number else json.loads(word) if word else None
            steps.append((name, key))
            at = match.end()
        module: list[tuple[str, Key]] = []
        while len(steps) >= 2 and steps[0] == ("module", None):
            module.append(steps[1])
            del steps[:2]
        if len(steps) != 2 or steps[0][1] is not None or text.endswith("."):
            raise ValueError(f"not a resource address: {text!r}")
        return cls(steps[0][0], steps[1][0], steps[1][1], tuple(module))

    @classmethod
    def leading(cls, text: str) -> Address:
        """Read the address that a reference such as ``monitor.inputs.alarm`` begins with."""
        at = 0
        found: list[str] = []
        while len(found) < 2 and (match := _STEP.match(text, at)):
            at = match.end()
            if match[1] == "module" and not found:
                inner = _STEP.match(text, at)
                at = inner.end() if inner else at
            else:
                found.append(match[1])
        return cls.parse(text[:at].removesuffix("."))

    def within(self, text: str) -> bool:
        """Tell whether an address, as users write it, means this instance.

        That is its own, its block's without keys, or a module's around it.
        """
        if text in {str(self), str(self.config)}:
            return True
        plain = self.config.module
        for depth in range(1, len(self.module) + 1):
            inside = (replace(self, module=path[:depth]) for path in (self.module, plain))
            if f"{text}." in {one.spot for one in inside}:
                return True
        return False

    @property
    def spot(self) -> str:
        """The module instance it stands in as text, empty for the root: ``module.a["x"].``."""
        return "".join(f"module.{name}{_key_text(key)}." for name, key in self.module)


def _is_plain(name: str) -> bool:
    """Tell whether a text is a name as most are: what this is not may be one all the same."""
    return name.isascii() and name[:1] != "-" and name.replace("-", "_").isidentifier()


def _ordered(key: Key) -> tuple[int, int, str]:
    if key is None:
        return (0, 0, "")
    return (1, key, "") if isinstance(key, int) else (2, 0, key)
