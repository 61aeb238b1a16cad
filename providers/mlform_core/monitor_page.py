"""What a monitor has seen as a page to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final, TypeVar

from mlform.sdk import counted
from mlform_core.pictures import Plot, figure, page, table

_MOST: Final = 24
"""Pictures of a kind; all that is drawn is in the table."""
_HALF: Final = 0.2
"""Of a window, where one has no other beside it."""
_Of = TypeVar("_Of")


@dataclass(frozen=True)
class Series:
    """A figure over the windows: one number a window, ``None`` where it has none.

    ``bounds``: its interval in each, where it has one. ``limits``: what it is held to.
    ``beside``: what was estimated of it without labels, with the ends of its interval, where that
    is known, too.
    """

    name: str
    numbers: Sequence[float | None]
    limits: Sequence[float] = ()
    bounds: Sequence[tuple[float, float] | None] = ()
    beside: Sequence[tuple[float, float, float] | None] = ()


@dataclass(frozen=True)
class Shape:
    """The distribution of a column: shares of the reference and of the last window, bin by bin."""

    name: str
    bins: Sequence[str]
    before: Sequence[float]
    now: Sequence[float]


@dataclass(frozen=True)
class Seen:
    """All that a page shows of a monitor.

    ``windows`` are those that are remembered, oldest first, each with ``first``, ``last``,
    ``rows`` and ``findings``; ``found`` names what tells of a window that breaks a limit.
    """

    address: str
    target: str
    windows: Sequence[Mapping[str, Any]]
    found: str
    alarm: str | None
    series: Sequence[Series]
    shapes: Sequence[Shape] = ()
    notes: Sequence[str] = field(default_factory=list)


def monitor_page(seen: Seen) -> str:
    """Return the page: the last alarm, each figure over the windows, distributions, windows."""
    last = seen.windows[-1] if seen.windows else None
    bad = last is not None and bool(last[seen.found])
    verdict = "nothing seen yet" if last is None else f"{seen.found}" if bad else "as it should be"
    kind = "dim" if last is None else "fail" if bad else "pass"
    said = "No alarm so far." if seen.alarm is None else f"Last alarm: {seen.alarm}."
    notes = "".join(f"<br>{escape(note)}" for note in seen.notes)
    drawn = [_history(s, seen.windows) for s in seen.series[:_MOST]]
    shapes = [_shape(s) for s in seen.shapes[:_MOST]]
    body = [
        f"<h1>{escape(seen.address)}: <span class={kind}>{escape(verdict)}</span></h1>",
        f"<p>{escape(said)}</p>",
        f"<p class=dim>{counted(len(seen.windows), 'window')} of {escape(seen.target)}.{notes}</p>",
    ]
    if drawn and seen.windows:
        caption = (
            "Each figure over the windows with its bounds; dashed what it is held to, orange a "
            "window that raised an alarm."
        )
        if any(one for s in seen.series for one in s.beside):
            caption += " Grey what was estimated without labels; the band is its 90 % bounds."
        body += ["<h2>History</h2>", f"<p class=dim>{caption}</p>", _row(drawn)]
    if shapes:
        caption = "Shares of rows in each bin. Blue is the reference, orange the last window."
        body += ["<h2>Columns</h2>", f"<p class=dim>{caption}</p>", _row(shapes)]
    body += ["<h2>Windows</h2>", _windows(seen)]
    return page(f"{seen.address}: {verdict}", body)


def _row(pictures: Sequence[str]) -> str:
    return f"<div class=pictures>{''.join(pictures)}</div>"


def _history(series: Series, windows: Sequence[Mapping[str, Any]]) -> str:
    known = [v for v in series.numbers if v is not None]
    if not known:
        return ""
    bounds = [b for b in series.bounds if b is not None]
    guessed = [one for one in series.beside if one is not None]
    every = [*known, *series.limits, *(end for ends in (*bounds, *guessed) for end in ends)]
    low, high = min(every), max(every)
    room = 0.05 * (high - low or abs(high) or 1.0)
    across = (0.5, len(windows) + 0.5)
    plot = Plot(across, (low - room, high + room), ("window", series.name), series.name)
    plot.whole = True
    for limit in series.limits:
        plot.line([[across[0], limit], [across[1], limit]], "guide")
    for run in _runs(series.beside):
        first, last = run[0], run[-1]
        wider = [(first[0] - _HALF, first[1]), *run, (last[0] + _HALF, last[1])]
        plot.band([(at, down, up) for at, (_, down, up) in wider])
        plot.line([(at, value) for at, (value, _, _) in wider], "aside")
    for part in _runs(series.numbers):
        plot.line(part)
    for i, value in enumerate(series.numbers):
        if value is None:
            continue
        down, up = (series.bounds[i] if i < len(series.bounds) else None) or (value, value)
        dot = {"mean": i + 1, "rate": value, "low": down, "high": up}
        plot.ranges([dot], "two" if windows[i].get("alarmed") else "one")
    held = "" if not series.limits else f", held to {', '.join(f'{v:.4g}' for v in series.limits)}"
    more = "" if not guessed else f"; grey: estimated, {guessed[-1][0]:.4g} at last"
    return figure(plot.svg(), f"{series.name}: {known[-1]:.4g} at last{held}{more}")


def _runs(values: Sequence[_Of | None]) -> list[list[tuple[int, _Of]]]:
    """Return what follows each other without a gap, with its place from 1 on."""
    runs: list[list[tuple[int, _Of]]] = [[]]
    for at, value in enumerate(values, start=1):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if run]


def _shape(shape: Shape) -> str:
    edges = [float(i) for i in range(len(shape.bins) + 1)]
    most = max([*shape.before, *shape.now, 1e-9])
    plot = Plot((0.0, edges[-1]), (0.0, most), ("bin", "share of rows"), shape.name)
    plot.bars(edges, list(shape.before)).bars(edges, list(shape.now), "two")
    named = " · ".join(shape.bins[:12]) + (" …" if len(shape.bins) > 12 else "")
    return figure(plot.svg(), f"{shape.name}: {named}")


def _windows(seen: Seen) -> str:
    rows = []
    for number, window in reversed(list(enumerate(seen.windows, start=1))):
        bad = bool(window[seen.found])
        word = "alarm" if window.get("alarmed") else seen.found if bad else "fine"
        if window.get("incident"):
            word, bad = "data incident", True
        count = window.get("rows", window.get("requests", 0))
        rows.append(
            [
                f"<span class={'fail' if bad else 'pass'}>{escape(word)}</span>",
                str(number),
                _moment(window["first"]),
                _moment(window["last"]),
                f"{count:,}",
                escape(", ".join(map(str, window["findings"]))),
            ]
        )
    head = ["", "window", "from", "until (UTC)", "rows or requests", "what was found"]
    return table(head, rows, [1, 4])


def _moment(when: Any) -> str:
    """Return a moment as a page tells it."""
    return f"<time>{escape(str(when)[:19].replace('T', ' '))}</time>"
