"""What a folder of spec files says, with the texts that an editor has not saved yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from mlform.commands.checking import check
from mlform.commands.explaining import ordered
from mlform.commands.session import Session
from mlform.config import Given, Sources
from mlform.config.declare import Folder
from mlform.config.load import BLOCKS
from mlform.config.modules import Fetched, is_local
from mlform.config.sources import AUTO_VALUES, JSON_SUFFIX, SUFFIX, VALUES, parse_file
from mlform.diagnostics import DiagnosedError, Diagnostic, Diagnostics, stop
from mlform.lazy import dataclass, field
from mlform.registry import Registry
from mlform.syntax.tree import Attribute, Block, Body, Literal

Parsed: TypeAlias = dict[Path, tuple[str, Body]]
"""File → the text that was parsed last, and what came of it."""


@dataclass
class Module:
    """One folder as it stands in the editor: parsed as far as it can be, and checked."""

    root: Path
    texts: Mapping[str, str]
    """The spec files."""
    registry: Registry = field(default_factory=Registry)
    values: Mapping[str, str] = field(default_factory=dict)
    """The files that give variables their values without being asked for."""
    unsaved: Mapping[Path, str] = field(default_factory=dict)
    parsed: Parsed = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        root: Path,
        unsaved: Mapping[Path, str],
        registry: Registry,
        parsed: Parsed | None = None,
    ) -> Module:
        """Read the files of a folder; a text in the editor beats the one on disk."""
        there = {p.name for p in root.iterdir() if p.is_file()} if root.is_dir() else set()
        names = sorted(there | {p.name for p in unsaved if p.parent == root})
        specs = [n for n in names if n.endswith((SUFFIX, JSON_SUFFIX))]
        values = [n for n in VALUES if n in names]
        values += [n for n in names if n.endswith(AUTO_VALUES)]

        def text(name: str) -> str:
            found = unsaved.get(root / name)
            return (root / name).read_text("utf-8", "replace") if found is None else found

        return cls(
            root,
            {n: text(n) for n in specs},
            registry,
            {n: text(n) for n in values},
            unsaved,
            {} if parsed is None else parsed,
        )

    def beside(self, folder: Path) -> Module:
        """Return the module of another folder, as it stands in the same editor."""
        return Module.read(folder, self.unsaved, self.registry, self.parsed)

    def called(self, name: str) -> Module | None:
        """Return the module that a call names, if it is there."""
        block = self.folder.calls.get(name)
        written = block.body.attributes.get("source") if block else None
        source = written.expr.value if written and isinstance(written.expr, Literal) else None
        if not isinstance(source, str):
            return None
        folder: str | None = source
        if not is_local(source):
            folder = Fetched.read(self.root).folder(name, source)
        place = self.root / folder if folder else None
        return self.beside(place.resolve()) if place is not None and place.is_dir() else None

    def text(self, name: str) -> str:
        """Return the text of one file, empty if it is none of these."""
        return self.texts.get(name, self.values.get(name, ""))

    @cached_property
    def bodies(self) -> Mapping[str, Body]:
        """The syntax trees, with what can be told of half-written text."""
        return {n: self._body(n, t) for n, t in self.texts.items()}

    def _body(self, name: str, text: str) -> Body:
        last = self.parsed.get(self.root / name)
        if last is None or last[0] != text:
            last = text, parse_file(name, text, Diagnostics(), BLOCKS)
            self.parsed[self.root / name] = last
        return last[1]

    @cached_property
    def folder(self) -> Folder:
        """Everything that the files declare."""
        return Folder.read(list(self.bodies.values()), Diagnostics())

    def problems(self) -> list[Diagnostic]:
        """Return everything that is wrong, values of required variables left open."""
        session = Session(self.root, Given((), {}, partial=True), self.registry)
        session.__dict__["sources"] = Sources(self.root, self.texts, self.values)
        found = session.diagnostics
        try:
            if not self.texts:
                raise stop("No spec found", "There is no spec file here.")
            check(*session.configured, found)
            assert session.graph is not None, "building the graph finds cycles"
        except DiagnosedError as error:
            if error.diagnostics is not found:
                found.extend(error.diagnostics)
        return ordered(found, session.texts)

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Yield every outermost block with its file."""
        for name, body in self.bodies.items():
            for block in body.blocks:
                yield name, block

    def attributes(self) -> Iterator[tuple[str, Attribute]]:
        """Yield every argument, however deep, with its file."""
        for name, body in self.bodies.items():
            for attribute in _attributes(body):
                yield name, attribute


def _attributes(body: Body) -> Iterator[Attribute]:
    yield from body.attributes.values()
    for block in body.blocks:
        yield from _attributes(block.body)
