"""Records ⇄ text, and the hash that goes with what is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from mlform.address import Address
from mlform.state.model import Record, damaged

_address: Final = lru_cache(maxsize=1 << 16)(Address.parse)
"""Every address is read once as a record's own and once for each record that needs it."""


def text(data: Any) -> str:
    """Write JSON-ready data on one line, keys sorted, so that equal data have equal text."""
    return _encode(data)


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def seal(*parts: object) -> str:
    """Return the sha256 (hex) that is kept beside what is written and checked when it is read."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def sound(row: Sequence[object]) -> bool:
    """Tell whether a row is what was written; its seal is its last column."""
    *kept, sha256 = row
    return seal(*kept) == sha256


def record_data(record: Record) -> dict[str, Any]:
    """Return a record as plain data."""
    data = dict(vars(record))
    data["address"] = str(record.address)
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


def checked_record(address: str, written: str, sha256: str) -> Record:
    """Read a record from its row. Raises ``DiagnosedError`` if it is not what was written."""
    if seal(address, written) != sha256:
        raise damaged(f"The record of {address} is not what was written.")
    try:
        return parse_record(json.loads(written))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(f"The record of {address} cannot be read ({error!r}).") from None
