"""``fmt``: spec files in the one layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mlform.diagnostics import Diagnostics, stop
from mlform.syntax.layout import layout

_SUFFIXES: Final = (".mlf.hcl", ".mlfvars.hcl", ".mlftest.hcl")


def files(paths: Sequence[Path], *, recursive: bool) -> dict[str, str]:
    """Return the text of each file named, and of each spec file in the folders named."""
    found: dict[str, str] = {}
    for path in paths:
        if path.is_dir():
            inside = path.rglob("*") if recursive else path.iterdir()
            chosen = [p for p in sorted(inside) if p.name.endswith(_SUFFIXES) and p.is_file()]
        elif path.is_file():
            chosen = [path]
        else:
            raise stop("No such file", f"There is no file or folder {path}.")
        for one in chosen:
            try:
                found[str(one)] = one.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                raise stop("Unreadable file", f"{one} is not UTF-8. Save it as UTF-8.") from None
    return found


def lay_out(name: str, text: str, diagnostics: Diagnostics) -> str:
    """Return the text laid out; notes what does not parse, and returns that unchanged."""
    return layout(text, name, diagnostics)
