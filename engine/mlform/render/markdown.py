"""A plan as Markdown, for the description or a comment of a pull request."""

from __future__ import annotations

from collections import Counter

from mlform.plan import Action, Plan, Step
from mlform.render.reasons import reasons
from mlform.render.times import lasting
from mlform.render.values import value
from mlform.values import short


def plan(it: Plan) -> str:
    """Show what would be done as one table, with the arguments folded away."""
    parts = [_headline(it)]
    shown = [s for s in it.steps if s.action is not Action.NO_OP]
    if shown:
        parts += [_table(shown), *_details(shown)]
    if it.deferred:
        rows = (f"- `{a}` until {', '.join(w)} is applied" for a, w in it.deferred.items())
        parts.append("**Deferred**\n\n" + "\n".join(rows))
    if it.imports:
        rows = (f"- `{s.address}` from `{s.imported.id}`" for s in it.imports if s.imported)
        parts.append("**Imported**\n\n" + "\n".join(rows))
    if it.moves:
        rows = (f"- `{before}` is `{after}` now" for before, after in it.moves.items())
        parts.append("**Moved**\n\n" + "\n".join(rows))
    if it.notes:
        parts.append("\n".join(f"> `{n.address}`: {n.text}" for n in it.notes))
    header = f"state serial {it.serial} · spec {short(it.spec)} · observations "
    header += f"{short(it.observations)} · lock {short(it.lock)}"
    header += f" · as of {it.as_of}" if it.as_of else ""
    return "\n\n".join([*parts, f"<sub>{header}</sub>"]) + "\n"


def _headline(it: Plan) -> str:
    counts = Counter(s.action for s in it.steps)
    listed = ", ".join(f"{n} {a.value}" for a, n in counts.items() if a is not Action.NO_OP)
    if it.empty and not listed:
        return "### Plan: no changes\n\nEverything declared is applied and up to date."
    if it.imports:
        listed = f"{len(it.imports)} to import, {listed or '0 actions'}"
    unchanged = sum(1 for s in it.steps if s.action is Action.NO_OP and not s.imported)
    only = "outputs only" if it.output_changes else "moves only"
    return f"### Plan: {listed or only}; {unchanged} unchanged"


def _table(steps: list[Step]) -> str:
    rows = ["| resource | action | why | time |", "|---|---|---|---|"]
    for step in steps:
        why = "<br>".join(_cell(line) for line in reasons(step.reasons))
        rows.append(f"| `{step.address}` | {step.action.value} | {why} | {lasting(step)} |")
    return "\n".join(rows)


def _details(steps: list[Step]) -> list[str]:
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


def _cell(text: str) -> str:
    """Return text that ends no cell and starts no markup."""
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return plain.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _longest(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
