"""Which modules a file imports: with ``import``, and with functions that take a name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlform.lazy import dataclass

_IMPORTERS: Final = frozenset({"import_module", "__import__"})
_LOADERS: Final = frozenset(
    {"exec", "run_module", "run_path", "spec_from_file_location", "SourceFileLoader"}
)
"""What runs code that no import names."""


@dataclass(frozen=True)
class Import:
    """One import as written: ``from ..a import b, c`` is level 2, module ``a``, names b and c.

    ``package`` is what a relative name starts from, where it is not the package of the file.
    """

    level: int
    module: str
    names: tuple[str, ...]
    package: str | None = None


def imports_of(tree: ast.Module) -> tuple[list[Import], list[int]]:
    """Return every import, wherever it stands, and the lines that load code in another way."""
    found: list[Import] = []
    computed: list[int] = []
    importers = _IMPORTERS | set(_aliases(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [Import(0, n.name, ()) for n in names]
            case ast.ImportFrom(level=level, module=module, names=names):
                found.append(Import(level, module or "", tuple(n.name for n in names)))
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                if name in importers:
                    called = _called(node)
                    found += [] if called is None else [called]
                    computed += [node.lineno] if called is None else []
                elif name in _LOADERS:
                    computed.append(node.lineno)
            case _:
                pass
    return found, computed


def _aliases(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "importlib":
            yield from (n.asname for n in node.names if n.name == "import_module" and n.asname)


def _called(call: ast.Call) -> Import | None:
    """Return the import that a call of ``import_module`` makes; ``None`` if it is computed."""
    given: dict[str | None, ast.expr] = {k.arg: k.value for k in call.keywords}
    given |= dict(zip(("name", "package"), call.args, strict=False))
    name, package = given.get("name"), given.get("package")
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    module = name.value.lstrip(".")
    level = len(name.value) - len(module)
    # __import__ has other arguments in second place, and its names are never relative.
    if not level or package is None or _is_own(package):
        return Import(level, module, ())
    if isinstance(package, ast.Constant) and isinstance(package.value, str):
        return Import(level, module, (), package.value)
    return None


def _is_own(package: ast.expr) -> bool:
    return isinstance(package, ast.Name) and package.id == "__package__"
