"""User code named in arguments: ``"features/flights.py:build"``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlform.sdk.resource import ResourceError

if TYPE_CHECKING:
    from mlform.sdk.context import Looking


def split(reference: str) -> tuple[Path, str]:
    """Return the path and the function of ``"path.py:function"``. Raises ``ResourceError``."""
    path, colon, function = reference.rpartition(":")
    if not colon or not path.endswith(".py") or not function.isidentifier():
        detail = f'"{reference}" is not of the form "path/to/file.py:function".'
        raise ResourceError("Invalid code reference", detail)
    return Path(path), function


def included(ctx: Looking, patterns: Sequence[str]) -> dict[str, str]:
    """Return the digest of each file that code reads beside itself: paths, globs and folders.

    Paths are relative to the spec's folder, from which code should open them. Raises
    ``ResourceError`` where a pattern names nothing, or leads out of the folder.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern:
            detail = f'"{pattern}" leads out of the folder of the spec. Move the files into it.'
            raise ResourceError("Invalid include", detail, argument="include")
        named = sorted(ctx.root.glob(pattern))
        inside = [p for n in named for p in (sorted(n.rglob("*")) if n.is_dir() else [n])]
        files = [p for p in inside if p.is_file() and "__pycache__" not in p.parts]
        if not files:
            detail = f'"{pattern}" names no file under the folder of the spec.'
            raise ResourceError("Nothing to include", detail, argument="include")
        found |= {p.relative_to(ctx.root).as_posix(): ctx.file_digest(p) for p in files}
    return dict(sorted(found.items()))


def check_included(ctx: Looking, patterns: Sequence[str], planned: Mapping[str, str]) -> None:
    """Refuse to run with other files than were planned with. Raises ``ResourceError``."""
    now = included(ctx, patterns)
    moved = [name for name in sorted({*now, *planned}) if now.get(name) != planned.get(name)]
    if moved:
        detail = f"{', '.join(moved)} is not what it was when this was planned. Plan again."
        raise ResourceError("Files changed since the plan", detail, argument="include")


def load(root: Path, reference: str) -> Callable[..., Any]:
    """Import the function a reference names, as the closure was hashed.

    The spec's folder is the root of first-party code: ``features/flights.py`` is imported as
    ``features.flights``, and may import its neighbours the same way.
    """
    path, function = split(reference)
    file = root / path
    if not file.is_file():
        raise ResourceError("Code not found", f"{path} does not exist under the spec's folder.")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    try:
        found = getattr(module, function)
    except AttributeError:
        detail = f'{path} defines no "{function}".'
        raise ResourceError("Code not found", detail) from None
    if not callable(found):
        raise ResourceError("Code not found", f'"{function}" in {path} is not a function.')
    called: Callable[..., Any] = found
    return called
