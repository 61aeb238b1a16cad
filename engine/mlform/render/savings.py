"""What was saved, as people and machines read it."""

from __future__ import annotations

from typing import Any, Final

from mlform.render.style import Styled
from mlform.render.values import seconds
from mlform.state.savings import Savings

_MEANINGS: Final = {
    "reuse": "the result had been made before",
    "cutoff": "what they take came out as it was",
    "decide": "judged anew from what was measured",
}
_MOST: Final = 3


def savings(it: Savings) -> Styled:
    """Say what was saved: the total, by cause, and where most of it was."""
    if not it.runs or it.first is None or it.last is None:
        return [("", "No run did anything yet, so nothing was saved.\n")]
    runs = "1 run" if it.runs == 1 else f"{it.runs} runs"
    days = f"{it.first:%Y-%m-%d} … {it.last:%Y-%m-%d}"
    said: Styled = [
        ("bold", f"Saved {seconds(it.total.seconds)} of computing"),
        ("", f" in {runs} ({days}), which took {seconds(it.worked)} of work.\n\n"),
    ]
    for cause, found in it.causes.items():
        steps = f"{_steps(found.steps):<11}"
        said += [
            ("cyan" if found.steps else "dim", f"  {cause:<7}"),
            ("", f"{seconds(found.seconds):>14}   {steps}"),
            ("dim", f"{_MEANINGS[cause]}\n"),
        ]
    most = [(a, s) for a, s in it.addresses.most_common(_MOST) if s]
    if most:
        named = ", ".join(f"{address} {seconds(count)}" for address, count in most)
        said.append(("", f"\nMost of it: {named}.\n"))
    if it.untouched.steps:
        text = (
            f"\nNot counted: {_steps(it.untouched.steps)} that the plans left alone, "
            f"{seconds(it.untouched.seconds)} had each run made everything anew.\n"
        )
        said.append(("dim", text))
    return said


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def savings_data(it: Savings) -> dict[str, Any]:
    """Return what was saved as plain data; times are in seconds."""
    return {
        "runs": it.runs,
        "first": None if it.first is None else it.first.isoformat(),
        "last": None if it.last is None else it.last.isoformat(),
        "worked": round(it.worked, 3),
        "saved": {"steps": it.total.steps, "seconds": round(it.total.seconds, 3)},
        "causes": {
            c: {"steps": s.steps, "seconds": round(s.seconds, 3)} for c, s in it.causes.items()
        },
        "addresses": {a: round(s, 3) for a, s in it.addresses.most_common()},
        "untouched": {"steps": it.untouched.steps, "seconds": round(it.untouched.seconds, 3)},
    }
