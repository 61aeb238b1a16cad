"""What a run took, where most of it went, and what it was spared."""

from __future__ import annotations

from collections import Counter
from typing import Final

from mlform.apply import Outcome
from mlform.render.style import Styled
from mlform.render.values import seconds

_LISTED: Final = 8
_BAR: Final = 24
_WORTH_TELLING: Final = 1.0
_SPARED: Final = {
    "reuse": "reused",
    "cutoff": "left alone since nothing upstream came out different",
    "decide": "only judged anew",
}


def spent(it: Outcome) -> Styled:
    """Say what a run took, where most of it went, and what it was spared; nothing if at once."""
    said: Styled = []
    longest = sorted(it.spent.items(), key=lambda s: (-s[1], s[0]))
    work = sum(it.spent.values())
    if it.seconds >= _WORTH_TELLING and work:
        said.append(("", f"\nTook {seconds(it.seconds)}; {seconds(work)} of work:\n"))
        listed = [(str(a), s) for a, s in longest[:_LISTED] if s >= work / 200]
        if rest := [s for _, s in longest[len(listed) :]]:
            listed.append((f"{len(rest)} more" if listed else f"{len(rest)} steps", sum(rest)))
        width = max(len(name) for name, _ in listed)
        for name, count in listed:
            bar = "█" * round(_BAR * count / work) or "▏"
            said += [("", f"  {name:<{width}} {seconds(count):>10}  "), ("dim", f"{bar}\n")]
    if it.spared:
        causes = Counter(s.cause for s in it.spared)
        words = ", ".join(f"{n} {_SPARED[cause]}" for cause, n in sorted(causes.items()))
        saved = sum(s.seconds for s in it.spared)
        said += [("cyan", "Not computed: "), ("", f"{words}; {seconds(saved)} saved.\n")]
    return said
