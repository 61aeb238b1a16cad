"""Whether a canary is worse, told as soon as it can be, at any moment, without crying wolf.

Requests are assigned by a hash, whatever comes of them. So if the canary is no worse, a request
that goes wrong is the canary's with the probability of its share, and no more; whether each is,
is a coin of a known bias. The likelihood of "the odds are θ times that", averaged over some θ, in
ratio to that of the coin, is a nonnegative martingale that starts at 1, and passes 1/α at any
time with a chance of at most α (Ville 1939). So one may look after each request. As in Lindon,
Sanden and Shirikian, "Rapid regression detection in software deployments through sequential
testing" (KDD 2022), for one side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_ODDS: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
SIGNALS: Final = ("errors", "refusals", "slow")
_MOST_KEYS: Final = 100_000


@dataclass
class Evidence:
    """How much speaks for one kind of event to be more frequent in the canary."""

    events: list[int] = field(default_factory=lambda: [0, 0])
    """Of the model that serves, and of the canary."""
    _logs: list[float] = field(default_factory=lambda: [0.0] * len(_ODDS))

    def see(self, share: float, *, canary: bool) -> None:
        """Count an event of a request that went to the canary with the probability ``share``."""
        self.events[canary] += 1
        for place, odds in enumerate(_ODDS):
            weight = share * odds + 1 - share
            self._logs[place] += math.log((odds if canary else 1.0) / weight)

    @property
    def value(self) -> float:
        """The evidence: 1 at first; a chance of at most α to ever pass 1/α."""
        top = max(self._logs)
        return math.exp(min(top, 700.0)) * sum(math.exp(v - top) for v in self._logs) / len(_ODDS)


@dataclass
class Guard:
    """Watches all signals; the chance of a false breach is at most ``alpha``, of all together."""

    alpha: float
    requests: list[int] = field(default_factory=lambda: [0, 0])
    evidence: Mapping[str, Evidence] = field(
        default_factory=lambda: {name: Evidence() for name in SIGNALS}
    )
    _known: set[tuple[str, str]] = field(default_factory=set)

    def see(self, share: float, *, canary: bool, signal: str | None, key: str = "") -> str | None:
        """Count a request, and what went wrong with it, if anything; return the breach, if it is.

        ``key``: who asked. What befalls one client again and again is one event, since it is
        assigned once.
        """
        self.requests[canary] += 1
        if signal is None:
            return None
        if key:
            if (signal, key) in self._known or len(self._known) >= _MOST_KEYS:
                return None
            self._known.add((signal, key))
        evidence = self.evidence[signal]
        evidence.see(share, canary=canary)
        if evidence.value < len(self.evidence) / self.alpha:
            return None
        theirs, ours = evidence.events
        return (
            f"{ours:,} {signal} in {self.requests[1]:,} requests of the new model, {theirs:,} in "
            f"{self.requests[0]:,} of the old one"
        )
