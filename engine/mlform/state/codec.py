"""Records ⇄ plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlform.address import Address
from mlform.state.model import Record


def record_data(record: Record) -> dict[str, Any]:
    """Return a record as plain data."""
    data = dict(vars(record))
    data["address"] = str(record.address)
    data["needs"] = [str(a) for a in record.needs]
    data["held"] = list(record.held)
    return data


def parse_record(data: Mapping[str, Any]) -> Record:
    """Read a record back. Raises ``KeyError``, ``TypeError`` or ``ValueError`` on anything else."""
    return Record(
        **{
            **data,
            "address": Address.parse(data["address"]),
            "needs": tuple(Address.parse(a) for a in data["needs"]),
            "held": tuple(data["held"]),
        }
    )
