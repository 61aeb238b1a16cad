"""``webhook "NAME" { … }``: who is told of what the loop does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mlform.config.blocks import Reader
from mlform.config.model import Webhook
from mlform.config.quantities import texts
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.syntax.tree import Attribute, Block
from mlform.values import Sensitive, Value

EVENTS: Final = ("alarm", "incident", "proposed", "applied", "held", "failed")
"""What can be told, each by its name."""


class Webhooks:
    """Reads the ``webhook`` blocks of an ``mlform`` block."""

    def __init__(self, diagnostics: Diagnostics, settled: Callable[[Attribute], Value]) -> None:
        self.diagnostics, self.settled = diagnostics, settled
        self.found: dict[str, Webhook] = {}

    def read(self, block: Block) -> None:
        """Take one block."""
        Reader(self.diagnostics).only(block, ("url", "events", "headers", "secret"))
        labels = [label.text for label in block.labels]
        if len(labels) != 1:
            detail = 'A webhook has one name: webhook "team" { url = … }.'
            self.diagnostics.error("Invalid webhook", detail, at=block.header_span)
            return
        if labels[0] in self.found:
            detail = f'There is a webhook "{labels[0]}" already. Keep one.'
            self.diagnostics.error("Duplicate webhook", detail, at=block.header_span)
            return
        if "url" not in block.body.attributes:
            detail = "`url` is missing: where to send what there is to tell."
            self.diagnostics.error("Missing argument", detail, at=block.header_span)
            return
        errors = len(self.diagnostics.errors)
        url = self._text(block, "url")
        if url is not None and not url.startswith(("https://", "http://")):
            at = block.body.attributes["url"].value_span
            detail = "`url` begins with https:// or http://."
            self.diagnostics.error("Invalid argument", detail, at=at)
        found = Webhook(
            labels[0], url or "", self._events(block), self._headers(block), self._secret(block)
        )
        if len(self.diagnostics.errors) == errors:
            self.found[found.name] = found

    def _secret(self, block: Block) -> str | None:
        return self._text(block, "secret") if "secret" in block.body.attributes else None

    def _text(self, block: Block, name: str) -> str | None:
        written = block.body.attributes[name]
        errors, value = len(self.diagnostics.errors), _revealed(self.settled(written))
        if isinstance(value, str) and value:
            return value
        if len(self.diagnostics.errors) == errors:
            detail = f"`{name}` is text, and known before anything is planned."
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        return None

    def _events(self, block: Block) -> tuple[str, ...]:
        written = block.body.attributes.get("events")
        if written is None:
            return EVENTS
        errors, value = len(self.diagnostics.errors), texts(self.settled(written))
        if value is None and len(self.diagnostics.errors) == errors:
            detail = f"`events` is a list of texts. There are: {', '.join(EVENTS)}."
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        for name in value or ():
            if name not in EVENTS:
                detail = (
                    f'There is no event "{name}".{did_you_mean(name, EVENTS)} '
                    f"There are: {', '.join(EVENTS)}."
                )
                self.diagnostics.error("Unknown event", detail, at=written.value_span)
        return value or ()

    def _headers(self, block: Block) -> Mapping[str, str]:
        written = block.body.attributes.get("headers")
        if written is None:
            return {}
        errors, value = len(self.diagnostics.errors), _revealed(self.settled(written))
        found = {n: _revealed(v) for n, v in value.items()} if isinstance(value, Mapping) else {}
        good = isinstance(value, Mapping) and all(isinstance(v, str) for v in found.values())
        if not good and len(self.diagnostics.errors) == errors:
            detail = '`headers` has a text for each name: { Authorization = "Bearer …" }.'
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        return {n: v for n, v in found.items() if isinstance(v, str)}


def _revealed(value: Value) -> Value:
    return value.value if isinstance(value, Sensitive) else value
