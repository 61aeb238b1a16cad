"""A provider whose stages use the processor for a while, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlform.sdk import AnyResource, Arguments, Attributes, Context, Provider, Resource, Stored
from mlform.sdk.testing import FakeContext


def work(seconds: float) -> float:
    """Use this many seconds of the processor; return what they came to."""
    began = time.process_time()
    while (used := time.process_time() - began) < seconds:
        sum(range(1000))
    return used


def context(data: dict[str, Any], _channel: object) -> FakeContext:
    """Return what a stage gets to see."""
    return FakeContext(Path(data["root"]), address="model.busy")


class BusyArguments(Arguments):
    """How long."""

    seconds: float
    number: int = 0


class BusyAttributes(Attributes):
    """How long it was."""

    used: float


class Busy(Resource[BusyArguments, BusyAttributes], kind="model", type="busy"):
    """Uses the processor."""

    def apply(
        self,
        ctx: Context,
        new: BusyArguments,
        old: Stored[BusyArguments, BusyAttributes] | None,
    ) -> BusyAttributes:
        """Work."""
        return BusyAttributes(used=work(new.seconds))


class Bench(Provider):
    """The one type."""

    def resources(self) -> Sequence[AnyResource]:
        """Return it."""
        return [Busy()]
