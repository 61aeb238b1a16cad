"""Versions of something, and channels that name one of them each: moved by rules, and by people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar

from mlform.lazy import dataclass
from mlform.sdk.context import Looking
from mlform.sdk.fields import Arguments, Attributes
from mlform.sdk.resource import Resource, Stored

A = TypeVar("A", bound=Arguments)
B = TypeVar("B", bound=Attributes)

Ordered: TypeAlias = Literal["promote", "rollback", "quarantine", "lift"]


@dataclass(frozen=True)
class Order:
    """What someone wants done to channels at once, whatever the rules come to later.

    ``promote``: the channel has this version. ``rollback``: the channel has the version before,
    or this one, and the one it had is quarantined. ``quarantine``: no channel has this version,
    or gets it, until ``lift``.
    """

    what: Ordered
    by: str
    at: str
    """In UTC, ISO 8601."""
    channel: str = ""
    """Empty for ``quarantine`` and ``lift``, which are of no channel."""
    version: str = ""
    """A number, or a digest or the beginning of one; may be empty for ``rollback``."""
    why: str = ""


@dataclass(frozen=True)
class Standing:
    """What a channel has."""

    version: int
    digest: str


class ChannelledResource(Resource[A, B]):
    """A resource with versions and channels. Moving a channel computes nothing."""

    @abstractmethod
    def order(self, ctx: Looking, old: Stored[A, B], order: Order) -> B:
        """Return the attributes once an order is carried out. Changes nothing by itself.

        Raises ``ResourceError`` where that cannot be done.
        """

    @abstractmethod
    def publish(self, ctx: Looking, attributes: B) -> None:
        """Tell those outside what the channels have, once it is recorded."""

    @abstractmethod
    def standing(self, attributes: B) -> Mapping[str, Standing]:
        """Return what each channel has; one that has nothing is missing."""

    @abstractmethod
    def quarantined(self, attributes: B) -> Mapping[str, str]:
        """Return the digests that must not serve, each with who says so, and why."""
