"""Draw what the gate saw of each group.

    python seen.py

Writes seen.svg from the evidence that the last verdict of gate.fair keeps, and from the
applications themselves.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
BLUE, ORANGE, DIM, LINE = "#1f6fd1", "#c2641a", "#66707f", "#d5dae2"
WIDTH, HEIGHT, TOP, STEP, TALL = 720, 220, 62, 38, 16
LEFT, SPAN, GAP = 78, 270, 62
Z = 1.96


def evidence() -> dict[str, Any]:
    """Return what the gate measured, as it is kept."""
    program = str(Path(sys.executable).with_name("mlform"))
    said = subprocess.run(  # noqa: S603 - our own command
        [program, "state", "show", "-json", "gate.fair"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise SystemExit("Nothing was judged yet: run `mlform apply` first.")
    digest = json.loads(said.stdout)["attributes"]["evidence"]["digest"].removeprefix("sha256:")
    kept = HERE / ".mlform" / "store" / "objects" / "sha256" / digest[:2] / digest[2:]
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def wilson(rate: float, rows: int) -> tuple[float, float]:
    """Return the interval of 95 % of a rate (Wilson's)."""
    middle = (rate + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z / (1 + Z**2 / rows) * math.sqrt(rate * (1 - rate) / rows + Z**2 / (4 * rows**2))
    return middle - half, middle + half


def panel(x: int, title: str, bars: dict[str, tuple[float, int, str]]) -> list[str]:
    """Return bars with their intervals: group → rate, of how many, colour. All from 0 to 1."""
    parts = [f'<text x="{x}" y="40">{escape(title)}</text>']
    floor = TOP + STEP * len(bars)
    for percent in (0, 25, 50, 75, 100):
        at = x + SPAN * percent / 100
        parts.append(f'<line x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{floor - 6}" stroke="{LINE}"/>')
        parts.append(f'<text x="{at}" y="{floor + 8}" text-anchor="middle">{percent} %</text>')
    for number, (group, (rate, rows, colour)) in enumerate(bars.items()):
        y = TOP + STEP * number
        low, high = (x + SPAN * end for end in wilson(rate, rows))
        parts.append(
            f'<rect x="{x}" y="{y}" width="{SPAN * rate:.1f}" height="{TALL}" fill="{colour}"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + TALL / 2}" y2="{y + TALL / 2}" '
            f'stroke="#1c2330" stroke-width="1.5"/>'
            f'<text x="{x + 6}" y="{y + 12}" fill="#fff" data-group="{escape(group)}" '
            f'data-of="{escape(title)}">{rate:.1%}</text>'
            f'<text x="{x + 50}" y="{y + 12}" fill="#fff">of {rows}</text>'
        )
    return parts


def picture(found: dict[str, Any], loans: pd.DataFrame) -> str:
    """Return the rates of each group as a picture in SVG."""
    groups: dict[str, dict[str, Any]] = found["fairness"]["groups"]
    least = found["rules"]["fairness"]["demographic_parity_ratio"]["min"]
    best = max(g["selection_rate"] for g in groups.values())
    bound = least * best
    rates = {
        name: (g["selection_rate"], g["rows"], BLUE if g["selection_rate"] >= bound else ORANGE)
        for name, g in groups.items()
    }
    banks = {name: its["approved"] for name, its in loans.groupby("race")}
    was = {name: (float(banks[name].mean()), len(banks[name]), "#8a93a2") for name in groups}
    ratio = found["fairness"]["measures"]["demographic_parity_ratio"]
    at, floor = LEFT + SPAN * bound, TOP + STEP * len(groups)
    parts = [
        (
            f'<text x="{LEFT}" y="18" font-size="13" fill="#1c2330">The lowest rate is '
            f"{ratio:.3f} of the highest; the rule is {least:g}: the gate "
            f"{'passes' if found['passed'] else 'fails'}</text>"
        ),
        *panel(LEFT, "Approved by the model (held out)", rates),
        *panel(LEFT + SPAN + GAP, "Approved by the banks (all)", was),
        (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 10}" y2="{floor - 4}" stroke="#1c2330" '
            f'stroke-dasharray="4 3"/><text x="{at:.1f}" y="{floor + 24}" text-anchor="middle">'
            f"{least:g} of the highest</text>"
        ),
    ]
    for number, name in enumerate(groups):
        y = TOP + STEP * number + 12
        parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11" fill="{DIM}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Draw it."""
    loans = pd.read_parquet(HERE / "data" / "loans.parquet")
    (HERE / "seen.svg").write_text(picture(evidence(), loans), encoding="utf-8")


if __name__ == "__main__":
    main()
