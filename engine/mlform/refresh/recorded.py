"""What is recorded, as expressions and providers see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from mlform.address import Address
from mlform.lazy import replace
from mlform.refresh.artifacts import artifacts_in
from mlform.refresh.world import handle_of, lasting
from mlform.registry import Registry
from mlform.state.model import Record, homes_of
from mlform.values import Handle, Value, handle_in


class Recorded:
    """The records of one state; while applying, the applier's one mutable thing.

    Records may be put and dropped by several threads.
    """

    def __init__(
        self,
        records: Mapping[Address, Record],
        registry: Registry,
        past: Callable[[Address, str], Record | None] | None = None,
    ) -> None:
        """``past`` finds a record by its digest that is not the present one any more."""
        self.now = dict(records)
        self.past = past
        self.registry = registry
        self._guard = Lock()
        self._homes = Counter(h for r in records.values() for h in homes_of(r))
        self._artifacts: dict[str, Mapping[str, Any]] = {}
        self._unread = [record.attributes for record in records.values()]

    def put(self, record: Record) -> None:
        """Take a new record."""
        with self._guard:
            self._leave(record.address)
            self._homes.update(homes_of(record))
            self.now[record.address] = record
            self._unread.append(record.attributes)

    def drop(self, address: Address) -> None:
        """Let a record go."""
        with self._guard:
            self._leave(address)
            self.now.pop(address, None)

    def digests(self, addresses: Iterable[Address]) -> dict[str, str]:
        """Return the digest of each of these that is recorded."""
        return {str(a): self.now[a].digest for a in addresses if a in self.now}

    def lives(self, home: str) -> bool:
        """Tell whether a folder is that of anything recorded."""
        return self._homes[home] > 0

    def handle(self, address: Address) -> Handle | None:
        """Return the handle of what is recorded at an address."""
        record = self.now.get(address)
        if record is None:
            return None
        offer = self.registry.find(address.kind, record.type)
        assert offer is not None, "a recorded type is offered by nobody"
        return handle_of(record, offer.resource)

    def revive(self, data: Any) -> Value:
        """Return plain data as a value, its handles with their attributes where they are known."""
        if handle := handle_in(data):
            if handle.attribute is not None:
                return replace(handle, covered=handle.covered or self._artifact(handle) or {})
            known = self.handle(Address.parse(handle.address))
            return replace(known, used=handle.used) if known == handle else handle
        if isinstance(data, Mapping):
            return {k: self.revive(v) for k, v in data.items()}
        if isinstance(data, list):
            return [self.revive(v) for v in data]
        value: Value = data
        return value

    def full(self, handle: Handle) -> Mapping[str, Any]:
        """Return all that a provider gets of a handle."""
        data: dict[str, Any] = {
            "address": handle.address,
            "attribute": handle.attribute,
            "digest": handle.digest,
        }
        if handle.attribute is not None:
            data["artifact"] = handle.artifact or self._artifact(handle)
            return data
        address = Address.parse(handle.address)
        record = self.now.get(address)
        if (record is None or record.digest != handle.digest) and self.past is not None:
            record = self.past(address, str(handle.digest))
        if record is not None and record.digest == handle.digest:
            offer = self.registry.find(record.address.kind, record.type)
            assert offer is not None, "a recorded type is offered by nobody"
            data["attributes"] = dict(lasting(offer.resource, record.attributes))
        return data

    def _leave(self, address: Address) -> None:
        if (before := self.now.get(address)) is not None:
            self._homes.subtract(homes_of(before))

    def _artifact(self, handle: Handle) -> Mapping[str, Any] | None:
        """Return the artifact of a handle; few ask, so no attributes are read before one does."""
        with self._guard:
            while self._unread:
                inside = artifacts_in(self._unread.pop())
                self._artifacts |= {artifact["digest"]: artifact for artifact in inside}
        return self._artifacts.get(str(handle.digest))
