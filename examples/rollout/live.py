"""Let July come: ask the models that answer, then put a bad one beside them, and see.

    python live.py [--rows 6000]

First flights of July are asked about, each once; who answers is drawn by the flight. Whether it was
late comes in afterwards, so that the models can be compared. Then a new linear model is applied,
which breaks on destinations that it never saw, while the flights go on being asked about. Writes
live.md and live.svg.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
DATATYPES = {"i": "INT64", "f": "FP64"}
COLOURS = {"linear": "#1f6fd1", "boosted": "#2b9a66", "forest": "#8a93a2", "canary": "#c2641a"}
THREADS, RESAMPLES, SECOND = 4, 500, 1.0


class Answer(NamedTuple):
    """What came back: when, from which model, and how likely it says that the flight is late."""

    at: float
    model: str
    status: int
    probability: float


def mlform(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command here."""
    program = str(Path(sys.executable).with_name("mlform"))
    return subprocess.run(  # noqa: S603 - our own command
        [program, *arguments], cwd=HERE, capture_output=True, text=True, check=False
    )


class Endpoint:
    """What the last apply serves."""

    def __init__(self) -> None:
        self.url = mlform("output", "-raw", "url").stdout.strip()
        if not self.url:
            raise SystemExit("Nothing is served yet: run `mlform apply` first.")
        self.known = self.roles()

    def roles(self) -> dict[str, str]:
        """Return which digest has which part just now."""
        with urllib.request.urlopen(f"{self.url.split('/v2')[0]}/metrics") as response:  # noqa: S310 - our own URL
            text = response.read().decode()
        found = re.findall(r'revision_info\{digest="([^"]+)".*?role="(?:variant )?([^"]+)"', text)
        return {digest: "linear" if role == "current" else role for digest, role in found}

    def ask(self, flight: dict[str, Any]) -> Answer:
        """Ask about one flight."""
        inputs = [
            {"name": n, "datatype": _datatype(v), "shape": [1], "data": [None if pd.isna(v) else v]}
            for n, v in flight.items()
        ]
        headers = {"Content-Type": "application/json", "Mlform-Key": flight["flight"]}
        body = json.dumps({"inputs": inputs}).encode()
        request = urllib.request.Request(f"{self.url}/infer", body, headers)  # noqa: S310 - our own URL
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own URL
                said = json.load(response)
        except urllib.error.HTTPError as error:
            return Answer(time.monotonic(), "", error.code, float("nan"))
        model = said["model_version"]
        if model not in self.known:
            self.known |= self.roles()
        chance = said["outputs"][0]["data"][0]
        return Answer(time.monotonic(), self.known.get(model, "canary"), 200, chance)


def _datatype(value: Any) -> str:
    return "BYTES" if isinstance(value, str) else "FP64" if isinstance(value, float) else "INT64"


