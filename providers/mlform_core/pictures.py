"""Pictures in SVG for pages that work offline: lines, bars, ranges, a matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 340
_HEIGHT: Final = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 12, 38
_TICKS: Final = 6
"""Of an axis, at most."""

STYLE: Final = """
:root{--ink:#1c2330;--dim:#66707f;--line:#d5dae2;--ground:#fff;--one:#1f6fd1;--two:#c2641a;
--good:#1d7f4e;--bad:#b3261e;--warn:#8a6100}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ef;--dim:#98a2b3;--line:#39414f;--ground:#14181f;
--one:#6aa8f7;--two:#f0a35e;--good:#5fc48f;--bad:#f2857d;--warn:#dcb04d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:24px;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}
.dim{color:var(--dim)}.pass{color:var(--good)}.fail{color:var(--bad)}
.warn,.waived,.skipped{color:var(--warn)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--line);
vertical-align:top}
td.n,th.n{text-align:right;padding-right:20px}time{white-space:nowrap}
.pictures{display:flex;flex-wrap:wrap;gap:20px}figure{margin:0}
figcaption{font-size:13px;color:var(--dim);max-width:340px}
svg text{fill:var(--dim);font:11px system-ui,sans-serif}
svg .axis{stroke:var(--line)}svg .one{stroke:var(--one)}svg .two{stroke:var(--two)}
svg .guide{stroke:var(--dim);stroke-dasharray:3 4}svg .aside{stroke:var(--dim)}
svg .band{fill:var(--dim);fill-opacity:.22}
svg .fone{fill:var(--one)}svg .ftwo{fill:var(--two)}svg rect.ftwo{fill-opacity:.6}
"""


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole page that asks for nothing from outside."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table of cells that are HTML already; ``numbers`` are columns set to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        made = (
            f"<{tag}{' class=n' if i in numbers else ''}>{cell}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(row(r, "td") for r in rows)
    first = row([escape(h) for h in head], "th")
    return f"<div class=wide><table><thead>{first}</thead><tbody>{body}</tbody></table></div>"


def figure(svg: str, caption: str) -> str:
    """Return a picture with what it shows."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


class Plot:
    """One picture with two axes, filled from the ground up."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], labels: tuple[str, str], title: str
    ) -> None:
        self.x, self.y, self.labels, self.title = _open(x), _open(y), labels, title
        self.whole = False
        """Whether there is nothing between whole numbers from left to right."""
        self.parts: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is in the picture."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + across * wide, _HEIGHT - _BOTTOM - up * high

    def line(self, points: Sequence[Sequence[float]], kind: str = "one") -> Plot:
        """Draw a line through points."""
        drawn = " ".join("{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in points)
        self.parts.append(
            f'<polyline class="{kind}" fill="none" stroke-width="1.8" points="{drawn}"/>'
        )
        return self

    def band(self, points: Sequence[Sequence[float]]) -> Plot:
        """Fill between the low and the high end, (x, low, high), of points beside each other."""
        ends = [(x, high) for x, _, high in points] + [(x, low) for x, low, _ in reversed(points)]
        drawn = " ".join("{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in ends)
        self.parts.append(f'<polygon class="band" points="{drawn}"/>')
        return self

    def ranges(self, rows: Sequence[Mapping[str, float]], kind: str = "one") -> Plot:
        """Draw points at (``mean``, ``rate``), each with its ``low`` and ``high``."""
        for row in rows:
            x, y = self.at(row["mean"], row["rate"])
            _, low = self.at(row["mean"], row["low"])
            _, high = self.at(row["mean"], row["high"])
            self.parts.append(
                f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
                f'<circle class="f{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            )
        return self

    def bars(self, edges: Sequence[float], counts: Sequence[float], kind: str = "one") -> Plot:
        """Draw a bar over each pair of edges."""
        for left, right, count in zip(edges, edges[1:], counts, strict=False):
            (x, y), (end, floor) = self.at(left, count), self.at(right, self.y[0])
            self.parts.append(
                f'<rect class="f{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(0.5, end - x - 1):.1f}"'
                f' height="{max(0.0, floor - y):.1f}"/>'
            )
        return self

    def svg(self) -> str:
        """Return the picture."""
        return (
            f'<svg role="img" aria-label="{escape(self.title)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}">{self._axes()}{"".join(self.parts)}</svg>'
        )

    def _axes(self) -> str:
        made = []
        for y in _ticks(self.y):
            up = self.at(self.x[0], y)[1]
            made.append(
                f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up:.1f}" '
                f'y2="{up:.1f}"/><text x="{_LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">'
                f"{y:.4g}</text>"
            )
        for x in _ticks(self.x, 1.0 if self.whole else 0.0):
            across = self.at(x, self.y[0])[0]
            made.append(
                f'<text x="{across:.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">'
                f"{x:.4g}</text>"
            )
        made.append(
            f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f'{escape(self.labels[0])}</text><text transform="translate(11 {_HEIGHT / 2 - 10}) '
            f'rotate(-90)" text-anchor="middle">{escape(self.labels[1])}</text>'
        )
        return "".join(made)


def _ticks(ends: tuple[float, float], least: float = 0.0) -> list[float]:
    """Return round numbers between two ends, ``least`` apart or more."""
    wide = ends[1] - ends[0]
    power = 10.0 ** math.floor(math.log10(wide / _TICKS))
    steps = (max(power * times, least) for times in (1, 2, 5, 10, 20))
    step = next(s for s in steps if wide / s < _TICKS)
    first, last = math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _open(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def forest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw each row's ``estimate`` with ``low`` and ``high``, one under the other, by ``name``.

    ``limit`` is the bound that a row must keep, drawn as a tick; ``bad`` rows are marked.
    """
    values = [0.0, *(r[n] for r in rows for n in ("low", "high", "estimate", "limit"))]
    low, high = _open((min(values), max(values)))
    left, width, step = 220, 640, 24
    tall = step * len(rows) + 30

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - 20)

    zero = f"{at(0):.1f}"
    parts = [
        f'<line class="guide" x1="{zero}" x2="{zero}" y1="4" y2="{tall - 22}"/>',
        f'<text x="{zero}" y="{tall - 6}" text-anchor="middle">0</text>',
    ]
    for number, row in enumerate(rows):
        y = 16 + number * step
        kind = "two" if row["bad"] else "one"
        name = row["name"] if len(row["name"]) <= 34 else row["name"][:33] + "…"
        parts.append(
            f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            f'<line class="{kind}" x1="{at(row["low"]):.1f}" x2="{at(row["high"]):.1f}" y1="{y}" '
            f'y2="{y}"/><circle class="f{kind}" cx="{at(row["estimate"]):.1f}" cy="{y}" r="3.5"/>'
        )
        bound = f"{at(row['limit']):.1f}"
        parts.append(
            f'<line class="axis" x1="{bound}" x2="{bound}" y1="{y - 7}" y2="{y + 7}" '
            'stroke-width="3"/>'
        )
    return (
        f'<svg role="img" aria-label="gains of slices" viewBox="0 0 {width} {tall}" '
        f'width="{width}" height="{tall}">{"".join(parts)}</svg>'
    )
