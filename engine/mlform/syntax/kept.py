"""Trees of spec files, kept so that an unchanged one need not be parsed again.

MessagePack: reading it makes data and runs nothing. A node is a map of one entry, its kind →
its fields; what stands in each file once, the ``Source``, is put in on reading.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgpack

from mlform.diagnostics import Diagnostics
from mlform.files import keep, kept
from mlform.syntax import tree
from mlform.syntax.limits import uncollected
from mlform.syntax.parse import parse
from mlform.syntax.tree import Body, Source

_KINDS: Final = (
    tree.Literal,
    tree.Template,
    tree.TemplateWrap,
    tree.TemplateIf,
    tree.TemplateFor,
    tree.Name,
    tree.GetAttr,
    tree.Index,
    tree.Splat,
    tree.SplatItem,
    tree.TupleExpr,
    tree.ObjectExpr,
    tree.ForTuple,
    tree.ForObject,
    tree.Call,
    tree.Unary,
    tree.Binary,
    tree.Conditional,
    tree.Parens,
    tree.Label,
)
_SECRET: Final = "sensitive", "ephemeral"
"""Words without which nothing that a spec says is secret: what is there may have a default."""
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_ATTRIBUTE, _BLOCK, _BODY, _NUMBER, _INTEGER = range(len(_KINDS), len(_KINDS) + 5)


def parse_kept(text: str, file: str, diagnostics: Diagnostics, folder: Path) -> Body:
    """Parse a whole file, or take the tree that ``folder`` has of it if its text is the same.

    Only trees of texts without a problem are kept, and none in which something may be a secret.
    Only time is at stake: a damaged file is none, and one that cannot be written is not.
    """
    if any(word in text for word in _SECRET):
        return parse(text, file, diagnostics)
    place = folder / hashlib.sha256(file.encode()).hexdigest()
    meant, source = hashlib.sha256(_parser() + text.encode()).digest(), Source(file, text)
    data = kept(place)
    if data is not None and data.startswith(meant):
        known = load(data.removeprefix(meant), source)
        if known is not None:
            return known
    found = Diagnostics()
    body = parse(text, file, found)
    diagnostics.extend(found)
    if not list(found) and body.source == source and (data := dump(body)) is not None:
        keep(place, meant + data)
    return body


@cache
def _parser() -> bytes:
    """Say which parser this is: by its files, so that a changed one takes no older tree."""
    stats = ((p.name, p.stat()) for p in sorted(Path(__file__).parent.glob("*.py")))
    files = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats]
    return "\n".join([sys.version, *files, ""]).encode()


def dump(body: Body) -> bytes | None:
    """Write the tree of a whole file; ``None`` where it is too deep or large."""
    try:
        return msgpack.packb(body, default=_written, strict_types=True)  # type: ignore[no-any-return]
    except (OverflowError, ValueError):
        return None


def load(data: bytes, source: Source) -> Body | None:
    """Read a tree back; ``None`` where the bytes are none."""
    make = tuple.__new__

    def node(pairs: Sequence[tuple[int, Any]]) -> Any:
        ((number, fields),) = pairs
        if number < _ATTRIBUTE:
            return make(_KINDS[number], fields)
        if number == _ATTRIBUTE:
            return make(tree.Attribute, (*fields, source))
        if number == _BLOCK:
            return make(tree.Block, (*fields, source))
        if number == _BODY:
            start, end, attributes, blocks = fields
            return make(Body, (start, end, {a[2]: a for a in attributes}, blocks, source))
        return Decimal(fields) if number == _NUMBER else int(fields)

    with uncollected(len(source.text)):
        try:
            body = msgpack.unpackb(
                data, object_pairs_hook=node, use_list=False, strict_map_key=False
            )
        except (ValueError, TypeError, IndexError, msgpack.UnpackException):
            return None
    return body if isinstance(body, Body) else None


def _written(node: Any) -> Any:
    """Write what is no scalar: called for each node, its fields not yet written."""
    kind = type(node)
    if kind is tuple:
        return list(node)
    if (number := _NUMBERS.get(kind)) is not None:
        return {number: list(node)}
    if kind is tree.Attribute:
        return {_ATTRIBUTE: list(node[:-1])}
    if kind is tree.Block:
        return {_BLOCK: list(node[:-1])}
    if kind is Body:
        return {_BODY: [node.start, node.end, list(node.attributes.values()), list(node.blocks)]}
    if kind is Decimal:
        return {_NUMBER: str(node)}
    if kind is int:  # of more than 64 bits
        return {_INTEGER: str(node)}
    raise TypeError(f"no {kind.__name__} stands in a syntax tree")
