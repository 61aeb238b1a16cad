"""``trigger``: what turns alarms and ticks of a schedule into moved inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlform.address import Address
from mlform.sdk import (
    Arguments,
    Attributes,
    Context,
    Length,
    Metadata,
    Operational,
    Reference,
    Resource,
    Stored,
    Volatile,
)

_FIELDS: Final = 5


def last_tick(schedule: str, now: datetime) -> datetime:
    """Return when a schedule last ticked, at ``now`` or before it, in UTC.

    ``schedule`` has the five fields of cron, read as Debian's cron does. Raises ``ValueError``.
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - for triggers with a schedule alone

    # The iterator goes back from a time that it leaves out itself.
    until = now.astimezone(UTC).replace(second=1, microsecond=0)
    why = f"it has {len(schedule.split())} fields"
    try:
        if len(schedule.split()) == _FIELDS:
            return next(CronSim(schedule, until, reverse=True))
    except CronSimError as error:
        why = str(error).lower()
    except StopIteration:
        why = "it never ticks"
    raise ValueError(
        f"is no schedule, {why}: write the five fields of cron, "
        '"minute hour day month weekday", as in "0 3 4 * *"; times are UTC'
    )


class Need(Arguments):
    """What must have come before a trigger moves anything."""

    new_rows: int = Field(default=0, ge=0)
    """Rows more at the sources of what it advances, all together."""
    alarms: int = Field(default=1, ge=1)
    """Alarms that wait: fewer are taken for noise. A tick of the schedule needs none."""


class Budget(Arguments):
    """How much a trigger may have done unasked."""

    runs: int | None = Field(default=None, ge=1)
    """So often in the time of ``per``; what is more waits."""
    per: Length = "30d"
    time: Length | None = None
    """A plan that may take longer than this, in its worst case by estimate, is only proposed."""

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.runs is None and self.time is None:
            raise ValueError("limits nothing: give runs, time, or both")
        return self


class TriggerArguments(Arguments):
    """Which alarms and ticks count, and which inputs they move.

    ``schedule`` has the five fields of cron, in UTC: each tick moves ``as_of``, and what is at the
    sources of ``advance``. ``mode = "propose"`` carries nothing out: it writes the plan, and a
    report for a pull request.
    """

    on: list[Reference] = Field(default_factory=list)
    advance: list[Reference] = Field(default_factory=list)
    schedule: Operational[str | None] = None
    need: Operational[Need] = Need()
    cooldown: Operational[Length] = "0s"
    """How long it rests after it moved something."""
    budget: Operational[Budget | None] = None
    mode: Operational[Literal["auto", "propose"]] = "auto"
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("on", "advance")
    @classmethod
    def _kinds(cls, value: list[str], info: ValidationInfo) -> list[str]:
        kind = "monitor" if info.field_name == "on" else "dataset"
        if others := [text for text in value if Address.leading(text).kind != kind]:
            raise ValueError(f"{', '.join(others)}: name each {kind}, as in {kind}.NAME")
        return value

    @field_validator("schedule")
    @classmethod
    def _ticks(cls, value: str | None) -> str | None:
        if value is not None:
            last_tick(value, datetime(2024, 3, 1, tzinfo=UTC))
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.on and self.schedule is None:
            raise ValueError("nothing sets it off: give on, schedule, or both")
        if self.on and not self.advance:
            raise ValueError("an alarm of `on` moves what advance names: give advance")
        return self


class TriggerAttributes(Attributes):
    """What its schedule gives; the rest of what it did is in the journal."""

    as_of: str | None = None
    """When the schedule last ticked and was acted on, as 2026-01-31T06:00:00Z."""
    dismissed: Volatile[str | None] = None
    """The last tick that was let go of."""


class Trigger(Resource[TriggerArguments, TriggerAttributes], kind="trigger", type=""):
    """Turns an alarm or a tick into a moved input; ordinary planning does the rest."""

    imports = "there is nothing of it outside the spec"

    def apply(
        self,
        ctx: Context,
        new: TriggerArguments,
        old: Stored[TriggerArguments, TriggerAttributes] | None,
    ) -> TriggerAttributes:
        """Begin with the tick before now; ``reapply`` alone moves it on."""
        if new.schedule is None:
            return TriggerAttributes()
        if old is not None and old.attributes.as_of is not None:
            return old.attributes
        return TriggerAttributes(as_of=written(last_tick(new.schedule, datetime.now(UTC))))


def written(tick: datetime) -> str:
    """Return a time as attributes have it."""
    return tick.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
