"""How far a training has come, on the disk: whole or not at all, found again after a kill."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlform.sdk import Context
from mlform_core.folders import publish

_TOLD: Final = "checkpoint.json"
_KEPT: Final = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a training left behind at one step: its files are in ``folder``, read-only by custom."""

    step: int
    folder: Path
    history: Sequence[Mapping[str, Any]]


class Checkpoints:
    """The checkpoints of one key. What another key left is removed: it is of no use any more."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        key = str(ctx.receipt.get("key") or "none")
        self._all = ctx.home / "checkpoints"
        self._own = self._all / hashlib.sha256(key.encode()).hexdigest()[:32]

    def last(self) -> Checkpoint | None:
        """Return the latest that is whole; a damaged one is said, and the one before it taken."""
        for folder in sorted(self._steps(), reverse=True):
            told = _whole(folder)
            if told is not None:
                return Checkpoint(told["step"], folder, told["history"])
            self._ctx.log(f"The checkpoint {folder.name} is damaged and left out.")
        return None

    @contextmanager
    def writing(self, step: int, history: Sequence[Mapping[str, Any]]) -> Iterator[Path]:
        """Give an empty folder to write into; it counts once the block has ended without error."""
        self._own.mkdir(parents=True, exist_ok=True)
        self._forget_others()
        new = self._own / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        told = {"step": step, "history": list(history), "files": _digests(new)}
        (new / _TOLD).write_text(json.dumps(told), encoding="utf-8")
        publish(new, self._own / f"{step:012d}")
        for old in sorted(self._steps())[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def forget(self) -> None:
        """Remove all: the training is done."""
        shutil.rmtree(self._all, ignore_errors=True)

    def _steps(self) -> list[Path]:
        return [p for p in self._own.glob("*") if p.name.isdigit()]

    def _forget_others(self) -> None:
        for other in self._all.iterdir():
            if other != self._own:
                shutil.rmtree(other, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != _TOLD
    }


def _whole(folder: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads((folder / _TOLD).read_text(encoding="utf-8"))
        return told if told["files"] == _digests(folder) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
