"""The door to states: where one is kept, and how to get at it without loading more than is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlform.lazy import dataclass
from mlform.state.file import NAME
from mlform.state.file import snapshot as read
from mlform.state.model import Snapshot
from mlform.state.sealed import CLEAR, Cipher

if TYPE_CHECKING:
    from mlform.state.store import SqlStore

SQLITE: Final = "sqlite:///"


@dataclass(frozen=True)
class Place:
    """A database and one workspace in it. ``schema`` is PostgreSQL's; ``None`` is the usual one."""

    url: str
    workspace: str = NAME
    schema: str | None = None
    cipher: Cipher = CLEAR

    @classmethod
    def in_file(cls, file: Path, workspace: str = NAME) -> Place:
        """Return the place of a state in a SQLite file."""
        return cls(f"{SQLITE}{file}", workspace)

    @property
    def file(self) -> Path | None:
        """The SQLite file, if it is one."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

    @property
    def blank(self) -> bool:
        """Whether it is certain, without asking a server, that nothing was ever written here."""
        return self.file is not None and not self.file.exists()

    def store(self) -> SqlStore:
        """Return the state, to be read and written. Nothing is opened before it is used."""
        from mlform.state.store import SqlStore  # noqa: PLC0415 - loads SQLAlchemy

        return SqlStore(self.url, self.workspace, self.schema, self.cipher)

    def snapshot(self) -> Snapshot:
        """Return everything recorded now; from a file without loading what writes it."""
        found = None if self.file is None else read(self.file, self.workspace, self.cipher)
        return self.store().snapshot() if found is None else found


def open_store(url: str, workspace: str = NAME, schema: str | None = None) -> SqlStore:
    """Return the store of a workspace in the database that a URL names."""
    return Place(url, workspace, schema).store()
