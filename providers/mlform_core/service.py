"""``monitor "service"``: latency, errors, saturation, volume and freshness of a deployment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import Field, field_validator, model_validator

from mlform.sdk import (
    Alarm,
    Arguments,
    Artifact,
    Context,
    Decision,
    Fields,
    Handle,
    Length,
    Metadata,
    MonitorResource,
    ResourceError,
    Stored,
    Volatile,
    seconds,
)
from mlform_core.monitoring import (
    Rule,
    Watched,
    deployed,
    paged,
    remembered,
    replayed,
    settings_of,
)
from mlform_core.naming import TableHandle


class Most(Fields):
    """A share that is not to be exceeded."""

    max: float = Field(gt=0, lt=1)


class Volume(Fields):
    """Requests a minute, at least and at most."""

    min: float | None = Field(default=None, gt=0)
    max: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _some(self) -> Volume:
        if self.min is None and self.max is None:
            raise ValueError("nothing is asked: write min or max")
        return self


class Freshness(Fields):
    """How old the newest row of ``data`` may be."""

    max_age: Length


class ServiceChecks(Fields):
    """What is looked at. That the endpoint answers at all is, always.

    ``latency_ms``: quantiles, ``{ p50 = 20, p99 = 100 }``. ``error_rate``: answers 500, 503 and 504
    of all; ``refusal_rate``: 400 of all. ``saturation``: of the time of all workers what they
    computed.
    """

    latency_ms: dict[str, float] = Field(default_factory=dict)
    error_rate: Most | None = None
    refusal_rate: Most | None = None
    saturation: Most | None = None
    volume: Volume | None = None
    freshness: Freshness | None = None

    @field_validator("latency_ms")
    @classmethod
    def _quantiles(cls, value: dict[str, float]) -> dict[str, float]:
        for name, limit in value.items():
            share = quantile(name)
            if share is None:
                raise ValueError(f'"{name}" is no quantile: write p50, p90, p99 or p99.9')
            if limit <= 0:
                raise ValueError(f"{name}: {limit:g} is no time")
        return value


def quantile(name: str) -> float | None:
    """Return the share that lies below a quantile: 0.99 for ``p99``."""
    digits = name.removeprefix("p")
    try:
        share = float(digits) / 100
    except ValueError:
        return None
    return share if name.startswith("p") and 0 < share < 1 else None


class Period(Fields):
    """The shortest time that is judged; two looks that are nearer make one window."""

    every: Length

    @field_validator("every")
    @classmethod
    def _some(cls, value: str) -> str:
        if seconds(value) == 0:
            raise ValueError("every: no request is in a window of no length")
        return value


class ServiceArguments(Arguments):
    """Which deployment, and what matters.

    ``data`` is the table whose newest row is to be fresh; ``time`` its column, that of the table
    unless it is named.
    """

    target: Handle
    data: TableHandle | None = None
    time: str | None = None
    window: Decision[Period] = Period(every="5m")
    checks: Decision[ServiceChecks]
    alarm: Decision[Rule] = Rule()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @model_validator(mode="after")
    def _data(self) -> ServiceArguments:
        if (self.checks.freshness is None) != (self.data is None):
            raise ValueError("freshness is that of a table: write data and checks.freshness")
        return self


class ServiceAttributes(Watched):
    """What the monitor knows."""

    serves: str
    """The digest of the model that serves."""
    counters: Volatile[dict[str, Any] | None] = None
    """What the server had counted at the last window's end."""


StoredService: TypeAlias = Stored[ServiceArguments, ServiceAttributes]


