"""Importing user code from its source, never from compiled files beside it.

Python takes a ``.pyc`` for current if the source has the size and the second of change it had.
A quick edit can keep both; then other code would run than the key was made of.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.abc import PathEntryFinder
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from mlform.execute.failure import is_first_party


class _SourceLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


@cache
def read_from_source(root: Path) -> None:
    """Make modules under ``root`` be compiled anew in this process, from the first time on."""
    finder = FileFinder.path_hook((_SourceLoader, [".py"]))

    def hook(entry: str) -> PathEntryFinder:
        if not is_first_party(Path(entry), root):
            raise ImportError(f"{entry} is not under {root}")
        return finder(entry)

    sys.path_hooks.insert(0, hook)
    for entry in [e for e in sys.path_importer_cache if is_first_party(Path(e), root)]:
        del sys.path_importer_cache[entry]
