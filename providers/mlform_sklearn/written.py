"""What the source of an installed package says of its estimators, without importing any of it.

Whoever plans is told at once of a name or a parameter that is certainly not there. What the source
does not tell for certain (compiled modules, names made at run time, ``**kwargs``) is nothing to
say anything of: training imports it, and tells then.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mlform.sdk import ResourceError
from mlform_sklearn.building import refuse_missing, refuse_unknown
from mlform_sklearn.packages import is_nested

if TYPE_CHECKING:
    from mlform_sklearn.training import TrainingArguments

_DEEP: Final = 8
"""How far a name is followed from module to module, and a class to its bases."""
_FROM: Final = r"^from (\.*)([\w.]*) import (\([^)]*\)|[^\n]*)"


class Class(NamedTuple):
    """A class as it is written, with the parameters that it takes."""

    name: str
    parameters: tuple[str, ...]


def refuse(new: TrainingArguments) -> None:
    """Raise ``ResourceError`` for estimators and parameters that are certainly not there."""
    if new.estimator is not None:
        _refuse(new.estimator, new.params, "estimator", "params")
    for step in new.pipeline or ():
        _refuse(step.estimator, step.params, "pipeline", "pipeline")


def _refuse(path: str, params: Mapping[str, Any], argument: str, params_argument: str) -> None:
    if not all(part.isidentifier() for part in path.split(".")):
        detail = f'"{path}" is no import path: "sklearn.linear_model.LogisticRegression" is one.'
        raise ResourceError("Unknown estimator", detail, argument=argument)
    if PathFinder.find_spec(path.partition(".")[0]) is None:
        refuse_missing(path, argument)
    if said := absent(path):
        raise ResourceError("Unknown estimator", said, argument=argument)
    if (found := class_at(path)) is not None:
        refuse_unknown(params, found.parameters, found.name, params_argument)
    for value in params.values():
        for inner in value if isinstance(value, list) else [value]:
            if is_nested(inner):
                _refuse(inner["estimator"], inner.get("params", {}), params_argument, "params")


@cache
def absent(path: str) -> str:
    """Say what of an import path is certainly not there; nothing where all may be."""
    module, _, name = path.rpartition(".")
    file = _module(module)
    if isinstance(file, str):
        return f"There is no module {file} (of {path})."
    if file is None:
        return ""
    text = _text(file)
    if re.search(rf"\b{name}\b|^def __getattr__|import \*", text, re.MULTILINE):
        return ""
    near = _near(name, text)
    return f"There is no {path}.{near and f' Did you mean {module}.{near}?'}"


@cache
def class_at(path: str) -> Class | None:
    """Return the class at an import path; ``None`` where the source does not tell."""
    module, _, name = path.rpartition(".")
    file = _module(module)
    found = _class(file, name, 0) if isinstance(file, Path) else None
    return None if found is None else Class(name, found)


def _class(file: Path, name: str, depth: int) -> tuple[str, ...] | None:
    """Return the parameters of a class that a module has, its own or imported."""
    if depth > _DEEP:
        return None
    text = _text(file)
    header = re.search(rf"^class {name}(\([^)]*\))?:", text, re.MULTILINE)
    if header is None:
        came = _imported(file, text, name)
        return came and _class(*came, depth + 1)
    rest = text[header.end() :]
    over = re.search(r"^[^\s#)]", rest, re.MULTILINE)
    body = rest[: over.start()] if over else rest
    if (start := re.search(r"^    def __init__\(", body, re.MULTILINE)) is not None:
        return _signature(body[start.start() :])
    bases = [b.strip() for b in (header[1] or "()")[1:-1].split(",") if b.strip()]
    taken = [b for b in bases if "=" not in b and not b.endswith("Mixin") and b != "BaseEstimator"]
    if len(taken) != 1 or not taken[0].isidentifier():
        return None
    return _class(file, taken[0], depth + 1)


def _signature(text: str) -> tuple[str, ...] | None:
    """Return what a method takes beside ``self``; ``None`` if it takes anything."""
    end = re.search(r"\)\s*(->[^:]*)?:", text)
    if end is None:
        return None
    try:
        [method] = ast.parse(f"{text[: end.end()].strip()} pass").body
    except SyntaxError:
        return None
    assert isinstance(method, ast.FunctionDef)
    taken = method.args
    if taken.kwarg is not None or taken.vararg is not None:
        return None
    return tuple(a.arg for a in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs))[1:]


def _imported(file: Path, text: str, name: str) -> tuple[Path, str] | None:
    """Return the module that a name is imported from, and its name there."""
    for found in re.finditer(_FROM, text, re.MULTILINE):
        dots, module, names = found.groups()
        if not re.search(rf"\b{name}\b", names):
            continue
        if re.search(rf"\bas {name}\b|\b{name} as\b", names):
            return None
        inner = [part for part in module.split(".") if part]
        there = _in(file.parents[len(dots) - 1].joinpath(*inner)) if dots else _module(module)
        return (there, name) if isinstance(there, Path) else None
    return None


@cache
def _module(name: str) -> Path | str | None:
    """Return the source of a module, the part of its name that is not there, or ``None``."""
    top, *inner = name.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None or spec.origin is None or not spec.origin.endswith("__init__.py"):
        return None
    folder, gone = Path(spec.origin).parent, top
    for part in inner:
        gone = f"{gone}.{part}"
        folder /= part
        if not folder.is_dir() and not any(folder.parent.glob(f"{part}.*")):
            # A package may give a module that is no file a name of its own.
            beside = _text(folder.parent / "__init__.py")
            return None if re.search(rf"\b{part}\b", beside) else gone
    return _in(folder)


def _in(place: Path) -> Path | None:
    """Return the file that a module is written in."""
    files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((f for f in files if f.is_file()), None)


@cache
def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _near(name: str, text: str) -> str:
    from difflib import get_close_matches

    known = sorted({w for w in re.findall(r"\b[A-Z]\w+", text) if not w.isupper()})
    return next(iter(get_close_matches(name, known, n=1)), "")
