"""What all monitors share: when what was seen becomes an alarm, and what they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from pydantic import Field

from mlform.sdk import (
    Alarm,
    Artifact,
    Attributes,
    Context,
    Fields,
    Handle,
    Length,
    ResourceError,
    Volatile,
    counted,
    seconds,
)

if TYPE_CHECKING:
    from mlform_core.monitor_page import Series, Shape
    from mlform_core.serving.settings import Serving

KEPT: Final = 20
"""Windows that are remembered."""
_DIGITS: Final = 6


Seen: TypeAlias = Mapping[str, Any]
"""A window as it is remembered. Where windows may be judged out of their order, ``number`` is its
place among all."""
Apart: TypeAlias = Callable[[Seen, Seen], bool]
"""Whether a window between two is still to be judged: they are not in a row."""


class Rule(Fields):
    """When what was seen becomes an alarm."""

    sustain: int = Field(default=1, ge=1, le=KEPT)
    """Windows in a row."""
    fdr: float = Field(default=0.01, gt=0, lt=1)
    """The chance of a false alarm in a window, all that is checked together (Holm)."""
    cooldown: Length = "0s"
    """Quiet time after an alarm, by the clock of the requests."""

    @property
    def quiet(self) -> float:
        """The cooldown in seconds."""
        return seconds(self.cooldown)


class Watched(Attributes):
    """What every monitor knows of what it saw."""

    alarm: Volatile[str | None] = None
    """What the last alarm said."""
    last_alarm: Volatile[float | None] = None
    """When, in seconds since 1970, by the clock of the requests."""
    page: Volatile[Artifact | None] = None
    """What was seen, as a web page: ``mlform report`` writes it out."""
    windows: Volatile[list[dict[str, Any]]] = Field(default_factory=list)
    """The last windows: when, how many rows or requests, each figure, the verdict."""

    def quiet(self, rule: Rule, at: float) -> bool:
        """Tell whether a moment is in the quiet time after the last alarm.

        One before that alarm, of a window that is late, is so as near to any that is remembered.
        """
        if self.last_alarm is None:
            return False
        if at >= self.last_alarm:
            return at - self.last_alarm < rule.quiet
        alarms = (datetime.fromisoformat(w["last"]) for w in self.windows if w.get("alarmed"))
        return any(abs(at - moment.timestamp()) < rule.quiet for moment in alarms)

    def due(self, entry: Seen, found: str, rule: Rule, at: float) -> bool:
        """Tell whether a window comes to an alarm, of a model in which something was ``found``."""
        return self.row(entry, found, rule) is not None and not self.quiet(rule, at)

    def row(
        self, entry: Seen, found: str, rule: Rule, apart: Apart = lambda _a, _b: False
    ) -> Sequence[Seen] | None:
        """Return the windows after this one that make ``sustain`` in a row with it; else ``None``.

        There are any only where it is late: it closes the gap that kept them from an alarm.
        """
        place, model = _place(self.windows, entry), str(entry["model"])
        before = streak([*self.windows[:place], entry], model, found, apart)
        if before >= rule.sustain:
            return ()
        after: list[Seen] = []
        last = entry
        for window in (w for w in self.windows[place:] if w["model"] == model):
            if not before or not window[found] or apart(last, window):
                break
            if _told(window):
                return None
            after.append(window)
            last = window
        return after if before + len(after) >= rule.sustain else None


Of = TypeVar("Of", bound=Watched)


def remembered(
    seen: Of, entry: Seen, alarm: Alarm | None, at: float, row: Sequence[Seen] = ()
) -> Of:
    """Return what is known with one window more, and with the alarm that it came to.

    ``row``: the windows after it that the alarm is for, too.
    """
    place = _place(seen.windows, entry)
    later = [{**w, "alarmed_before": True} if w in row else w for w in seen.windows[place:]]
    windows = [*seen.windows[:place], entry, *later]
    update: dict[str, Any] = {"windows": windows[-KEPT:]}
    if alarm is not None and (seen.last_alarm is None or at >= seen.last_alarm):
        update |= {"alarm": alarm.summary, "last_alarm": at}
    return seen.model_copy(update=update)


def paged(
    ctx: Context,
    seen: Of,
    target: Handle,
    found: str,
    series: Sequence[Series],
    *,
    shapes: Sequence[Shape] = (),
    notes: Sequence[str] = (),
) -> Of:
    """Return what is known with its page: see ``monitor_page.Seen``."""
    from mlform_core.monitor_page import Seen, monitor_page

    shown = Seen(
        address=ctx.address,
        target=target.address,
        windows=seen.windows,
        found=found,
        alarm=seen.alarm,
        series=series,
        shapes=shapes,
        notes=notes,
    )
    made = ctx.artifacts.put_bytes(monitor_page(shown).encode(), "text/html")
    return seen.model_copy(update={"page": made})


def _place(windows: Sequence[Seen], entry: Seen) -> int:
    """Return where among windows one belongs: at their end, unless it is late."""
    number = entry.get("number")
    later = 0
    if number is not None:
        later = sum(1 for w in windows if w.get("number", number) > number)
    return len(windows) - later


def _told(window: Seen) -> bool:
    """Tell whether an alarm has told of a window that ends a row."""
    return bool(window.get("alarmed") or window.get("alarmed_before"))


def streak(
    windows: Sequence[Seen], model: str, found: str, apart: Apart = lambda _a, _b: False
) -> int:
    """Count the last windows of a model in which something was ``found``, since an alarm."""
    number, last = 0, None
    for window in reversed([w for w in windows if w["model"] == model]):
        if not window[found] or _told(window) or (last is not None and apart(window, last)):
            break
        number, last = number + 1, window
    return number


def replayed(windows: Sequence[Mapping[str, Any]], found: Sequence[bool], rule: Rule) -> str:
    """Say what other limits would have made of windows: ``found`` is what they say of each.

    Alarms are counted as they would have come, each after the quiet of the one before.
    """
    before = sum(bool(w.get("alarmed")) for w in windows)
    again: list[Mapping[str, Any]] = []
    last: float | None = None
    for window, bad in zip(windows, found, strict=True):
        again.append({"model": window["model"], "bad": bad})
        at = datetime.fromisoformat(window["last"]).timestamp()
        quiet = last is not None and at - last < rule.quiet
        if streak(again, window["model"], "bad") >= rule.sustain and not quiet:
            again[-1] = {**again[-1], "alarmed": True}
            last = at
    alarms = sum("alarmed" in w for w in again)
    return (
        f"of {counted(len(windows), 'window')} remembered, {sum(found)} would break these "
        f"limits and {alarms} raise an alarm ({before} did)"
    )


def progress(ctx: Context, done: int) -> None:
    """Say how many windows have been judged."""
    ctx.progress(done, None, f"{counted(done, 'window').partition(' ')[2]} so far")


def deployed(target: Handle) -> str:
    """Return the digest with which a deployment answers. ``ResourceError`` if it is none."""
    serves = target.attributes.get("answers")
    if not isinstance(serves, str) or "log_dir" not in target.attributes:
        detail = f"{target.address} is no deployment: write target = deployment.NAME."
        raise ResourceError("Not a deployment", detail, argument="target")
    return serves


def settings_of(ctx: Context, target: Handle) -> Serving | None:
    """Return what a deployment's server was told, if it is on this machine."""
    from mlform_core.serving import settings

    return settings.read(log_folder(ctx, target).parent)


def log_folder(ctx: Context, target: Handle) -> Path:
    """Return where a deployment has its request log."""
    return ctx.root / str(target.attributes["log_dir"])


def iso(moment: float) -> str:
    """Return a time in seconds since 1970 for people and for the alarm."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def short(value: Any) -> Any:
    """Round to what is worth keeping; a tiny p keeps its magnitude."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
