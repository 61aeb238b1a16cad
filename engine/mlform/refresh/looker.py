"""What looking needs, and what a provider is lent of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlform.address import Address
from mlform.artifacts import FileDigests, LocalStore
from mlform.diagnostics import Diagnostics
from mlform.keys import ClosureCache, CodeError, Lock
from mlform.lazy import dataclass
from mlform.refresh.seen import Looks
from mlform.sdk import (
    Artifacts,
)
from mlform.state.model import Record, folder_name, home_of


@dataclass
class Looker:
    """What looking needs: the folders, the artifact store, and the caches."""

    root: Path
    homes: Path
    artifacts: LocalStore
    digests: FileDigests
    closures: ClosureCache
    looks: Looks
    shared: bool = False
    """Whether the artifact store is one that other folders use too."""

    def save(self) -> None:
        """Keep the caches for the next command."""
        self.digests.save()
        self.closures.save()
        self.looks.save()

    def lock(self, diagnostics: Diagnostics | None = None) -> Lock | None:
        """Return what the lock file of the environment says; one that is none is told, if at all.

        Without it what is installed counts all the same.
        """
        try:
            return self.closures.lock(self.root)
        except CodeError as error:
            if diagnostics is not None:
                diagnostics.error(error.summary, error.detail)
            return None

    def at(self, address: Address, record: Record | None = None) -> _Looking:
        """Return what a provider is lent to look at one resource."""
        home = folder_name(str(address)) if record is None else home_of(record)
        return _Looking(self, str(address), home)


@dataclass(frozen=True)
class _Looking:
    looker: Looker
    address: str
    folder: str

    @property
    def root(self) -> Path:
        return self.looker.root

    @property
    def home(self) -> Path:
        return self.looker.homes / self.folder

    @property
    def artifacts(self) -> Artifacts:
        return self.looker.artifacts

    def file_digest(self, path: Path | str) -> str:
        return self.looker.digests.digest(path)

    def file_digests(self, paths: Iterable[str]) -> list[str]:
        return self.looker.digests.digests(paths)

    def remember(self, token: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        return self.looker.digests.remember(token, make)
