"""Records ⇄ text, and the hash that goes with what is written."""

from __future__ import annotations

import binascii
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from mlform.address import Address
from mlform.late import Late, Unread
from mlform.parts import LateParts, content
from mlform.state.model import Record, damaged

_address: Final = lru_cache(maxsize=1 << 16)(Address.parse)
"""Every address is read once as a record's own and once for each record that needs it."""


def text(data: Any) -> str:
    """Write JSON-ready data on one line, keys sorted, so that equal data have equal text."""
    return _encode(data)


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


_LONG: Final = 1 << 16
"""Characters from which on a record is written in several lines."""
_LATE: Final = "late"
_PARTS: Final = "parts_digest"


def record_text(data: Mapping[str, Any]) -> str:
    """Write the plain data of a record.

    Of one that is long, each long attribute is on a line of its own below the rest, which names
    them, compressed, and so are its parts, with their digest in the rest: most commands never
    read those.
    """
    whole = text(data)
    if len(whole) < _LONG:
        return whole
    attributes = data["attributes"]
    lines = {n: text(v) for n, v in attributes.items() if isinstance(v, Mapping | list)}
    late = sorted(n for n, line in lines.items() if len(line) >= _LONG // 4)
    parts = text(data["parts"]) if data["parts"] else ""
    below = [_packed(lines[name]) for name in late]
    head = {**data, "attributes": {**attributes, **dict.fromkeys(late)}, _LATE: late}
    if len(parts) > _LONG // 4:
        below.append(_packed(parts))
        head |= {"parts": {}, _PARTS: content(data["parts"])}
    return "\n".join([text(head), *below]) if below else whole


def journalled(written: str) -> str:
    """Return the text of a record as the journal has it: on one line."""
    if "\n" not in written:
        return written
    data = _read(written.encode(), "")
    return text({**data, "attributes": dict(data["attributes"]), "parts": dict(data["parts"])})


def _read(written: bytes, sha256: str) -> dict[str, Any]:
    end = written.find(b"\n")
    if end < 0:
        return dict(json.loads(written))
    data: dict[str, Any] = json.loads(written[:end])
    below = _below(written, end)
    values = dict(data["attributes"])
    for name in data.pop(_LATE):
        values[name] = Unread(next(below))
    data["attributes"] = Late(values, sha256)
    if digest := data.pop(_PARTS, None):
        data["parts"] = LateParts(digest, next(below))
    return data


def _below(written: bytes, end: int) -> Iterator[Callable[[], Any]]:
    """Yield what reads each line below the first, which ends there."""
    while end < len(written):
        begin, end = end + 1, written.find(b"\n", end + 1)
        end = len(written) if end < 0 else end
        yield partial(_line, written, begin, end)


def _packed(line: str) -> str:
    return binascii.b2a_base64(zlib.compress(line.encode(), level=1), newline=False).decode()


def _line(written: bytes, begin: int, end: int) -> Any:
    return json.loads(zlib.decompress(binascii.a2b_base64(written[begin:end])))


def seal(*parts: object) -> str:
    """Return the sha256 (hex) that is kept beside what is written and checked when it is read."""
    found, *others = (part if isinstance(part, bytes) else str(part).encode() for part in parts)
    hasher = hashlib.sha256(found)
    for part in others:
        hasher.update(b"\n")
        hasher.update(part)
    return hasher.hexdigest()


def sound(row: Sequence[object]) -> bool:
    """Tell whether a row is what was written; its seal is its last column."""
    *kept, sha256 = row
    return seal(*kept) == sha256


def record_data(record: Record) -> dict[str, Any]:
    """Return a record as plain data."""
    data = dict(vars(record))
    data["address"] = str(record.address)
    if isinstance(record.attributes, Late):
        data["attributes"] = dict(record.attributes)
    if isinstance(record.parts, LateParts):
        data["parts"] = dict(record.parts)
    data["needs"] = [str(a) for a in record.needs]
    data["held"] = list(record.held)
    data["deposed"] = [record_data(d) for d in record.deposed]
    return data


def parse_record(data: Mapping[str, Any]) -> Record:
    """Read a record back. Raises ``KeyError``, ``TypeError`` or ``ValueError`` on anything else."""
    return Record(
        **{
            **data,
            "address": _address(data["address"]),
            "needs": tuple(map(_address, data["needs"])),
            "held": tuple(data["held"]),
            "deposed": tuple(map(parse_record, data.get("deposed", ()))),
        }
    )


def checked_record(address: str, written: str | bytes, sha256: str) -> Record:
    """Read a record from its row. Raises ``DiagnosedError`` if it is not what was written."""
    raw = written if isinstance(written, bytes) else written.encode()
    if seal(address, raw) != sha256:
        raise damaged(f"The record of {address} is not what was written.")
    try:
        return parse_record(_read(raw, sha256))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(f"The record of {address} cannot be read ({error!r}).") from None
