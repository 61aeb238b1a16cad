"""What is drawn on top of a history: each from a seed of its own, so that histories stay as known.

A history of a seed without these is what it always was; ``EXTRAS`` has their names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from tests.engine.histories.model import Block, History, Round

GUARD = "prevent_destroy = true"
PINNED = '{ mode = "pin" }'


def enriched(history: History, seed: int, extras: tuple[str, ...]) -> History:
    """Return a history with more in it."""
    for name in extras:
        rng = Random(f"{name} {seed}")  # noqa: S311 - a game, no secret
        history = History(tuple(_EXTRAS[name](rng, list(history.rounds))))
    return history


def _some(rng: Random, rounds: list[Round], kinds: set[str]) -> list[str]:
    names = sorted({b.name for r in rounds for b in r.blocks if b.kind in kinds and not b.inside})
    return rng.sample(names, min(len(names), rng.randint(1, 3)))


def _changed(
    round_: Round, names: list[str], change: Callable[[Block], Block], kind: str = ""
) -> Round:
    """Change what is called so; of one kind only, where what it gets is for that kind.

    What is called so may be of another kind in another round.
    """
    chosen = (b.name in names and not b.inside and kind in ("", b.kind) for b in round_.blocks)
    blocks = tuple(change(b) if it else b for b, it in zip(round_.blocks, chosen, strict=True))
    return replace(round_, blocks=blocks)


def _with(block: Block, name: str, value: str) -> Block:
    return replace(block, values={**block.values, name: value})


def _protected(rng: Random, rounds: list[Round]) -> list[Round]:
    """Let a few things be protected, in some rounds."""
    names = _some(rng, rounds, {"training_job", "dataset", "deployment", "model"})
    found = []
    for round_ in rounds:
        chosen = [n for n in names if rng.random() < 0.6]
        found.append(_changed(round_, chosen, lambda b: replace(b, life=(*b.life, GUARD))))
    return found


def _secret(rng: Random, rounds: list[Round]) -> list[Round]:
    """Give a secret to some jobs, another one now and then."""
    names, found, secret = _some(rng, rounds, {"training_job"}), [], ""
    for round_ in rounds:
        if not secret or rng.random() < 0.4:
            secret = f"hush-{rng.randint(100_000, 999_999)}"
        told = _changed(round_, names, lambda b: _with(b, "token", "var.secret"), "training_job")
        used = any("token" in b.values for b in told.blocks)
        found.append(replace(told, secret=secret if used else ""))
    return found


def _pinned(rng: Random, rounds: list[Round]) -> list[Round]:
    """Pin some datasets, and move their pins in some rounds."""
    names, found = _some(rng, rounds, {"dataset"}), []
    for round_ in rounds:
        chosen = [n for n in names if rng.random() < 0.85]
        told = _changed(round_, chosen, lambda b: _with(b, "version", PINNED), "dataset")
        found.append(replace(told, update=rng.random() < 0.4))
    return found


def _imported(rng: Random, rounds: list[Round]) -> list[Round]:
    """Take over some services that exist, in the rounds that declare them."""
    names = _some(rng, rounds, {"deployment"})
    ids = {n: rng.randint(0, 2) for n in names}
    found = []
    for round_ in rounds:
        there = {b.name for b in round_.blocks if b.kind == "deployment" and not b.inside}
        taken = tuple((n, ids[n]) for n in names if n in there and rng.random() < 0.8)
        found.append(replace(round_, imports=taken))
    return found


def _faceted(rng: Random, rounds: list[Round]) -> list[Round]:
    """Add a dataset with facets and what takes one of them, or both, from some round on."""
    begins, taken = rng.randint(0, len(rounds) - 1), rng.choice(["even", "odd"])
    found = []
    for at, round_ in enumerate(rounds):
        if rng.random() < 0.2:
            taken = rng.choice(["even", "odd"])
        grid = Block("dataset", "grid", "f0", values={"path": '"d.txt"'})
        one = Block("feature_view", "half", "f1", values={"take": f'["{taken}"]'}, of="f0")
        both = Block("feature_view", "half", "f2", values={"take": '["even", "odd"]'}, of="f0")
        user = Block("training_job", "node", "f3", values={"value": "0"}, uses=("f1",))
        more = (grid, one, both, user) if at >= begins else ()
        found.append(replace(round_, blocks=(*round_.blocks, *more)))
    return found


def _standing(rng: Random, rounds: list[Round]) -> list[Round]:
    """Add a service that shows what another does, which comes and goes, and may be held."""
    found = []
    for round_ in rounds:
        judged = {"candidate": str(rng.randint(0, 2)), "most": "1"}
        gate = Block("gate", "most", "k2", values=judged)
        there, first = rng.random() < 0.6, ("create_before_destroy = true",)
        life = first if rng.random() < 0.5 else ()
        ground = Block(
            "deployment", "file", "k0", values={"shows": str(rng.randint(0, 2))}, life=life
        )
        shows = "deployment.k0.shown" if there else "3"
        user = Block("deployment", "file", "k1", values={"shows": shows}, gates=("k2",))
        more = (gate, ground, user) if there else (gate, user)
        again = "k0" if there and not round_.replace and rng.random() < 0.4 else round_.replace
        found.append(replace(round_, blocks=(*round_.blocks, *more), replace=again))
    return found


_RESTS = (
    "count = length({})",
    "for_each = {{ for k, j in {} : tostring(k) => j if j.parity == 0 }}",
    "for_each = toset([for k, j in {} : tostring(j.parity)])",
    "for_each = {{ for k, j in {} : tostring(k) => k }}",
)


def _resting(rng: Random, rounds: list[Round]) -> list[Round]:
    """Add jobs whose instances rest on those of another, which come, go and change.

    Those of the module may as well.
    """
    links = rng.randint(1, 3)
    bases = [rng.randint(0, at) for at in range(links)]
    forms = [rng.choice(_RESTS if base else (*_RESTS, "for_each = {}")) for base in bases]
    called, found = rng.choice([*_RESTS, "", ""]).format("training_job.r0"), []
    for round_ in rounds:
        keys = rng.sample("abc", rng.randint(0, 3))
        if rng.random() < 0.2:
            forms[rng.randrange(links)] = rng.choice(_RESTS)
        values = {"value": f'each.key == "{rng.choice("abc")}" ? 0 : 1'}
        first = f"for_each = toset({json.dumps(sorted(keys))})"
        off = rng.choice(["false", f'each.key != "{rng.choice("abc")}"'])
        life = (f"enabled = {off}",) if rng.random() < 0.25 else ()
        more = [Block("training_job", "node", "r0", repeat=first, values=values, life=life)]
        for at, (form, base) in enumerate(zip(forms, bases, strict=True), 1):
            values = {"value": str(rng.randint(0, 1))}
            repeat = form.format(f"training_job.r{base}")
            more.append(Block("training_job", "node", f"r{at}", repeat=repeat, values=values))
        module = called if called and round_.module else round_.module
        found.append(replace(round_, blocks=(*round_.blocks, *more), module=module))
    return found


_EXTRAS: Mapping[str, Callable[[Random, list[Round]], list[Round]]] = {
    "protect": _protected,
    "secret": _secret,
    "pin": _pinned,
    "import": _imported,
    "facet": _faceted,
    "stand": _standing,
    "rest": _resting,
}
EXTRAS = tuple(_EXTRAS)
