"""What a recorded result was made from, found in the journal by the digests that handles name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mlform.address import Address
from mlform.lazy import dataclass
from mlform.state.model import Entry
from mlform.values import handles

_ARTIFACT: Final = frozenset({"digest", "size", "media_type"})


@dataclass(frozen=True)
class Version:
    """A record as one journal entry wrote it, as plain data."""

    address: str
    serial: int
    sequence: int
    at: datetime
    record: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The kind of the resource."""
        return Address.parse(self.address).kind


@dataclass(frozen=True)
class Made:
    """A version, and the versions that it was made from, by the name of what takes them."""

    version: Version
    inputs: Mapping[str, Version]
    missing: Mapping[str, str]
    """What it was made from and no entry of the journal has: address → digest."""


class Versions:
    """Every version of every record up to a serial, under the address it has there."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._found: dict[str, list[Version]] = {}
        for entry in entries:
            self._follow(entry)

    def _follow(self, entry: Entry) -> None:
        if entry.operation == "done":
            self._add(entry, str(entry.address), entry.detail["record"])
        elif entry.operation == "moved":
            moved = {a: d["address"] for a, d in entry.detail["records"].items()}
            taken = {old: self._found.pop(old, []) for old in moved}
            for old, versions in taken.items():
                self._found.setdefault(moved[old], []).extend(versions)
            for data in entry.detail["records"].values():
                self._add(entry, data["address"], data)
        elif entry.operation == "revised":
            for address, data in entry.detail["records"].items():
                if data is not None:
                    self._add(entry, address, data)

    def _add(self, entry: Entry, address: str, data: Mapping[str, Any]) -> None:
        version = Version(address, entry.serial, entry.sequence, entry.at, data)
        self._found.setdefault(address, []).append(version)

    def latest(self, address: str, serial: int) -> Version | None:
        """Return the version of an address at a serial."""
        found = self._found.get(address, [])
        return next((v for v in reversed(found) if v.serial <= serial), None)

    def giver(self, address: str, digest: str, serial: int) -> Version | None:
        """Return the version, at a serial, that a digest came from.

        What only passes on what it takes (a registry) has a digest long after it has taken
        another: the version that took it is the one that tells what it was made from.
        """
        past = [v for v in self._found.get(address, []) if v.serial <= serial]
        having = [v for v in past if digest in _digests(v.record)]
        taking = [v for v in having if digest in {h.digest for h in handles(v.record["arguments"])}]
        return next(reversed(taking or having), None)

    def made(self, version: Version, aside: Iterable[str] = ()) -> Made:
        """Return what a version was made from. ``aside`` are arguments that only compare."""
        inputs: dict[str, Version] = {}
        missing: dict[str, str] = {}
        taken = {n: v for n, v in version.record["arguments"].items() if n not in set(aside)}
        wanted = [(h.address, str(h.digest)) for h in handles(list(taken.values()))]
        named = {address for address, _ in wanted}
        compared = {h.address for n in aside for h in handles(version.record["arguments"].get(n))}
        rest: Mapping[str, str] = version.record.get("receipt", {}).get("inputs", {})
        wanted += [(a, d) for a, d in rest.items() if a not in named | compared]
        for address, digest in wanted:
            giver = self.giver(address, digest, version.serial)
            if giver is None:
                missing[address] = digest
            else:
                inputs.setdefault(address, giver)
        return Made(version, inputs, missing)


def _digests(record: Mapping[str, Any]) -> set[str]:
    return {str(record["digest"]), *(a["digest"] for a in artifacts(record["attributes"]))}


def artifacts(data: Any) -> Sequence[Mapping[str, Any]]:
    """Return every artifact inside plain data."""
    if isinstance(data, Mapping):
        if data.keys() >= _ARTIFACT:
            return [data]
        return [a for v in data.values() for a in artifacts(v)]
    if isinstance(data, list | tuple):
        return [a for v in data for a in artifacts(v)]
    return []
