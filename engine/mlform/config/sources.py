"""The files of a spec as read, and the values people give its variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlform.config.written import as_written
from mlform.diagnostics import Diagnostics, stop
from mlform.lazy import dataclass, field
from mlform.syntax import parse
from mlform.syntax.kept import parse_kept
from mlform.syntax.tree import Attribute, Block, Body
from mlform.values import Value

SUFFIX = ".mlf.hcl"
JSON_SUFFIX = ".mlf.json"
VALUES = ("mlform.mlfvars.hcl", "mlform.mlfvars.json")
AUTO_VALUES = (".auto.mlfvars.hcl", ".auto.mlfvars.json")
ENVIRONMENT = "MLF_VAR_"


@dataclass(frozen=True)
class Given:
    """Values given for variables: ``-var name=value`` and ``-var-file path``, in order."""

    items: Sequence[tuple[str, str]] = ()
    """``("var", "name=value")`` or ``("file", path)``."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    values: Mapping[str, Value] = field(default_factory=dict)
    """Values worked out already, which beat all others: those that a test gives."""
    workspace: str = "default"
    """The workspace that the command runs in."""
    partial: bool = False
    """A variable without a value is one that is not known yet: to check a spec without values."""
    providers: Sequence[Block] = ()
    """Provider blocks in the stead of those of the spec that they have the name and alias of."""
    modules: Mapping[tuple[str, ...], Mapping[str, Attribute]] = field(default_factory=dict)
    """Outputs of calls that make nothing, by the names on the way to the call."""


@dataclass(frozen=True)
class Sources:
    """The spec files of one folder: name → text."""

    root: Path
    files: Mapping[str, str]
    values: Mapping[str, str]
    """The files that give variables their values, lowest precedence first."""
    modules: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """The files of called modules, by folder relative to ``root``, as far as they were read."""
    parsed: dict[str, Body] = field(default_factory=dict, compare=False, repr=False)
    """The syntax trees of files without an error, as far as anyone asked for them."""

    @classmethod
    def read(cls, root: Path, diagnostics: Diagnostics, given: Given | None = None) -> Sources:
        """Read every spec file of a folder, in name order. Raises where there is none."""
        if not root.is_dir():
            raise stop("No such folder", f"{root} is not a folder.")
        names = _spec_names(root)
        if not names:
            raise stop(
                "No spec found",
                f"There is no *{SUFFIX} file in {root}. Write one, or run `mlform init` for a "
                "small example.",
            )
        files = {
            n: text for n in names if (text := read_text(root / n, n, diagnostics)) is not None
        }
        automatic = [name for name in VALUES if (root / name).is_file()]
        automatic += sorted(p.name for p in root.iterdir() if p.name.endswith(AUTO_VALUES))
        values = {n: t for n in automatic if (t := read_text(root / n, n, diagnostics)) is not None}
        for how, what in given.items if given else ():
            if how == "file" and (text := read_text(Path(what), what, diagnostics)) is not None:
                values[what] = text
        return cls(root, files, values)

    def module(self, folder: str, diagnostics: Diagnostics) -> Mapping[str, str]:
        """Return the spec files of a called module; their names have its folder before them."""
        if folder not in self.modules:
            place = self.root / folder
            names = _spec_names(place) if place.is_dir() else []
            read = {n: read_text(place / n, f"{folder}/{n}", diagnostics) for n in names}
            self.modules[folder] = {
                f"{folder}/{n}": text for n, text in read.items() if text is not None
            }
        return self.modules[folder]

    def tree(
        self, name: str, text: str, diagnostics: Diagnostics, labels: Mapping[str, int]
    ) -> Body:
        """Parse a file of blocks, or take the tree that an earlier command kept."""
        local = self.root / ".mlform"
        if local.is_dir() and not name.endswith(".json"):
            return parse_kept(text, name, diagnostics, local / "cache" / "trees")
        return parse_file(name, text, diagnostics, labels)

    @property
    def texts(self) -> Mapping[str, str]:
        """Every text by file name, for showing source lines."""
        inner = {name: text for files in self.modules.values() for name, text in files.items()}
        return {**inner, **self.files, **self.values}


def parse_file(name: str, text: str, diagnostics: Diagnostics, labels: Mapping[str, int]) -> Body:
    """Parse a file in the syntax that its name says; ``labels``: how many each block has."""
    if name.endswith(".json"):
        from mlform.syntax.json import parse_json  # noqa: PLC0415 - few specs have JSON

        return as_written(parse_json(text, name, diagnostics, labels))
    return parse(text, name, diagnostics)


def _spec_names(folder: Path) -> list[str]:
    found = (p for p in folder.iterdir() if p.name.endswith((SUFFIX, JSON_SUFFIX)))
    return sorted(p.name for p in found if p.is_file())


def read_text(path: Path, name: str, diagnostics: Diagnostics) -> str | None:
    """Return the text of a file, or note why it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"{name} is not UTF-8: byte {error.start} cannot be read. Save it as UTF-8."
        diagnostics.error("Unreadable file", detail)
    except OSError as error:
        diagnostics.error("Unreadable file", f"{name}: {error.strerror}.")
    return None
