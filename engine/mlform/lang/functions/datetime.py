"""Times: RFC 3339 texts with offsets, durations as Go writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from mlform.lang.numbers import counted
from mlform.lang.operations import OperationError, shorten
from mlform.lang.registry import World, function, string
from mlform.types import NUMBER, STRING
from mlform.values import Unknown, Value

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


_CYCLE: Final = 400
"""Years after which the calendar is the same again, days of the week included."""
_CYCLE_DAYS: Final = 146_097
_MIDDLE: Final = 2000
"""Where a ``datetime`` is far from the years in which it ends."""


class Moment:
    """A point in time, to the nanosecond, and the offset it was written with.

    ``day`` is that of a year some ``cycles`` away, in which the calendar is the same: there are
    times before the year 1 and after 9999, and a ``datetime`` knows none.
    """

    def __init__(self, day: datetime, cycles: int, nanoseconds: int) -> None:
        self.day, self.cycles, self.nanoseconds = day, cycles, nanoseconds

    @classmethod
    def parse(cls, written: str, argument: int) -> Moment:
        """Read a text. Raises ``OperationError`` about the argument it came by."""
        found = _TIME.fullmatch(written)
        problem = (
            f'"{shorten(written)}" is no time; write it as 2006-01-02T15:04:05Z, '
            "with an offset such as +01:00 in place of Z if need be"
        )
        if found is None:
            raise OperationError(problem, argument)
        year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
        offset = int(found[9] or 0) * 60 + int(found[10] or 0)
        if int(found[9] or 0) > 23 or int(found[10] or 0) > 59:
            most = f'"{shorten(written)}" is no time: an offset is at most 23:59'
            raise OperationError(most, argument)
        zone = timezone(timedelta(minutes=-offset if found[8] == "-" else offset))
        cycles, rest = divmod(year, _CYCLE)
        try:
            moment = datetime(_MIDDLE + rest, month, day, hour, minute, second, tzinfo=zone)
        except ValueError as error:
            raise OperationError(f"{problem} ({error})", argument) from None
        return cls(moment, cycles, int((found[7] or "0")[:9].ljust(9, "0")))

    @property
    def year(self) -> int:
        """The year, which may be 0 or negative."""
        return self.day.year - _MIDDLE + self.cycles * _CYCLE

    @property
    def instant(self) -> tuple[timedelta, int]:
        """What orders points in time."""
        return self.day - _EPOCH + timedelta(self.cycles * _CYCLE_DAYS), self.nanoseconds

    def plus(self, nanoseconds: int) -> Moment:
        """Return the point a duration of less than 300 years later."""
        seconds, rest = divmod(self.nanoseconds + nanoseconds, 10**9)
        return Moment(self.day + timedelta(seconds=seconds), self.cycles, rest)

    def __str__(self) -> str:
        year = f"{'-' if self.year < 0 else ''}{abs(self.year):04d}"
        return f"{year}{self.day:-%m-%dT%H:%M:%S}{_offset(self.day, ':', 'Z')}"


def _offset(day: datetime, between: str, utc: str) -> str:
    seconds = int((day.utcoffset() or timedelta()).total_seconds())
    if seconds == 0 and utc:
        return utc
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}{between}{minutes:02d}"


def _duration(written: str) -> int:
    problem = f'"{shorten(written)}" is no duration; write it as 1h30m, 10s or 500ms'
    rest = written[1:] if written[:1] in {"+", "-"} else written
    if rest == "0":
        return 0
    total = Decimal()
    at = 0
    while at < len(rest):
        found = _DURATION.match(rest, at)
        if found is None or len(found[1]) > 30:
            raise OperationError(problem, 1)
        total += Decimal(found[1]) * _NANOSECONDS[found[2]]
        at = found.end()
    if not rest or total >= _LONGEST:
        raise OperationError(problem, 1)
    return -int(total) if written.startswith("-") else int(total)


@function("timeadd", string("timestamp"), string("duration"), result=STRING)
def timeadd(timestamp: str, duration: str) -> Value:
    """Return the time a duration later, to the second."""
    return str(Moment.parse(timestamp, 0).plus(_duration(duration)))


@function("timecmp", string("timestamp_a"), string("timestamp_b"), result=NUMBER)
def timecmp(left: str, right: str) -> Value:
    """Return -1 if the first time is earlier, 1 if it is later, 0 if they are the same."""
    first, second = Moment.parse(left, 0).instant, Moment.parse(right, 1).instant
    return counted((first > second) - (first < second))


@function("timestamp", result=STRING, world=True)
def timestamp(world: World) -> Value:
    """Return the time it is; nothing known in a plan, which must come out the same later."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if world.live else Unknown(STRING)


@function("plantimestamp", result=STRING, world=True)
def plantimestamp(world: World) -> Value:
    """Return the time the plan is made for."""
    return Unknown(STRING) if world.as_of is None else world.as_of


_VERBS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "MMMM": lambda t: _MONTHS[t.month - 1],
    "MMM": lambda t: _MONTHS[t.month - 1][:3],
    "MM": lambda t: f"{t.month:02d}",
    "M": lambda t: str(t.month),
    "DD": lambda t: f"{t.day:02d}",
    "D": lambda t: str(t.day),
    "EEEE": lambda t: _DAYS[t.weekday()],
    "EEE": lambda t: _DAYS[t.weekday()][:3],
    "hh": lambda t: f"{t.hour:02d}",
    "h": lambda t: str(t.hour),
    "HH": lambda t: f"{(t.hour - 1) % 12 + 1:02d}",
    "H": lambda t: str((t.hour - 1) % 12 + 1),
    "AA": lambda t: "AM" if t.hour < 12 else "PM",
    "aa": lambda t: "am" if t.hour < 12 else "pm",
    "mm": lambda t: f"{t.minute:02d}",
    "m": lambda t: str(t.minute),
    "ss": lambda t: f"{t.second:02d}",
    "s": lambda t: str(t.second),
    "ZZZZZ": lambda t: _offset(t, ":", ""),
    "ZZZZ": lambda t: _offset(t, "", ""),
    "ZZZ": lambda t: _offset(t, "", "UTC"),
    "Z": lambda t: _offset(t, ":", "Z"),
}
_PIECE: Final = re.compile(
    r"(?P<verb>([A-Za-z])\2*)|'(?P<literal>(?:[^']|'')*)'|(?P<open>')|(?P<other>[^A-Za-z']+)"
)


@function("formatdate", string("format"), string("time"), result=STRING)
def formatdate(shape: str, time: str) -> Value:
    """Return a time as a format such as ``DD MMM YYYY hh:mm ZZZ`` says."""
    moment = Moment.parse(time, 1)
    day = moment.day
    years = {"YYYY": f"{moment.year:04d}", "YY": f"{moment.year % 100:02d}"}
    pieces: list[str] = []
    for found in _PIECE.finditer(shape):
        if found["open"]:
            raise OperationError("a ' is not closed", 0)
        if found["verb"]:
            verb = _VERBS.get(found["verb"])
            if verb is not None:
                pieces.append(verb(day))
            elif found["verb"] in years:
                pieces.append(years[found["verb"]])
            else:
                known = ", ".join([*years, *_VERBS])
                raise OperationError(f'"{shorten(found["verb"])}" is none of {known}', 0)
        elif found["other"]:
            pieces.append(found["other"])
        else:
            pieces.append(found["literal"].replace("''", "'") or "'")
    return "".join(pieces)
