"""What was seen of the world, as data: the third input of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from mlform.address import Address
from mlform.diagnostics import Diagnostic
from mlform.lazy import dataclass, field
from mlform.parts import in_key
from mlform.refresh.world import Wanted
from mlform.values import Value


@dataclass(frozen=True)
class CodeFact:
    """The closure of the user code one argument names."""

    digest: str
    files: Mapping[str, Mapping[str, str]]
    """File → function → hash."""


@dataclass(frozen=True)
class ImportFact:
    """What was read of something that exists already, for an address that has no record.

    ``arguments`` are those that could be read of it, as plain data; ``parts`` what it was read
    from, where the type has such facts.
    """

    id: str
    attributes: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, str] | None = None
    at: str = ""
    """``file:line:column`` of the id."""
    alone: bool = False
    """Whether only to record it, however it differs from its block."""


@dataclass(frozen=True)
class Asked:
    """What the arguments of a resource are worth by what is recorded: without any problem."""

    values: Mapping[str, Value]
    wanted: Wanted


@dataclass(frozen=True)
class Observation:
    """What was seen of one resource.

    ``parts`` are what lies at the source now (``None``: its arguments are not known yet),
    ``pinned`` what the lock file holds it to. ``present`` and ``attributes`` are what reading the
    recorded thing gave. ``asked`` is what it was looked at with.
    """

    parts: Mapping[str, str] | None = None
    rows: int | None = None
    pinned: Mapping[str, str] | None = None
    pinned_rows: int | None = None
    code: Mapping[str, CodeFact] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None
    present: bool = True
    attributes: Mapping[str, Any] | None = None
    beside: Mapping[str, Any] | None = None
    """The same, where nothing differs that counts in the digest."""
    trouble: tuple[Diagnostic, ...] = ()
    """What is wrong with the inputs as they are recorded. Those that are about to be made anew may
    be right: a plan tells it where nothing upstream moves."""
    arrived: tuple[str, ...] = ()
    """What is to be said of what arrived at the source since it was last taken."""
    asked: Asked | None = field(default=None, compare=False, repr=False)
    foretold: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the source tells of what would be made of it, where it is not what was taken."""

    @property
    def used(self) -> Mapping[str, str] | None:
        """The parts a plan uses: the pinned ones if there are any."""
        return self.parts if self.pinned is None else self.pinned

    @property
    def source(self) -> Mapping[str, Any]:
        """What is foretold of what a plan uses: nothing, where that is not what the source has."""
        return {} if self.behind else self.foretold

    @property
    def behind(self) -> bool:
        """Whether the source has moved on from what is pinned."""
        return self.pinned is not None and self.parts is not None and self.parts != self.pinned


Observations: TypeAlias = Mapping[Address, Observation]


def as_data(
    observations: Observations, imports: Mapping[Address, ImportFact] | None = None
) -> dict[str, Any]:
    """Return observations as plain data, for the digest a plan states."""
    found = {f"import {a}": dict(vars(it)) for a, it in (imports or {}).items()}
    return found | {
        str(address): {
            "parts": None if seen.parts is None else in_key(seen.parts),
            "pinned": None if seen.pinned is None else in_key(seen.pinned),
            "code": {name: fact.digest for name, fact in seen.code.items()},
            "environment": None if seen.environment is None else dict(seen.environment),
            "present": seen.present,
            "attributes": seen.attributes,
            **({"arrived": list(seen.arrived)} if seen.arrived else {}),
            **({"beside": seen.beside} if seen.beside is not None else {}),
        }
        for address, seen in observations.items()
    }
