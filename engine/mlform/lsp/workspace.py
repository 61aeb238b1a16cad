"""What a folder of spec files says, with the texts that an editor has not saved yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlform.commands.checking import check
from mlform.commands.explaining import ordered
from mlform.commands.session import Session
from mlform.config import Given, Sources
from mlform.config.declare import Folder
from mlform.config.load import BLOCKS
from mlform.config.sources import JSON_SUFFIX, SUFFIX, parse_file
from mlform.diagnostics import DiagnosedError, Diagnostic, Diagnostics, stop
from mlform.registry import Registry
from mlform.syntax.tree import Attribute, Block, Body


@dataclass
class Module:
    """One folder as it stands in the editor: parsed as far as it can be, and checked."""

    root: Path
    texts: Mapping[str, str]
    registry: Registry = field(default_factory=Registry)

    @classmethod
    def read(cls, root: Path, unsaved: Mapping[Path, str], registry: Registry) -> Module:
        """Read the spec files of a folder; a text in the editor beats the one on disk."""
        there = {p.name: p for p in root.iterdir() if _is_spec(p.name)} if root.is_dir() else {}
        names = {*there, *(p.name for p in unsaved if p.parent == root and _is_spec(p.name))}
        texts = {}
        for name in sorted(names):
            text = unsaved.get(root / name)
            texts[name] = there[name].read_text("utf-8", "replace") if text is None else text
        return cls(root, texts, registry)

    @cached_property
    def bodies(self) -> Mapping[str, Body]:
        """The syntax trees, with what can be told of half-written text."""
        return {n: parse_file(n, t, Diagnostics(), BLOCKS) for n, t in self.texts.items()}

    @cached_property
    def folder(self) -> Folder:
        """Everything that the files declare."""
        return Folder.read(list(self.bodies.values()), Diagnostics())

    def problems(self) -> list[Diagnostic]:
        """Return everything that is wrong, values of required variables left open."""
        session = Session(self.root, Given((), {}, partial=True), self.registry)
        session.__dict__["sources"] = Sources(self.root, self.texts, {})
        found = session.diagnostics
        try:
            if not self.texts:
                raise stop("No spec found", "There is no spec file here.")
            check(session.configured[0], found)
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

    def around(self, file: str, offset: int) -> list[Block]:
        """Return the blocks that a place is in, outermost first."""
        found: list[Block] = []
        body: Body | None = self.bodies.get(file)
        while body is not None:
            inner = next((b for b in body.blocks if b.header_end < offset <= b.end), None)
            if inner is None:
                return found
            found.append(inner)
            body = inner.body
        return found


def _attributes(body: Body) -> Iterator[Attribute]:
    yield from body.attributes.values()
    for block in body.blocks:
        yield from _attributes(block.body)


def _is_spec(name: str) -> bool:
    return name.endswith((SUFFIX, JSON_SUFFIX))
