"""Override files: ``override.mlf.hcl`` and ``*_override.mlf.hcl`` change blocks of other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lazy import dataclass
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Block, Body, Literal

_Key: TypeAlias = tuple[str, ...]

_KEPT: Final[Mapping[str, str]] = {
    "validation": "Conditions of a variable",
    "depends_on": "What a block waits for",
    "moved": "What was moved",
    "removed": "What was removed",
    "import": "What is imported",
    "check": "A check",
}
"""What no override may say, as the beginning of a sentence."""

_EITHER: Final = {"count": "for_each", "for_each": "count"}


def is_override(file: str) -> bool:
    """Tell whether a spec file changes what others declare, instead of declaring anything."""
    stem = PurePosixPath(file).name.partition(".mlf.")[0]
    return stem == "override" or stem.endswith("_override")


def overridden(bodies: Sequence[Body], diagnostics: Diagnostics) -> Sequence[Body]:
    """Return the bodies of a folder's files with its override files put into effect.

    An override replaces single arguments, and inner blocks by their kind. Override files are
    taken in name order, so the last one has the last word.
    """
    overrides = [b for b in bodies if is_override(b.source.file)]
    if not overrides:
        return bodies
    ordinary = [b for b in bodies if not is_override(b.source.file)]
    return _Overriding.of(ordinary, diagnostics).all(overrides)


@dataclass
class _Overriding:
    """The blocks of the ordinary files, changed one override at a time."""

    bodies: list[Body]
    blocks: list[list[Block]]
    places: dict[_Key, tuple[int, int]]
    """Block → in which body it stands, and the how-manieth there it is."""
    diagnostics: Diagnostics

    @classmethod
    def of(cls, bodies: list[Body], diagnostics: Diagnostics) -> _Overriding:
        places: dict[_Key, tuple[int, int]] = {}
        for at, body in enumerate(bodies):
            for nth, block in enumerate(body.blocks):
                places.setdefault(_key(block), (at, nth))
        return cls(bodies, [list(b.blocks) for b in bodies], places, diagnostics)

    def all(self, overrides: Sequence[Body]) -> list[Body]:
        """Return every body, ordinary ones first; of overrides what stands for itself is left."""
        left = []
        for body in overrides:
            alone = [b for b in body.blocks if self._stands_alone(b)]
            left.append(body._replace(blocks=tuple(alone)))
        changed = zip(self.bodies, self.blocks, strict=True)
        return [*(body._replace(blocks=tuple(blocks)) for body, blocks in changed), *left]

    def _stands_alone(self, block: Block) -> bool:
        """Put one block of an override into effect, unless it is to be read like any other."""
        if block.kind in _KEPT:
            self._refuse(block.kind, block)
        elif block.kind == "locals":
            self._locals(block)
        elif block.kind == "mlform":
            self._settings(block)
            return True
        elif (place := self.places.get(_key(block))) is not None:
            at, nth = place
            self.blocks[at][nth] = self._merged(self.blocks[at][nth], block)
        elif block.kind == "provider" and not _alias(block):
            return True
        else:
            return self._missing(block)
        return False

    def _missing(self, block: Block) -> bool:
        key = _key(block)
        if len(key) < 2:
            return True  # what is wrong with its labels is told where blocks are read
        names = [k[1] for k in self.places if k[0] == block.kind and len(k) > 1]
        what = f"{block.kind}.{key[1]}" if block.kind in KINDS else f'{block.kind} "{key[1]}"'
        detail = (
            f"No other file declares {what}, and an override file changes what others declare."
            f"{did_you_mean(key[1], names)} Declare it in a file that is no override."
        )
        self.diagnostics.error("Nothing to override", detail, at=block.header_span, missing=True)
        return False

    def _refuse(self, name: str, written: Block | Attribute) -> None:
        at = written.header_span if isinstance(written, Block) else written.name_span
        detail = (
            f"{_KEPT[name]} cannot be overridden: take {name} out of the override file, and "
            "write it where it belongs."
        )
        self.diagnostics.error("Invalid override", detail, at=at)

    def _merged(self, base: Block, override: Block) -> Block:
        for inner in override.body.blocks:
            if inner.kind == "validation":
                self._refuse("validation", inner)
        if (waits := override.body.attributes.get("depends_on")) is not None:
            self._refuse("depends_on", waits)
        labels = override.labels if base.kind in KINDS else base.labels
        return base._replace(labels=labels, body=_body(base.body, override.body))

    def _locals(self, override: Block) -> None:
        for name, attribute in override.body.attributes.items():
            found = False
            for blocks in self.blocks:
                for at, block in enumerate(blocks):
                    if block.kind == "locals" and name in block.body.attributes:
                        attributes = {**block.body.attributes, name: attribute}
                        body = block.body._replace(attributes=attributes)
                        blocks[at], found = block._replace(body=body), True
            if not found:
                known = [
                    n
                    for blocks in self.blocks
                    for b in blocks
                    if b.kind == "locals"
                    for n in b.body.attributes
                ]
                detail = (
                    f'No other file sets the local value "{name}", and an override file changes '
                    f"what others declare.{did_you_mean(name, known)} Set it in a file that is no "
                    "override."
                )
                self.diagnostics.error(
                    "Nothing to override", detail, at=attribute.name_span, missing=True
                )

    def _settings(self, override: Block) -> None:
        """Take out of all ``mlform`` blocks what this one says in their stead."""
        inner = {b.kind: b for b in override.body.blocks}
        required = inner.get("required_providers")
        names = required.body.attributes.keys() if required else frozenset()
        for blocks in self.blocks:
            for at, block in enumerate(blocks):
                if block.kind == "mlform":
                    blocks[at] = block._replace(
                        body=block.body._replace(
                            attributes=_without(block.body, override.body.attributes.keys()),
                            blocks=tuple(
                                b._replace(body=b.body._replace(attributes=_without(b.body, names)))
                                for b in block.body.blocks
                                if b.kind == "required_providers" or b.kind not in inner
                            ),
                        )
                    )


def _without(body: Body, names: AbstractSet[str]) -> dict[str, Attribute]:
    return {n: a for n, a in body.attributes.items() if n not in names}


def _body(base: Body, override: Body) -> Body:
    """Return a body with arguments replaced one by one, blocks by kind, ``lifecycle`` inside."""
    given = {inner.kind: inner for inner in override.blocks}
    named = {_named(inner) for inner in override.blocks}
    attributes = {
        n: a
        for n, a in base.attributes.items()
        if n not in named and _EITHER.get(n) not in override.attributes
    }
    attributes |= {n: a for n, a in override.attributes.items() if n != "depends_on"}
    blocks = [
        b._replace(body=_body(b.body, given["lifecycle"].body)) if b.kind == "lifecycle" else b
        for b in base.blocks
        if ("lifecycle" in given and b.kind == "lifecycle")
        or (_named(b) not in named and _named(b) not in override.attributes)
    ]
    old = {b.kind for b in base.blocks}
    blocks += [
        b
        for b in override.blocks
        if b.kind != "validation" and not (b.kind == "lifecycle" and "lifecycle" in old)
    ]
    return base._replace(attributes=attributes, blocks=tuple(blocks))


def _named(block: Block) -> str:
    """Return the argument that a block is written for: that of ``dynamic "x"`` is ``x``."""
    return block.labels[0].text if block.kind == "dynamic" and block.labels else block.kind


def _key(block: Block) -> _Key:
    """Return what makes two blocks the same: the kind and the name, not the type."""
    labels = [label.text for label in block.labels]
    if block.kind == "provider":
        return (block.kind, *labels, _alias(block))
    return (block.kind, *labels[-1:])


def _alias(block: Block) -> str:
    written = block.body.attributes.get("alias")
    value = written.expr if written else None
    return str(value.value) if isinstance(value, Literal) else ""
