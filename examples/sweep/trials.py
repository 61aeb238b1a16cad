"""Draw the trials of the last apply.

    python trials.py

Writes trials.svg: each trial with its folds, and who came out best.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BLUE, ORANGE, GREY, DIM, LINE = "#1f6fd1", "#c2641a", "#8a93a2", "#66707f", "#d5dae2"
WIDTH, TOP, STEP, LEFT, RIGHT = 720, 66, 24, 150, 90
TICK = 0.02


def sweep() -> dict[str, Any]:
    """Return what is recorded of the sweep."""
    program = str(Path(sys.executable).with_name("mlform"))
    said = subprocess.run(  # noqa: S603 - our own command
        [program, "state", "show", "-json", "training_job.works"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise SystemExit("Nothing was tried yet: run `mlform apply` first.")
    found: dict[str, Any] = json.loads(said.stdout)["attributes"]
    return found


def picture(found: dict[str, Any]) -> str:
    """Return each trial with its folds as a picture in SVG."""
    order = ("param.max_depth", "param.learning_rate")
    trials = sorted(found["trials"], key=lambda t: [t[name] for name in order])
    whole = [t for t in trials if t["state"] == "complete"]
    best = max(whole, key=lambda t: t["roc_auc"])
    every = [value for t in trials for value in t["folds"]]
    low, high = min(every) // TICK * TICK, (max(every) // TICK + 1) * TICK
    height, floor = TOP + STEP * len(trials) + 30, TOP + STEP * len(trials) - 8

    def across(auc: float) -> float:
        return LEFT + (auc - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    trained = found["receipt"]["sweep"]["folds_trained"]
    parts = [
        (
            f'<text x="20" y="20" font-size="13" fill="#1c2330">{len(trials)} trials, '
            f"{len(trials) - len(whole)} given up early; {trained} of {len(every)} folds were "
            "trained for it, the others taken again</text>"
        ),
        f'<text x="{LEFT}" y="46">AUC of each fold (dots) and their mean (bars)</text>',
    ]
    for number in range(round((high - low) / TICK) + 1):
        value = low + number * TICK
        x = across(value)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{floor}" stroke="{LINE}"/>'
            f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{value:.2f}</text>'
        )
    for number, trial in enumerate(trials):
        y, name = TOP + STEP * number, f"depth {trial[order[0]]}, rate {trial[order[1]]:g}"
        done = trial["state"] == "complete"
        colour = ORANGE if trial is best else BLUE if done else GREY
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{name}</text>')
        parts += [
            f'<circle cx="{across(fold):.1f}" cy="{y}" r="3.5" fill="{colour}" '
            f'fill-opacity="{0.55 if done else 0.9}"/>'
            for fold in trial["folds"]
        ]
        if done:
            x = across(trial["roc_auc"])
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="{colour}" '
                f'stroke-width="3"/>'
            )
        said = f"{trial['roc_auc']:.3f}" if done else "given up"
        parts.append(
            f'<text x="{WIDTH - RIGHT + 16}" y="{y + 4}" fill="{colour}" data-trial="{name}">'
            f"{said}</text>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="{DIM}">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Draw it."""
    (HERE / "trials.svg").write_text(picture(sweep()), encoding="utf-8")


if __name__ == "__main__":
    main()
