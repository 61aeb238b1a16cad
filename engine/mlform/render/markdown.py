"""A plan as Markdown, for the description or a comment of a pull request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from mlform.plan import Action, Estimate, Plan, Step
from mlform.render.consequences import consequences, counted
from mlform.render.plan import header
from mlform.render.purge import purge_lines
from mlform.render.reasons import reasons
from mlform.render.signs import ORDER
from mlform.render.times import lasting, totals
from mlform.render.values import value

LIMIT: Final = 60_000
"""Characters at most: hosts refuse comments of more than 65,536."""
_FEW: Final = 25
"""More steps than this are folded away by action, those that take something down excepted."""
_SEEN: Final = frozenset({Action.REPLACE, Action.DESTROY, Action.FORGET, Action.HELD})
_MENTION: Final = re.compile(r"@(?=\w)")


def plan(it: Plan, parallelism: int = 2) -> str:
    """Show what would be done as tables, with what is long folded away, short enough to post."""
    shown = [s for s in it.steps if s.action is not Action.NO_OP]
    before = {str(s.address): s.estimate for s in it.steps if s.estimate is not None}
    first = [_headline(it)]
    first += ["<br>".join(map(cell, totals(it, parallelism)))] if it.changes else []
    last = [*_beside(it), f"<sub>{header(it)}</sub>"]
    room = LIMIT - sum(len(p) + 2 for p in [*first, *last])
    middle: list[str] = []
    for part in [*_tables(shown, before), *_details(shown)]:
        if len(part) + 2 > room:
            part = _cut(part, room)  # noqa: PLW2901 - the rest of it is left out
        room -= len(part) + 2
        middle += [part] if part else []
    return "\n\n".join([*first, *middle, *last]) + "\n"


def _beside(it: Plan) -> list[str]:
    """Return what is told after the steps."""
    parts = []
    if it.deferred:
        rows = (f"- {code(a)} until {', '.join(w)} is applied" for a, w in it.deferred.items())
        parts.append("**Deferred**\n\n" + "\n".join(rows))
    if it.imports:
        rows = (f"- {code(s.address)} from {code(s.imported.id)}" for s in it.imports if s.imported)
        parts.append("**Imported**\n\n" + "\n".join(rows))
    if it.moves:
        rows = (f"- {code(before)} is {code(after)} now" for before, after in it.moves.items())
        parts.append("**Moved**\n\n" + "\n".join(rows))
    if it.adoptions:
        rows = (f"- `{s.address}`: {'; '.join(reasons(s.reasons))}" for s in it.adoptions)
        parts.append("**Adopted as found**\n\n" + "\n".join(rows))
    parts += [f"> {line}" for line in consequences(it)]
    if it.notes:
        parts.append("\n".join(f"> {code(n.address)}: {cell(n.text)}" for n in it.notes))
    return parts


def _headline(it: Plan) -> str:
    counts = Counter(s.action for s in it.steps)
    listed = ", ".join(f"{counts[a]} {a.value}" for a in ORDER if counts[a])
    if it.empty and not listed:
        return "### Plan: no changes\n\nEverything declared is applied and up to date."
    listed = counted(it, listed)
    unchanged = sum(1 for s in it.steps if s.action is Action.NO_OP and not s.imported)
    only = "outputs only" if it.output_changes else "moves only"
    return f"### Plan: {listed or only}; {unchanged} unchanged"


def _tables(steps: Sequence[Step], before: Mapping[str, Estimate]) -> list[str]:
    """Return one table, or where there are many steps one for each action."""
    if not steps:
        return []
    if len(steps) <= _FEW:
        return [_table(steps, before)]
    tables = []
    for action in sorted({s.action for s in steps}, key=lambda a: (a not in _SEEN, ORDER.index(a))):
        chosen = [s for s in steps if s.action is action]
        table = _table(chosen, before)
        said = f"{len(chosen)} {action.value}"
        if action in _SEEN:
            tables.append(f"**{said}**\n\n{table}")
        else:
            tables.append(f"<details><summary>{said}</summary>\n\n{table}\n\n</details>")
    return tables


def _table(steps: Iterable[Step], before: Mapping[str, Estimate]) -> str:
    rows = ["| resource | action | why | time |", "|---|---|---|---|"]
    for step in steps:
        why = "<br>".join(cell(line) for line in _why(step, before))
        rows.append(f"| {code(step.address)} | {step.action.value} | {why} | {lasting(step)} |")
    return "\n".join(rows)


def _why(step: Step, before: Mapping[str, Estimate]) -> Iterator[str]:
    yield from reasons(step.reasons, before)
    yield from purge_lines(step)


def _details(steps: Sequence[Step]) -> list[str]:
    new = [s for s in steps if any(r.what == "new" for r in s.reasons)]
    if not new:
        return []
    blocks = []
    for step in new:
        lines = [f"  {name} = {value(step.arguments[name])}" for name in step.at]
        blocks.append("\n".join([f"{step.address}", *lines]))
    text = "\n\n".join(blocks)
    fence = "`" * max(3, _longest(text) + 1)
    return [f"<details><summary>Arguments</summary>\n\n{fence}\n{text}\n{fence}\n\n</details>"]


def _cut(part: str, room: int) -> str:
    """Return as many whole lines of a part as there is room for, and say that there were more."""
    end = "\n\n</details>" if part.endswith("</details>") else ""
    lines = part.removesuffix(end).split("\n")
    if lines[-1].startswith("```"):
        end = f"\n{lines.pop()}{end}"
    said = "\n\n… and {} more lines: see `mlform show -html`, `mlform show`."
    room -= len(end) + len(said) + 10
    kept = 0
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept += 1
    if kept < 6:
        return ""
    return "\n".join(lines[:kept]) + end + said.format(len(lines) - kept)


def code(text: object) -> str:
    """Return an address or the like as code, also within a table."""
    plain = str(text).replace("|", "\\|")
    fence = "`" * (_longest(plain) + 1)
    return f"{fence}{plain}{fence}" if "`" not in plain else f"{fence} {plain} {fence}"


def cell(text: str) -> str:
    """Return text that ends no cell, starts no markup and calls nobody."""
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    plain = plain.replace("&", "&amp;").replace("<", "&lt;")
    plain = re.sub(r"([*_`\[\]])", r"\\\1", plain)
    return _MENTION.sub("@\u200b", plain)


def _longest(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
