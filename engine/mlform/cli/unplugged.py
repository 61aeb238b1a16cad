"""pydantic without plugins: a command checks what it is given, and nobody listens.

To look for plugins pydantic parses the metadata of every distribution that is installed, and what
it loads for that takes as long as a third of a small plan. Here it is told at once that there are
none. Workers, where code of users runs, are other processes, with plugins as ever.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final

_LOADER: Final = "pydantic.plugin._loader"


def unplug() -> None:
    """Have pydantic look for no plugins in this process, if it has not been loaded yet."""
    if "pydantic" not in sys.modules:
        sys.modules[_LOADER] = _None(_LOADER)


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
