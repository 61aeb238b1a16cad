"""Making a history that breaks something smaller, as long as it still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from tests.engine.histories.model import History, Round, module, spec

_PLAIN = {f.name: f.default for f in fields(Round) if f.name not in {"blocks", "files"}}


def shrunk(history: History, breaks: Callable[[History], bool], most: int = 400) -> History:
    """Return the smallest history found in at most so many trials."""
    left = most
    again = True
    while again:
        again = False
        for smaller in _smaller(history):
            left -= 1
            if left < 0:
                return history
            if breaks(smaller):
                history, again = smaller, True
                break
    return history


def _smaller(history: History) -> Iterator[History]:
    rounds = history.rounds
    for i in range(len(rounds) if len(rounds) > 1 else 0):
        yield History(rounds[:i] + rounds[i + 1 :])
    for name in sorted({b.name for r in rounds for b in r.blocks}):
        if all(_free(r, name) for r in rounds):
            yield History(tuple(_without(r, name) for r in rounds))
    for i, round_ in enumerate(rounds):
        for name, plain in _PLAIN.items():
            if getattr(round_, name) != plain and not (name == "module" and _inside(round_)):
                change: dict[str, Any] = {name: plain}
                yield _with(history, i, replace(round_, **change))
    for name in sorted({b.name for r in rounds for b in r.blocks}):
        for part in ("life", "trigger", "after", "repeat", "gates", "uses", "of"):
            yield History(tuple(_plainer(r, name, part) for r in rounds))


def _inside(round_: Round) -> bool:
    return bool(round_.taken) or any(b.inside or "m" in b.uses for b in round_.blocks)


def _free(round_: Round, name: str) -> bool:
    used = {n for b in round_.blocks for n in (*b.names, b.prior)}
    return name not in used and name not in round_.taken


def _without(round_: Round, name: str) -> Round:
    moved = tuple((a, b) for a, b in round_.moved if name not in {a.split(".")[1], b.split(".")[1]})
    blocks = tuple(b for b in round_.blocks if b.name != name)
    return replace(round_, blocks=blocks, moved=moved)


def _with(history: History, at: int, round_: Round) -> History:
    return History((*history.rounds[:at], round_, *history.rounds[at + 1 :]))


def _plainer(round_: Round, name: str, part: str) -> Round:
    needed = {"feature_view", "model"} if part == "of" else {"gate", "deployment"}
    empty: dict[str, Any] = {part: type(getattr(round_.blocks[0], part))()} if round_.blocks else {}
    blocks = tuple(
        replace(b, **empty)
        if b.name == name and not (b.kind in needed and part in {"of", "uses"})
        else b
        for b in round_.blocks
    )
    return replace(round_, blocks=blocks)


def shown(history: History) -> str:
    """Write a history for people."""
    said = []
    for at, round_ in enumerate(history.rounds):
        about = {n: v for n, v in vars(round_).items() if n != "blocks" and v != _PLAIN.get(n)}
        said.append(f"=== round {at}: {about}\n{spec(round_)}")
        if round_.module:
            said.append(f"--- module\n{module(round_)}")
    return "\n".join(said)
