"""What one file of Python code says: its functions, hashed, and what it imports."""

from __future__ import annotations

import ast
import hashlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from mlform.keys.errors import CodeError
from mlform.keys.imports import Import, imports_of
from mlform.keys.normal import Function, clean, form
from mlform.lazy import asdict, dataclass

MODULE = "<module>"
"""The name under which the statements outside functions and classes are hashed."""

_reading = threading.Lock()


@dataclass(frozen=True)
class Facts:
    """What one file says, whatever lies around it.

    ``functions`` has a short hash for each function, method and class at the top, and for the
    other statements under ``<module>``. ``content`` is the hash of all of it. ``names`` are bound
    at the top level; ``open`` tells that there may be more (a star import). ``exports`` are the
    names in a literal ``__all__``. ``computed`` are the lines where code is loaded in a way that
    cannot be followed: a module name that is computed, ``exec``.
    """

    functions: dict[str, str]
    content: str
    imports: tuple[Import, ...]
    names: frozenset[str]
    open: bool
    exports: tuple[str, ...]
    computed: tuple[int, ...]

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**asdict(self), "names": sorted(self.names)}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Facts:
        """Read ``to_data`` back. Raises ``KeyError`` or ``TypeError`` on anything else."""
        return cls(
            functions={str(k): str(v) for k, v in dict(data["functions"]).items()},
            content=str(data["content"]),
            imports=tuple(
                Import(int(i["level"]), str(i["module"]), tuple(i["names"]), i["package"])
                for i in data["imports"]
            ),
            names=frozenset(data["names"]),
            open=bool(data["open"]),
            exports=tuple(data["exports"]),
            computed=tuple(data["computed"]),
        )


def read(source: bytes, name: str) -> Facts:
    """Read one file; ``name`` is for messages. Raises ``CodeError`` where it is not Python."""
    tree = clean(_parse(source, name))
    pieces, order = _pieces(tree)
    functions = {n: _hash("\n".join(forms)) for n, forms in sorted(pieces.items())}
    content = _hash(repr((sorted((n, h) for n, h in functions.items() if n != MODULE), order)))
    imports, computed = imports_of(tree)
    names = _bound(tree)
    return Facts(
        functions={n: h[:12] for n, h in functions.items()},
        content=content,
        imports=tuple(dict.fromkeys(imports)),
        names=frozenset(names),
        open="*" in names or "__getattr__" in names,
        exports=tuple(_exports(tree)),
        computed=tuple(computed),
    )


def _parse(source: bytes, name: str) -> ast.Module:
    try:
        # The filters of warnings belong to the whole process.
        with _reading, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        where = f"{name}:{error.lineno}" if error.lineno else name
        shown = f" {error.text.strip()}" if error.text and error.text.strip() else ""
        raise CodeError("Invalid Python code", f"{where}: {error.msg}.{shown}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise CodeError("Invalid Python code", f"{name}: {error}.") from None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pieces(tree: ast.Module) -> tuple[dict[str, list[str]], list[str]]:
    """Return the forms by name, and the order of what runs when the module is imported.

    Plain functions have no place in the order: moving one changes nothing, unless something else
    may bind its name too.
    """
    pieces: dict[str, list[str]] = {}
    order: list[str] = []
    rebound = _rebound(tree.body)
    for statement in tree.body:
        if isinstance(statement, Function):
            pieces.setdefault(statement.name, []).append(form(statement))
            if _runs(statement) or {statement.name, "*"} & rebound:
                order.append(f"def {statement.name}")
        elif isinstance(statement, ast.ClassDef):
            order.append(f"class {statement.name}")
            methods = [s for s in statement.body if isinstance(s, Function)]
            for method in methods:
                pieces.setdefault(f"{statement.name}.{method.name}", []).append(form(method))
            twice = _rebound(statement.body)
            statement.body[:] = [
                _stub(s, stays=s.name in twice) if isinstance(s, Function) else s
                for s in statement.body
            ]
            statement.body[:] = [s for s in statement.body if not isinstance(s, ast.Pass)]
            pieces.setdefault(statement.name, []).append(form(statement))
        elif not isinstance(statement, ast.Pass):
            written = form(statement)
            pieces.setdefault(MODULE, []).append(written)
            order.append(written)
    return pieces, order


def _runs(function: Function) -> bool:
    """Tell whether defining it runs anything: then it matters where it stands."""
    defaults = [*function.args.defaults, *function.args.kw_defaults]
    return bool(function.decorator_list) or any(
        d is not None and not isinstance(d, ast.Constant) for d in defaults
    )


def _rebound(body: list[ast.stmt]) -> set[str]:
    """Return the names that more than one statement binds; ``*`` if a star import may any."""
    found: set[str] = set()
    once: set[str] = set()
    for statement in body:
        names = _bound(ast.Module([statement], []))
        found |= (names & once) | (names & {"*"})
        once |= names
    inside = (n for s in body for n in ast.walk(s) if isinstance(n, ast.Global))
    return found | {name for declared in inside for name in declared.names}


def _stub(method: Function, *, stays: bool) -> ast.stmt:
    if not stays and not _runs(method):
        return ast.Pass()
    return ast.Expr(ast.Constant(f"def {method.name}"))


def _bound(tree: ast.Module) -> set[str]:
    """Return the names bound at the top level, ``*`` standing for a star import."""
    names: set[str] = set()
    for node in _top(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(a.asname or a.name).partition(".")[0] for a in aliases}
            case _:
                pass
    return names


def _exports(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple())
                | ast.AugAssign(target=ast.Name(id="__all__"), value=ast.List() | ast.Tuple())
            ):
                for element in statement.value.elts:  # type: ignore[attr-defined]
                    if isinstance(element, ast.Constant) and isinstance(element.value, str):
                        yield element.value
            case _:
                pass


def _top(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
