"""The code a function can reach inside the spec's folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from mlform.diagnostics import did_you_mean
from mlform.keys.cache import ClosureCache
from mlform.keys.errors import CodeError
from mlform.keys.facts import Facts
from mlform.keys.imports import Import
from mlform.lazy import dataclass, field
from mlform.values import digest


@dataclass(frozen=True)
class Closure:
    """A function and every first-party module it imports, transitively.

    ``digest`` changes only if the code does: not with comments, docstrings, formatting,
    annotations or the place of the folder. ``files`` has, for each file relative to the spec's
    folder, the hashes of its functions and classes, and of its other statements as
    ``<module>``. ``third_party`` are the top-level modules it imports that are neither first-party
    nor the standard library; ``namespaces`` those that are folders without ``__init__.py`` here
    (an installed package of that name would go before them). ``notes`` say what could not be
    followed.
    """

    digest: str
    files: Mapping[str, Mapping[str, str]]
    third_party: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    _cache: ClosureCache = field(
        default_factory=lambda: ClosureCache(None), repr=False, compare=False
    )

    @cached_property
    def distributions(self) -> frozenset[str]:
        """The installed distributions that the imported third-party modules belong to."""
        tops = self.third_party | self.namespaces
        if not tops:
            return frozenset()
        names = self._cache.top_level_names()
        return frozenset(d for top in tops for d in names.get(top, ()))

    @cached_property
    def unresolved(self) -> frozenset[str]:
        """Imported top-level modules that no installed distribution provides.

        Not installed, or installed in a way that leaves no record of its modules (an editable
        install of another folder): a change of their code is not seen.
        """
        if not self.third_party:
            return frozenset()
        return frozenset(self.third_party - self._cache.top_level_names().keys())


def closure(root: Path, reference: str, cache: ClosureCache) -> Closure:
    """Read the code that ``reference`` (``"path.py:function"``, relative to ``root``) can reach.

    Raises ``CodeError`` if there is no such file or function, or if a file in the closure is not
    valid Python. Imports nothing; with a warm cache, reads no file either.
    """
    path, function = _split(reference)
    if not (root / path).is_file():
        raise CodeError("Code not found", f"{path} does not exist under {root}.")
    walk = _Walk(root, cache)
    facts = walk.from_entry(path)
    if function not in facts.names and not facts.open:
        hint = did_you_mean(function, sorted(facts.names))
        raise CodeError("Code not found", f'{path} defines no "{function}".{hint}')
    others = sorted((p, f.content) for p, f in walk.found.items() if p != path)
    content = {"function": function, "entry": facts.content, "files": [list(o) for o in others]}
    return Closure(
        digest=digest(content),
        files={p: f.functions for p, f in sorted(walk.found.items())},
        third_party=frozenset(walk.third_party),
        namespaces=frozenset(walk.namespaces),
        notes=tuple(sorted(walk.notes)),
        _cache=cache,
    )


def _split(reference: str) -> tuple[str, str]:
    path, colon, function = reference.rpartition(":")
    if path.endswith(".ipynb") or reference.endswith(".ipynb"):
        detail = f'"{reference}" is a notebook. Move the function into a .py file and name that.'
        raise CodeError("Code in a notebook", detail)
    if not colon or not path.endswith(".py") or not function.isidentifier():
        detail = f'"{reference}" is not of the form "path/to/file.py:function".'
        raise CodeError("Invalid code reference", detail)
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        detail = f'"{reference}" leads out of the folder of the spec. Move the code into it.'
        raise CodeError("Invalid code reference", detail)
    return pure.as_posix(), function


class _Walk:
    """Follows imports from file to file; files are named by their path relative to the root."""

    def __init__(self, root: Path, cache: ClosureCache) -> None:
        self.root, self.cache = root, cache
        self.found: dict[str, Facts] = {}
        self.third_party: set[str] = set()
        self.namespaces: set[str] = set()
        self.notes: set[str] = set()
        self._files: dict[str, str | None] = {}
        self._folders: dict[str, bool] = {}

    def from_entry(self, path: str) -> Facts:
        waiting = [path, *self._packages_above(path)]
        while waiting:
            file = waiting.pop()
            if file not in self.found:
                self.found[file] = self.cache.facts(self.root / file, file)
                waiting += self._imported(file, self.found[file])
        return self.found[path]

    def _packages_above(self, path: str) -> Iterator[str]:
        parts = PurePosixPath(path).parts[:-1]
        for depth in range(1, len(parts) + 1):
            if file := self._file(".".join(parts[:depth])):
                yield file

    def _imported(self, file: str, facts: Facts) -> Iterator[str]:
        for line in facts.computed:
            self.notes.add(f"{file}:{line}: code loaded by a computed name is not followed")
        for imported in facts.imports:
            module = _absolute(file, imported)
            if module is None:
                dots = "." * imported.level
                self.notes.add(
                    f"{file}: import of {dots}{imported.module} leaves the spec's folder"
                )
                continue
            files = list(self._reached(module, imported))
            yield from files
            top = module.partition(".")[0]
            ours = imported.level > 0 or self._file(top) is not None
            if not ours and top not in sys.stdlib_module_names and not _is_engine(top):
                (self.namespaces if self._is_folder(top) else self.third_party).add(top)

    def _reached(self, module: str, imported: Import) -> Iterator[str]:
        """Give the files that importing runs: the module, what is imported from it, all above."""
        parts = module.split(".") if module else []
        above = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        taken = [*imported.names]
        if "*" in taken and module and (package := self._file(module)):
            # A star takes the submodules that a package lists in __all__.
            taken += self.cache.facts(self.root / package, package).exports
        for name in [*above, *(f"{module}.{name}" if module else name for name in taken)]:
            if file := self._file(name):
                yield file

    def _is_folder(self, top: str) -> bool:
        """Tell whether a module may be a namespace package of ours: a folder with code in it."""
        if top not in self._folders:
            folder = self.root / top
            self._folders[top] = folder.is_dir() and any(folder.rglob("*.py"))
        return self._folders[top]

    def _file(self, module: str) -> str | None:
        if module not in self._files:
            path = module.replace(".", "/")
            choices = (f"{path}/__init__.py", f"{path}.py")
            found = (c for c in choices if os.path.isfile(f"{self.root}/{c}"))  # noqa: PTH113 - ten times as fast, asked for each import
            self._files[module] = next(found, None)
        return self._files[module]


def _absolute(file: str, imported: Import) -> str | None:
    """Return the full name of an imported module, ``None`` if it lies above the root."""
    if not imported.level:
        return imported.module
    package = PurePosixPath(file).parts[:-1]
    if imported.package is not None:
        package = tuple(imported.package.split("."))
    up = imported.level - 1
    if up > len(package):
        return None
    parts = [*package[: len(package) - up], *filter(None, [imported.module])]
    return ".".join(parts)


def _is_engine(top: str) -> bool:
    return top == "mlform" or top.startswith("mlform_")


def changed_code(
    old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Name what was changed, added or removed between the ``files`` of two closures.

    Each is ``"file:function"``, or the file alone where it is only in one of the two.
    """
    changed: list[str] = []
    for file in sorted({*old, *new}):
        before, after = old.get(file), new.get(file)
        if before is None or after is None:
            changed.append(file)
            continue
        names = sorted({*before, *after})
        changed += [f"{file}:{n}" for n in names if before.get(n) != after.get(n)]
    return changed
