"""``approver "NAME" { key = … }``: whose approval counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from mlform.config.blocks import Reader
from mlform.config.model import Approver
from mlform.diagnostics import Diagnostics
from mlform.syntax.tree import Attribute, Block
from mlform.values import Value

_KEY: Final = r"ed25519:[A-Za-z0-9+/]{43}="
_NAME: Final = r"[^\s,]+"


class Approvers:
    """Reads the ``approver`` blocks of an ``mlform`` block."""

    def __init__(self, diagnostics: Diagnostics, settled: Callable[[Attribute], Value]) -> None:
        self.diagnostics, self.settled = diagnostics, settled
        self.found: dict[str, Approver] = {}

    def read(self, block: Block) -> None:
        """Take one block."""
        Reader(self.diagnostics).only(block, ("key", "roles", "users"))
        labels = [label.text for label in block.labels]
        if len(labels) != 1 or not re.fullmatch(_NAME, labels[0]):
            detail = 'An approver has one name without spaces: approver "anna" { … }.'
            self.diagnostics.error("Invalid approver", detail, at=block.header_span)
            return
        name = labels[0]
        written = block.body.attributes.get("key")
        if written is None:
            detail = f"`key` is missing: the public key of {name}, as `mlform keys new` prints it."
            self.diagnostics.error("Missing argument", detail, at=block.header_span)
            return
        key = self.settled(written)
        if not isinstance(key, str) or not re.fullmatch(_KEY, key):
            detail = "`key` is the public key as `mlform keys new` prints it: ed25519:…"
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
            return
        if name in self.found:
            detail = f'There is an approver "{name}" already. Keep one.'
            self.diagnostics.error("Duplicate approver", detail, at=block.header_span)
            return
        if other := next((it.name for it in self.found.values() if it.key == key), None):
            detail = f'The key is that of approver "{other}", and nobody counts as two. Give {name}'
            detail += " a key of their own: `mlform keys new`."
            self.diagnostics.error("Duplicate approver", detail, at=written.value_span)
            return
        users = self._texts(block, "users") or (name,)
        self.found[name] = Approver(name, key, self._texts(block, "roles"), users)

    def _texts(self, block: Block, name: str) -> tuple[str, ...]:
        written = block.body.attributes.get(name)
        if written is None:
            return ()
        value = self.settled(written)
        if isinstance(value, Sequence) and not isinstance(value, str):
            texts = [v for v in value if isinstance(v, str)]
            if len(texts) == len(value):
                return tuple(texts)
        detail = f'`{name}` is a list of texts, such as ["risk"].'
        self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        return ()