class Service(
    MonitorResource[ServiceArguments, ServiceAttributes],
    kind="monitor",
    type="service",
    keeps_content=True,
):
    """Reads what the server counts, of every request, and judges what came since the last look.

    A window alarms where a limit is broken beyond chance, ``sustain`` windows in a row. One whose
    endpoint does not answer alarms by itself.
    """

    imports = "its windows and alarms are those that it looked at itself"

    def apply(
        self, ctx: Context, new: ServiceArguments, old: StoredService | None
    ) -> ServiceAttributes:
        """Take note of what serves; judge what was seen by the rules of now."""
        from mlform_core.service_counts import judge

        serves = deployed(new.target)
        _age(ctx, new, time.time())
        if old is None:
            return ServiceAttributes(serves=serves)
        windows = []
        for window in old.attributes.windows:
            found = judge(window, new)
            findings = {"findings": [f["check"] for f in found], "broken": bool(found)}
            windows.append({**window, **findings})
        seen = old.attributes.model_copy(update={"serves": serves, "windows": windows})
        return _shown(ctx, seen, new)

    def run(self, ctx: Context, old: StoredService) -> tuple[ServiceAttributes, Sequence[Alarm]]:
        """Look at what was counted since the last look, if that is long enough ago."""
        from mlform_core import service_counts

        rules, seen, now = old.arguments, old.attributes, time.time()
        counted = service_counts.read(settings_of(ctx, rules.target), now)
        if seen.counters is not None and seen.counters["at"] > now:
            ctx.log("the clock went back since the last look: a window begins now")
            return seen.model_copy(update={"counters": counted}), []
        if counted is None:
            window = service_counts.silent(seen.counters, now)
        else:
            before = service_counts.since(seen.counters, counted)
            if now - before["at"] < seconds(rules.window.every):
                least = rules.window.every
                ctx.log(f"{now - before['at']:.0f} s since the last window: one takes {least}")
                update = {"counters": seen.counters or before}
                return seen.model_copy(update=update), []
            window = service_counts.window(before, counted)
            seen = seen.model_copy(update={"counters": counted})
        window |= {"age": _age(ctx, rules, now), "model": rules.target.address}
        seen, alarms = _judged(seen, window, rules, now)
        return _shown(ctx, seen, rules), alarms

    def tried(self, new: ServiceArguments, old: StoredService) -> str:
        """Say what other limits would have made of the windows that are remembered."""
        from mlform_core.service_counts import judge

        windows = old.attributes.windows
        found = [bool(judge(w, new)) for w in windows]
        return replayed(windows, found, new.alarm) if windows else ""


def _judged(
    seen: ServiceAttributes, window: Mapping[str, Any], rules: ServiceArguments, now: float
) -> tuple[ServiceAttributes, Sequence[Alarm]]:
    from mlform_core.service_counts import describe, judge

    found = judge(window, rules)
    entry = {**window, "findings": [f["check"] for f in found], "broken": bool(found)}
    entry["alarmed"] = seen.due(entry, "broken", rules.alarm, now)
    if not entry["alarmed"]:
        return remembered(seen, entry, None, now), []
    about = {n: entry[n] for n in ("first", "last", "requests")}
    alarm = Alarm(name="service", window=about, findings=found, summary=describe(found))
    return remembered(seen, entry, alarm, now), [alarm]


def _shown(ctx: Context, seen: ServiceAttributes, rules: ServiceArguments) -> ServiceAttributes:
    """Return it with its page."""
    from mlform_core.service_counts import series

    return paged(ctx, seen, rules.target, "broken", series(seen.windows, rules))


def _age(ctx: Context, rules: ServiceArguments, now: float) -> float | None:
    """Return how old the newest row is, in seconds; ``None`` if nobody asks, or there is none."""
    from datetime import UTC

    from mlform_core.windows import span

    if rules.data is None:
        return None
    there: Mapping[str, Any] = rules.data.attributes
    name = rules.time or there.get("time")
    if not name:
        detail = f"{rules.data.address} says no time of its rows: write time = a column of it."
        raise ResourceError("No time", detail, argument="time")
    parts = map(Artifact.model_validate, there["partitions"].values())
    spans = [span(ctx, part, str(name)) for part in parts]
    ends = [found[1].replace(tzinfo=UTC).timestamp() for found in spans if found is not None]
    return now - max(ends) if ends else None
