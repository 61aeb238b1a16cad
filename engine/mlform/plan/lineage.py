"""What things were made from, by the journal: what must be kept, and because of which of them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from mlform.address import Address
from mlform.lazy import dataclass, field
from mlform.refresh.artifacts import artifacts_in
from mlform.registry import SERVING
from mlform.state.model import Entry
from mlform.values import handles

_DIGEST: Final = r"sha256:[0-9a-f]{64}"


@dataclass(frozen=True)
class Hold:
    """What keeps an artifact from being deleted."""

    artifact: str
    by: str
    """The address of what serves, served, or has it among its own."""
    how: str
    """``serves``, ``served`` within the audit window, or ``used`` by what is recorded."""
    until: str = ""
    """Until when it served, as an ISO time."""
    through: tuple[str, ...] = ()
    """The addresses from there down to what made the artifact."""


@dataclass(eq=False)
class Version:
    """What was recorded at one address from one moment to the next; ``data`` as it was written."""

    address: str
    data: Mapping[str, Any]
    since: datetime
    until: datetime | None = None
    """``None``: it is recorded now."""
    made_from: tuple[Version, ...] = ()

    @property
    def artifacts(self) -> dict[str, int]:
        """The artifacts that it has, each with its size in bytes."""
        found = {a["digest"]: int(a["size"]) for a in artifacts_in(self.data["attributes"])}
        for left in self.data.get("deposed", ()):
            found |= {a["digest"]: int(a["size"]) for a in artifacts_in(left["attributes"])}
        return found

    @property
    def taken(self) -> set[str]:
        """The artifacts among its arguments."""
        given = [self.data["arguments"], *(d["arguments"] for d in self.data.get("deposed", ()))]
        return {str(h.digest) for h in handles(given) if h.attribute is not None}


@dataclass
class Lineage:
    """What was recorded when, and what each was made from: the journal, folded."""

    versions: dict[str, list[Version]] = field(default_factory=dict)
    """Address as it is now → all that was ever recorded there, oldest first."""
    makers: dict[str, Version] = field(default_factory=dict)
    """Artifact → what first had it."""

    def __post_init__(self) -> None:
        self._found: dict[tuple[str, str], Version] = {}

    @classmethod
    def of(
        cls, journal: Iterable[Entry], moves: Mapping[Address, Address] | None = None
    ) -> Lineage:
        """Read a journal, oldest entry first; then rename what has moved and is not yet written."""
        it = cls()
        for entry in journal:
            if entry.operation == "done" and entry.address is not None:
                it._put(entry.address, entry.detail["record"], entry.at)
            elif entry.operation == "forget" and entry.address is not None:
                it._end(entry.address, entry.at)
            elif entry.operation in {"moved", "revised"}:
                it._rewritten(entry.detail["records"], entry.at)
        if moves:
            it._move({str(a): str(b) for a, b in moves.items()})
        return it

    def now(self) -> Iterator[Version]:
        """Yield what is recorded now."""
        return (v[-1] for v in self.versions.values() if v and v[-1].until is None)

    def holds(
        self, since: datetime, as_of: datetime, going: AbstractSet[str] = frozenset()
    ) -> dict[str, Hold]:
        """Return what each artifact is held by that anything serving was made from.

        ``since``: what served after that moment counts too; ``going`` serves until ``as_of``.
        What serves is named before what served, and that the latest first.
        """
        found: dict[str, Hold] = {}
        for root, until in sorted(self._roots(since, as_of, going), key=lambda r: _rank(r[1])):
            how = "serves" if until is None else "served"
            ended = "" if until is None else until.isoformat(timespec="seconds")
            shown = named(root.data["attributes"])
            for version, through in self._beneath(root):
                for artifact in {
                    **dict.fromkeys(shown),
                    **version.artifacts,
                }.keys() | version.taken:
                    found.setdefault(artifact, Hold(artifact, root.address, how, ended, through))
                shown = set()
        return found

    def _roots(
        self, since: datetime, as_of: datetime, going: AbstractSet[str]
    ) -> Iterator[tuple[Version, datetime | None]]:
        """Yield what serves and what served after a moment, with when it ended."""
        for address, versions in self.versions.items():
            if Address.parse(address).kind not in SERVING:
                continue
            for version in versions:
                until = version.until
                if until is None and address in going:
                    until = as_of
                if until is None or until > since:
                    yield version, until

    def _beneath(self, root: Version) -> Iterator[tuple[Version, tuple[str, ...]]]:
        """Yield a version and all it was made from, with the shortest way there."""
        seen, waiting = (
            {id(root)},
            deque[tuple[Version, tuple[str, ...]]]([(root, (root.address,))]),
        )
        while waiting:
            version, through = waiting.popleft()
            yield version, through
            makers = [self.makers[a] for a in sorted(version.taken) if a in self.makers]
            for other in (*makers, *version.made_from):
                if id(other) not in seen:
                    seen.add(id(other))
                    waiting.append((other, (*through, other.address)))

    def _put(self, address: str, data: Mapping[str, Any], at: datetime) -> None:
        self._end(address, at)
        inputs = data["receipt"].get("inputs") or {}
        known = (self._found.get((a, d)) for a, d in inputs.items())
        version = Version(address, data, at, made_from=tuple(v for v in known if v is not None))
        self.versions.setdefault(address, []).append(version)
        self._found[address, data["digest"]] = version
        for artifact in version.artifacts:
            self.makers.setdefault(artifact, version)

    def _rewritten(self, records: Mapping[str, Mapping[str, Any] | None], at: datetime) -> None:
        for address, data in records.items():
            if data is None:
                self._end(address, at)
        come = {a: data for a, data in records.items() if data is not None}
        self._move({a: str(data["address"]) for a, data in come.items()})
        for data in come.values():
            self._put(str(data["address"]), data, at)

    def _end(self, address: str, at: datetime) -> None:
        found = self.versions.get(address)
        if found and found[-1].until is None:
            found[-1].until = at

    def _move(self, moved: Mapping[str, str]) -> None:
        taken = {a: self.versions.pop(a, []) for a in moved}
        for old, new in moved.items():
            for version in taken[old]:
                version.address = new
                self._found[new, version.data["digest"]] = version
            self.versions[new] = [*self.versions.get(new, []), *taken[old]]


def window_start(as_of: datetime, seconds: float) -> datetime:
    """Return when the audit window began."""
    return as_of - timedelta(seconds=seconds)


def named(*data: object) -> set[str]:
    """Return everything inside that may be the digest of an artifact, wherever it stands.

    No type need say what its fields mean: too much is kept rather than too little.
    """
    return set(re.findall(_DIGEST, " ".join(map(str, data))))


def _rank(until: datetime | None) -> float:
    return -inf if until is None else -until.timestamp()
