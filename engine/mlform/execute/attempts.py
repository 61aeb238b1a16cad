"""What attempts left behind: their logs, newest last, and how each of them ended."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from mlform.lazy import dataclass

_NAME: Final = re.compile(r"attempt-(\d{10,})-[0-9a-f]+")

Ending = Literal["done", "failed", "stopped", ""]


@dataclass(frozen=True)
class Attempted:
    """One attempt at a step."""

    folder: Path
    at: datetime

    @property
    def log(self) -> Path:
        """The file with everything it printed and logged."""
        return self.folder / "log.txt"

    @property
    def ending(self) -> Ending:
        """How it ended; ``""`` where it left no result: it runs still, or was lost."""
        try:
            data = json.loads((self.folder / "result.json").read_bytes())
        except (OSError, ValueError):
            return ""
        if "lost" in data:
            return ""
        if data.get("cancelled"):
            return "stopped"
        return "failed" if "error" in data else "done"


def attempts(base: Path) -> list[Attempted]:
    """Return the attempts under the folder of one resource's attempts, oldest first."""
    found = []
    for folder in sorted(base.glob("attempt-*")):
        if match := _NAME.fullmatch(folder.name):
            at = datetime.fromtimestamp(int(match[1]) / 1e6, UTC)
            found.append(Attempted(folder, at))
    return found
