"""When each thing that was made was last looked at, and how it was then: a cache, no state."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from mlform.files import keep, kept
from mlform.lazy import dataclass, field
from mlform.state.model import Record

MAX_AGE: Final[Mapping[str, float]] = {
    "dataset": 3_600,
    "feature_view": 86_400,
    "training_job": 86_400,
    "model": 300,
    "gate": 86_400,
    "deployment": 30,
    "monitor": 300,
    "trigger": 86_400,
}
"""Kind → for how many seconds a look at what was made is good enough for ``-refresh=stale``.

What others can reach and change is looked at often, what lies in the artifact store seldom.
"""


@dataclass(frozen=True)
class Look:
    """One look at what was made: whether it is there, and its attributes if not as recorded."""

    at: float
    """Seconds since 1970."""
    digest: str
    """Of the record that it was compared with."""
    present: bool = True
    attributes: Mapping[str, Any] | None = None


@dataclass
class Looks:
    """The last look at each address. Losing the file costs a look."""

    path: Path
    found: dict[str, Look] = field(default_factory=dict)
    moved: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; what cannot be read was never looked at."""
        try:
            data = json.loads(kept(path) or b"{}")
            return cls(path, {a: Look(**look) for a, look in data.items()})
        except (ValueError, TypeError, AttributeError):
            return cls(path)

    def remember(
        self, record: Record, *, present: bool, attributes: Mapping[str, Any] | None
    ) -> None:
        """Note a look that was just had."""
        look = Look(round(time.time(), 3), record.digest, present, attributes)
        self.found[str(record.address)], self.moved = look, True

    def young(self, record: Record, limit: float) -> Look | None:
        """Return the last look, or else the time of applying, if it is younger than ``limit``."""
        now, look = time.time(), self.found.get(str(record.address))
        if look is not None and look.digest == record.digest and 0 <= now - look.at < limit:
            return look
        try:
            applied = datetime.fromisoformat(str(record.receipt.get("at"))).timestamp()
        except ValueError:
            return None
        return Look(applied, record.digest) if 0 <= now - applied < limit else None

    def save(self) -> None:
        """Write the file whole."""
        if not self.moved:
            return
        data = {a: dict(vars(look)) for a, look in sorted(self.found.items())}
        keep(self.path, json.dumps(data).encode())
