"""``encryption { … }``: how the state and saved plans are encrypted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mlform.config.blocks import Reader
from mlform.config.model import Encryption, KeySource
from mlform.diagnostics import Diagnostics
from mlform.syntax.tree import Attribute, Block
from mlform.values import Sensitive, Value

_LEAST: Final = 16
"""Characters of a passphrase: the state is there to be guessed at, at leisure."""
_SOURCES: Final = ("passphrase", "key_command")


def encryption(
    block: Block, settled: Callable[[Attribute], Value], diagnostics: Diagnostics
) -> Encryption | None:
    """Read one block; ``None`` where it cannot be, which is noted."""
    Reader(diagnostics).only(block, (*_SOURCES, "enforced"), ("fallback",))
    errors = len(diagnostics.errors)
    primary = _source(block, settled, diagnostics)
    fallback = []
    for inner in block.body.blocks:
        Reader(diagnostics).only(inner, _SOURCES)
        source = _source(inner, settled, diagnostics)
        if source is None and len(diagnostics.errors) == errors:
            detail = "A fallback has the `passphrase` or the `key_command` that was used before."
            diagnostics.error("Missing argument", detail, at=inner.header_span)
        elif source is not None:
            fallback.append(source)
    enforced = False
    if (written := block.body.attributes.get("enforced")) is not None:
        value = settled(written)
        if not isinstance(value, bool):
            detail = "`enforced` is true or false."
            diagnostics.error("Invalid argument", detail, at=written.value_span)
        enforced = value is True
    if primary is None and (enforced or not fallback) and len(diagnostics.errors) == errors:
        detail = "Encryption takes a `passphrase` or a `key_command`; to decrypt only, a fallback."
        diagnostics.error("Missing argument", detail, at=block.header_span)
    if len(diagnostics.errors) > errors:
        return None
    return Encryption(primary, tuple(fallback), enforced)


def _source(
    block: Block, settled: Callable[[Attribute], Value], diagnostics: Diagnostics
) -> KeySource | None:
    given = [n for n in _SOURCES if n in block.body.attributes]
    if len(given) > 1:
        detail = "A key comes from a `passphrase` or from a `key_command`: not from both."
        diagnostics.error("Too many arguments", detail, at=block.header_span)
    if len(given) != 1:
        return None
    written = block.body.attributes[given[0]]
    errors, value = len(diagnostics.errors), settled(written)
    value = value.value if isinstance(value, Sensitive) else value
    if given[0] == "passphrase" and isinstance(value, str) and len(value) >= _LEAST:
        return KeySource(passphrase=value)
    if given[0] == "key_command" and isinstance(value, Sequence) and not isinstance(value, str):
        words = [v for v in value if isinstance(v, str)]
        if words and len(words) == len(value):
            return KeySource(command=tuple(words))
    if len(diagnostics.errors) == errors:
        detail = (
            f"`passphrase` is text of at least {_LEAST} characters. Give its variable a value: "
            "MLF_VAR_NAME, -var or a file of values."
            if given[0] == "passphrase"
            else '`key_command` is a list: the program and its arguments, ["pass", "show", "key"].'
        )
        diagnostics.error("Invalid argument", detail, at=written.value_span)
    return None
