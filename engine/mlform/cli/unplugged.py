"""pydantic as a command needs it, which checks what it is given and ends: without plugins.

To look for plugins pydantic parses the metadata of every distribution that is installed, and what
it loads for that takes as long as a third of a small plan. Here it is told at once that there are
none. Its fifty dataclasses, of most of which there is never an object, are made by ``mlform.lazy``.
Workers, where code of users runs, are other processes, with plugins and dataclasses as ever.
"""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from types import ModuleType
from typing import Any, Final

_LOADER: Final = "pydantic.plugin._loader"
_ITS: Final = frozenset({"annotated_types", "pydantic"})
"""The packages whose dataclasses are made when they are first used."""
_LIKE: Final = frozenset({"frozen", "eq", "slots"})
"""What may be asked of a dataclass that is made so; it goes without slots, which only save room."""
_make: Final[Any] = dataclasses.dataclass


def unplug() -> None:
    """Have pydantic loaded so in this process, if it has not been loaded yet."""
    if "pydantic" not in sys.modules:
        sys.modules[_LOADER] = _None(_LOADER)
        dataclasses.dataclass = _dataclass


def _dataclass(cls: Any = None, /, **asked: Any) -> Any:
    """Make a dataclass as the standard library does, those of pydantic when first used."""
    if cls is None:
        return partial(_dataclass, **asked)
    its = cls.__module__.partition(".")[0] in _ITS and "__slots__" not in cls.__dict__
    if its and asked.keys() <= _LIKE:
        from mlform.lazy import dataclass

        return dataclass(cls, frozen=asked.get("frozen", False), eq=asked.get("eq", True))
    return _make(cls, **asked)


class _None(ModuleType):
    """Stands for the module of pydantic that looks for plugins."""

    @staticmethod
    def get_plugins() -> tuple[()]:
        return ()

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of it, in some other version, is that of the module itself."""
        if name.startswith("__"):
            raise AttributeError(name)
        from importlib.util import find_spec, module_from_spec

        del sys.modules[_LOADER]
        try:
            spec = find_spec(_LOADER)
            if spec is None or spec.loader is None:
                raise AttributeError(name)
            real = module_from_spec(spec)
            spec.loader.exec_module(real)
        finally:
            sys.modules[_LOADER] = self
        return getattr(real, name)
