"""User code named in arguments: ``"features/flights.py:build"``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlform.sdk.resource import ResourceError


def split(reference: str) -> tuple[Path, str]:
    """Return the path and the function of ``"path.py:function"``. Raises ``ResourceError``."""
    path, colon, function = reference.rpartition(":")
    if not colon or not path.endswith(".py") or not function.isidentifier():
        detail = f'"{reference}" is not of the form "path/to/file.py:function".'
        raise ResourceError("Invalid code reference", detail)
    return Path(path), function


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
