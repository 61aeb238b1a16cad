"""Live through 2013 three times: never retraining, always, and by the loop.

    python year.py [--rows 6000] [--until 2013-12]

Each way is a copy of this folder that starts with January to March. Month by month real flights
are asked of what serves *then*, and what it said is held against what came: that is the AUC of the
month. Then the month's data arrive. `static` leaves it at that; `always` takes them and puts every
new model into service, whatever the gate would say; `loop` is `mlform monitor run` and
`mlform reapply`, unattended. Writes year.md and year.svg.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from ask import BATCH, ask
from features.flights import build
from fetch import ALL, FIRST, read_month, read_planes, read_weather
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
WAYS = ("static", "always", "loop")
COLOURS = {"static": "#8a93a2", "always": "#c2641a", "loop": "#1f6fd1"}
OPEN = {"min_gain = -0.02": "min_gain = -1", "roc_auc = 0.1 }": "roc_auc = 1 }"}


class Way:
    """One copy of the example, with an endpoint of its own."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.folder = name, place / name
        ignored = shutil.ignore_patterns("data", ".mlform*", "__pycache__", "year.*")
        shutil.copytree(HERE, self.folder, ignore=ignored)
        self.fetch(*FIRST)
        if name == "always":
            spec = self.folder / "main.mlf.hcl"
            text = spec.read_text()
            for before, after in OPEN.items():
                assert before in text
                text = text.replace(before, after)
            spec.write_text(text)
        self.mlform("apply", "-auto-approve", *self.values)

    @property
    def values(self) -> list[str]:
        """What the variables are: `always` lets every model pass."""
        return ["-var", "min_auc=0"] if self.name == "always" else []

    def mlform(self, *arguments: str, held: bool = False) -> str:
        """Run a command; ``held``: a gate may say no."""
        program = str(Path(sys.executable).with_name("mlform"))
        done = subprocess.run(  # noqa: S603 - our own command
            [program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode not in ({0, 3} if held else {0}):
            raise SystemExit(f"{self.name}: mlform {arguments}\n{done.stdout}{done.stderr}")
        return done.stdout

    def fetch(self, *months: str) -> None:
        """Let months arrive."""
        command = [sys.executable, "fetch.py", *months]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)  # noqa: S603 - our own command

    def predict(self, rows: pd.DataFrame) -> list[float]:
        """Ask what serves."""
        url = self.mlform("output", "-raw", "url").strip()
        found: list[float] = []
        for start in range(0, len(rows), BATCH):
            answer = ask(url, rows.iloc[start : start + BATCH])
            found += answer["outputs"][0]["data"]  # type: ignore[index]
        return found

    def month(self, month: str) -> str:
        """Take in what arrived, the way of this one; say what came of it."""
        if self.name == "static":
            return ""
        self.fetch(month)
        if self.name == "always":
            self.mlform("update", "dataset.flights")
            self.mlform("apply", "-auto-approve", *self.values)
            return "retrained"
        self.mlform("monitor", "run")
        lines = self.mlform("reapply", "-json", held=True).splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        outcome = next(e for e in events if e["type"] == "outcome")
        if "deployment.late_api" in outcome["done"]:
            return "retrained, promoted"
        if "training_job.late" in outcome["done"]:
            return "retrained, held by the gate"
        return next((e["why"] for e in events if e["type"] == "trigger"), "no alarm")


def live(ways: dict[str, Way], months: list[str], rows: int) -> pd.DataFrame:
    """Go through the months; return a row for each, with the AUC of every way."""
    weather, planes = read_weather(), read_planes()
    found = []
    for month in months:
        features = build(read_month(month), weather=weather, planes=planes)
        asked = features.sample(min(rows, len(features)), random_state=1)
        inputs = asked.drop(columns=["late", "time_hour"])
        row: dict[str, object] = {"month": month, "late": asked["late"].mean()}
        for name, way in ways.items():
            row[name] = roc_auc_score(asked["late"], way.predict(inputs))
        for name, way in ways.items():
            if said := way.month(month):
                row[f"{name}: then"] = said
        print({n: round(v, 4) if isinstance(v, float) else v for n, v in row.items()}, flush=True)
        found.append(row)
    return pd.DataFrame(found)


def table(found: pd.DataFrame) -> str:
    """Return the months as a table in Markdown, with the means."""
    lines = ["| month | late | static | always | loop | what the loop did then |"]
    lines.append("|---|---|---|---|---|---|")
    for _, row in found.iterrows():
        figures = " | ".join(f"{row[w]:.3f}" for w in WAYS)
        lines.append(f"| {row['month']} | {row['late']:.0%} | {figures} | {row['loop: then']} |")
    means = " | ".join(f"**{found[w].mean():.3f}**" for w in WAYS)
    lines.append(f"| mean | {found['late'].mean():.0%} | {means} | |")
    return "\n".join(lines) + "\n"


def picture(found: pd.DataFrame) -> str:
    """Return the months as a picture in SVG."""
    width, height, left, top, bottom = 720, 320, 50, 20, 40
    values = found[list(WAYS)].to_numpy()
    low, high = values.min() - 0.01, values.max() + 0.01

    def at(number: int, value: float) -> tuple[float, float]:
        across = left + number * (width - left - 90) / max(1, len(found) - 1)
        return across, top + (high - value) / (high - low) * (height - top - bottom)

    parts = []
    for step in range(5):
        value = low + step * (high - low) / 4
        _, y = at(0, value)
        parts.append(
            f'<line x1="{left}" x2="{width - 90}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d5dae2"/>'
        )
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for number, month in enumerate(found["month"]):
        x, _ = at(number, low)
        parts.append(f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle">{month}</text>')
    for name in WAYS:
        points = [at(i, v) for i, v in enumerate(found[name])]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = COLOURS[name]
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    for number, name in enumerate(WAYS):
        y = top + 14 + 18 * number
        parts.append(
            f'<rect x="{width - 78}" y="{y - 9}" width="10" height="10" fill="{COLOURS[name]}"/>'
        )
        parts.append(f'<text x="{width - 62}" y="{y}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="#66707f">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Live through the months and write down how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6000, help="flights asked about in a month")
    parser.add_argument("--until", default=ALL[-1])
    options = parser.parse_args()
    months = [m for m in ALL if m not in FIRST and m <= options.until]
    with tempfile.TemporaryDirectory() as place:
        ways: dict[str, Way] = {}
        try:
            for name in WAYS:
                ways[name] = Way(name, Path(place))
            found = live(ways, months, options.rows)
        finally:
            for way in ways.values():
                way.mlform("destroy", "-auto-approve")
    (HERE / "year.md").write_text(table(found), encoding="utf-8")
    (HERE / "year.svg").write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
