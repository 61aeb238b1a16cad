"""A session whose state, store and work lie in a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from mlform.commands.session import Session
from mlform.lazy import dataclass, field
from mlform.state.place import Place


@dataclass
class Trial(Session):
    """One run of a test: the spec is the user's, nothing else is."""

    folder: Path = field(default_factory=Path)
    test_texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def local(self) -> Path:
        """The folder for local data."""
        return self.folder

    @property
    def workspace(self) -> str:
        """The workspace: a test is in none but its own."""
        return "default"

    @property
    def keeps_pins(self) -> bool:
        """Whether the lock file may be written: a test leaves it alone."""
        return False

    @property
    def texts(self) -> Mapping[str, str]:
        """The text of each file, the tests' too."""
        return {**super().texts, **self.test_texts}

    @cached_property
    def configured_place(self) -> Place:
        """Where the state lies."""
        return Place.in_file(self.folder / "state.db")
