"""Mappings of which large values are read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final


class Unread:
    """Stands for a value that nobody asked for yet."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], Any]) -> None:
        """``read`` returns the value; called by two threads at once it may be called twice."""
        self.read: Final = read


class Late(Mapping[str, Any]):
    """A mapping like any other; what is ``Unread`` in it is read when it is asked for."""

    def __init__(self, values: Mapping[str, Any], content: str = "") -> None:
        """``content`` is a hash of all of it, if there is one: equal ones have equal values."""
        self._values = dict(values)
        self.content = content

    def __getitem__(self, name: str) -> Any:
        found = self._values[name]
        if isinstance(found, Unread):
            found = self._values[name] = found.read()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))

    def unread(self, name: str) -> bool:
        """Tell whether nobody asked for a value yet."""
        return isinstance(self._values.get(name), Unread)


def mapped(
    data: Mapping[str, Any], names: Collection[str], change: Callable[[str, Any], Any]
) -> Mapping[str, Any]:
    """Return the values of these names, changed; what is unread is so when it is asked for."""
    if not isinstance(data, Late):
        return {name: change(name, data[name]) for name in names}
    unread = {n: Unread(partial(_changed, data, n, change)) for n in names if data.unread(n)}
    return Late({n: unread[n] if n in unread else change(n, data[n]) for n in names})


def _changed(data: Mapping[str, Any], name: str, change: Callable[[str, Any], Any]) -> Any:
    return change(name, data[name])