def ask_each(endpoint: Endpoint, flights: list[dict[str, Any]]) -> list[Answer]:
    """Ask about each flight once, several at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(endpoint.ask, flights))


def compared(answers: list[Answer], late: pd.Series) -> pd.DataFrame:
    """Return how well each model told late flights from others, with an interval of 95 %."""
    rng = np.random.default_rng(1)
    found = pd.DataFrame(answers).assign(late=late.to_numpy())
    rows = []
    for model, its in found.groupby("model"):
        truth, said = its["late"].to_numpy(), its["probability"].to_numpy()
        drawn = [rng.integers(0, len(its), len(its)) for _ in range(RESAMPLES)]
        aucs = [roc_auc_score(truth[d], said[d]) for d in drawn]
        low, high = np.quantile(aucs, [0.025, 0.975])
        rows.append((model, len(its), roc_auc_score(truth, said), low, high))
    return pd.DataFrame(rows, columns=["model", "answers", "auc", "low", "high"])


def rolled_out(endpoint: Endpoint, flights: list[dict[str, Any]]) -> tuple[list[Answer], str]:
    """Apply the bad model while flights are asked about; return the answers, and what it said."""
    said: list[subprocess.CompletedProcess[str]] = []
    change = ("-var", "unknown=error", "-var", "bake=1m")
    apply = threading.Thread(
        target=lambda: said.append(mlform("apply", "-auto-approve", "-json", *change))
    )
    apply.start()
    answers: list[Answer] = []

    def go_on() -> Iterator[dict[str, Any]]:
        while apply.is_alive():
            for flight in flights:
                if not apply.is_alive():
                    return
                yield flight

    source, guard = go_on(), threading.Lock()

    def client() -> None:
        while True:
            with guard:
                flight = next(source, None)
            if flight is None:
                return
            answers.append(endpoint.ask(flight))

    clients = [threading.Thread(target=client) for _ in range(THREADS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    apply.join()
    if said[0].returncode != 1:
        raise SystemExit(f"The bad model came through:\n{said[0].stdout}{said[0].stderr}")
    return sorted(answers), said[0].stdout


def page(found: pd.DataFrame, answers: list[Answer], detail: str) -> str:
    """Return what was seen, in Markdown."""
    lines = ["| model | answers | AUC | 95 % |", "|---|---|---|---|"]
    lines += [
        f"| {row.model} | {row.answers:,} | {row.auc:.3f} | {row.low:.3f} … {row.high:.3f} |"
        for row in found.itertuples()
    ]
    failed = sum(a.status != 200 for a in answers)
    detail = re.sub(r"\b([0-9a-f]{12})\b", r"`\1`", detail)
    lines += ["", f"{detail} Of {len(answers):,} requests meanwhile {failed} failed."]
    return "\n".join(lines) + "\n"


def picture(found: pd.DataFrame, answers: list[Answer]) -> str:
    """Return both as a picture in SVG: the AUCs, and who answered second by second."""
    width, height, left, middle = 720, 300, 60, 110
    parts = [f'<text x="{left}" y="18">AUC in July, with 95 %</text>']
    low, high = found["low"].min() - 0.01, found["high"].max() + 0.01

    def across(auc: float) -> float:
        return left + 60 + (auc - low) / (high - low) * (width - left - 120)

    for number, row in enumerate(found.itertuples()):
        y, colour = 38 + 22 * number, COLOURS[row.model]
        parts.append(f'<text x="{left}" y="{y + 4}">{row.model}</text>')
        parts.append(
            f'<line x1="{across(row.low):.1f}" x2="{across(row.high):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="3"/><circle cx="{across(row.auc):.1f}" cy="{y}" '
            f'r="5" fill="{colour}"/>'
            f'<text x="{across(row.high) + 6:.1f}" y="{y + 4}">{row.auc:.3f}</text>'
        )
    seconds = pd.DataFrame(answers)
    seconds["at"] = ((seconds["at"] - seconds["at"].min()) // SECOND).astype(int)
    counts = pd.crosstab(seconds["at"], seconds["model"])
    most, wide = counts.sum(axis=1).max(), (width - left - 100) / (counts.index.max() + 1)
    floor, tall = height - 30, height - 30 - middle - 30
    parts.append(
        f'<text x="{left}" y="{middle + 18}">Answers per second while it was applied</text>'
    )
    for second, row in counts.iterrows():
        y = float(floor)
        for model in (m for m in COLOURS if m in counts.columns):
            size = row[model] / most * tall
            y -= size
            x, broad = left + second * wide, max(wide - 0.5, 0.5)
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{broad:.1f}" height="{size:.1f}" '
                f'fill="{COLOURS[model]}"/>'
            )
    for number, (model, colour) in enumerate(COLOURS.items()):
        y = middle + 50 + 18 * number
        parts.append(f'<rect x="{width - 88}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{width - 72}" y="{y}">{model}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="#66707f">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Ask, compare, roll out, and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6000, help="flights to compare the models by")
    options = parser.parse_args()
    july = pd.read_parquet(HERE / "data" / "july.parquet").sample(frac=1, random_state=1)
    flights = july.drop(columns=["late", "time_hour"]).to_dict("records")
    endpoint = Endpoint()
    found = compared(ask_each(endpoint, flights[: options.rows]), july["late"][: options.rows])
    print(found.round(3).to_string(index=False), flush=True)
    answers, said = rolled_out(endpoint, flights)
    (detail,) = (e["detail"] for e in map(json.loads, said.splitlines()) if e["type"] == "failed")
    text = page(found, answers, detail)
    print(text)
    (HERE / "live.md").write_text(text, encoding="utf-8")
    (HERE / "live.svg").write_text(picture(found, answers), encoding="utf-8")


if __name__ == "__main__":
    main()
