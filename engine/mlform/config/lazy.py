"""Objects whose values are worked out when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlform.values import UNKNOWN, Value


class Lazy(dict[str, Value]):
    """An object of known names: all that a value needs is in place when it is asked for.

    What asks for itself on the way gets UNKNOWN; the cycle is told of elsewhere.
    """

    def __init__(self, names: Iterable[str], make: Callable[[str], Value]) -> None:
        super().__init__()
        self._names, self._make = dict.fromkeys(names), make

    def __missing__(self, name: str) -> Value:
        if name not in self._names:
            raise KeyError(name)
        self[name] = UNKNOWN
        self[name] = value = self._make(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __bool__(self) -> bool:
        return bool(self._names)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default where there is no such name."""
        return self[name] if name in self._names else default

    def keys(self) -> Any:
        """Return the names."""
        return self._names.keys()

    def values(self) -> Any:
        """Return every value."""
        return [self[name] for name in self._names]

    def items(self) -> Any:
        """Return every name with its value."""
        return [(name, self[name]) for name in self._names]

    def __eq__(self, other: object) -> bool:
        return dict(self.items()) == other

    __hash__ = None
