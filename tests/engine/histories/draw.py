"""Histories drawn at random: the same seed gives the same history."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tests.engine.histories.enrich import enriched
from tests.engine.histories.model import NUMBER, Block, History, Round

_EACH = ('for_each = toset(["a"])', 'for_each = toset(["a", "b"])', 'for_each = toset(["b"])')
_COUNT = ("count = 0", "count = 1", "count = 2", "count = 3")


def history(seed: int, *, most: int = 30, extras: tuple[str, ...] = ()) -> History:
    """Return the history of a seed, its graphs of at most ``most`` blocks, with what comes on top.

    ``extras`` are names in ``enrich.EXTRAS``.
    """
    rng = Random(seed)  # noqa: S311 - a game, no secret
    size = rng.choice([1, 2, 3, 4, 5, 6, 8, 10, rng.randint(1, most)])
    calm = rng.random() < 0.4
    first = _first(rng, min(size, most))
    rounds = [first]
    for _ in range(rng.randint(1, 3)):
        rounds.append(_next(rng, rounds[-1]))
    stormy = [r if calm else _weather(rng, r, rounds[max(0, i - 1)]) for i, r in enumerate(rounds)]
    last = replace(rounds[-1], moved=(), removed=())
    return enriched(History((*stormy, last)), seed, extras)


def _first(rng: Random, size: int) -> Round:
    empty = Round((), module=rng.choice(["", "", "once", *_COUNT[1:3], *_EACH[:2]]))
    round_ = replace(empty, files={"d.txt": _lines(rng), "e.txt": _lines(rng)})
    for i in range(size):
        round_ = _grown(rng, round_, f"n{i}")
    return _taken(rng, round_)


def _lines(rng: Random) -> tuple[str, ...]:
    return tuple(str(rng.randint(0, 2)) for _ in range(rng.randint(1, 4)))


def _taken(rng: Random, round_: Round) -> Round:
    outside = [b.name for b in round_.blocks if not b.inside and b.kind in NUMBER]
    used = {n for b in round_.blocks if b.inside for n in b.names}
    # What uses the module must not be taken into it.
    users = _downstream({"m"}, round_)
    free = [n for n in outside if n not in users and n not in used]
    return replace(round_, taken=tuple(rng.sample(free, min(len(free), rng.randint(0, 2)))))


def _downstream(names: set[str], round_: Round) -> set[str]:
    found = set(names)
    while more := {b.name for b in round_.blocks if found & {*b.names}} - found:
        found |= more
    return found


def _grown(rng: Random, round_: Round, name: str) -> Round:
    """Add a block that may use all before it."""
    inside = "m" if round_.module and rng.random() < 0.25 else ""
    peers = [b for b in round_.blocks if b.inside == inside]
    single = [b.name for b in peers if b.kind in NUMBER and not b.repeat and not b.later]
    jobs = [n for n in single if any(b.name == n and b.kind == "training_job" for b in peers)]
    tables = [b.name for b in peers if b.kind in {"dataset", "feature_view"}]
    datasets = [b.name for b in peers if b.kind == "dataset"]
    gates = [b.name for b in peers if b.kind == "gate"]
    kinds = ["job"] * 6 + ["dataset"] * 2
    kinds += ["gate", "service"] * bool(single) + ["view"] * 2 * bool(datasets)
    kinds += ["channel", "beats"] * bool(jobs)
    match rng.choice(kinds):
        case "dataset":
            path = f'"{rng.choice("de")}.txt"'
            block = Block("dataset", "lines", name, inside, values={"path": path})
        case "view":
            block = Block(
                "feature_view",
                "sum",
                name,
                inside,
                values={"transform": '"steps.py:build"'},
                of=rng.choice(datasets),
            )
        case "gate":
            values = {"most": str(rng.randint(0, 2))}
            block = Block("gate", "most", name, inside, values=values, uses=(rng.choice(single),))
        case "beats":
            return _promotion(round_, name, inside, rng.choice(jobs))
        case "service":
            some = tuple(rng.sample(gates, min(len(gates), rng.randint(0, 2))))
            block = Block(
                "deployment", "file", name, inside, uses=(rng.choice(single),), gates=some
            )
        case "channel":
            some = tuple(rng.sample(gates, min(len(gates), rng.randint(0, 2))))
            block = Block("model", "channel", name, inside, of=rng.choice(jobs), gates=some)
        case _:
            block = _job(rng, round_, name, inside, single, tables)
    block = replace(block, life=_life(rng))
    one = [b.name for b in peers if not b.repeat and not b.later]
    if one and rng.random() < 0.07:
        block = replace(block, trigger=rng.choice(one))
    if peers and rng.random() < 0.1:
        block = replace(block, after=rng.choice(peers).name)
    return replace(round_, blocks=(*round_.blocks, block))


def _promotion(round_: Round, name: str, inside: str, job: str) -> Round:
    """Add a gate that compares with the champion, and the model whose champion that is."""
    champion = f"n{int(name[1:]) + 1000}"
    gate = Block("gate", "beats", name, inside, of=job, prior=champion)
    model = Block("model", "channel", champion, inside, of=job, gates=(name,))
    blocks = (*round_.blocks, gate, model)
    return replace(round_, blocks=blocks)


def _job(
    rng: Random, round_: Round, name: str, inside: str, single: list[str], tables: list[str]
) -> Block:
    peers = [b for b in round_.blocks if b.inside == inside and b.kind in NUMBER]
    uses = [b.name for b in rng.sample(peers, min(len(peers), rng.choice([0, 1, 1, 2, 3])))]
    if round_.module and not inside and rng.random() < 0.2:
        uses.append("m")
    block = Block("training_job", rng.choice(["node", "odd", "odd"]), name, inside)
    block = replace(block, values={"value": str(rng.randint(0, 3))}, uses=tuple(uses))
    if block.type == "odd" and tables and rng.random() < 0.4:
        block = replace(block, of=rng.choice(tables))
    if block.type == "odd" and rng.random() < 0.2:
        block = replace(block, values={**block.values, "packages": '["toy-package"]'})
    chance = rng.random()
    if chance < 0.1:
        return replace(block, repeat=rng.choice(_COUNT))
    if chance < 0.2:
        return replace(block, repeat=rng.choice(_EACH))
    if chance < 0.27 and single:
        return replace(block, later=rng.choice(single))
    return block


def _life(rng: Random) -> tuple[str, ...]:
    found = []
    if rng.random() < 0.1:
        found.append("create_before_destroy = true")
    if rng.random() < 0.05:
        found.append('precondition {\n condition = 1 + 1 == 2\n error_message = "never"\n }')
    return tuple(found)


def _next(rng: Random, before: Round) -> Round:
    """Return a round with a few things changed."""
    round_ = replace(before, moved=(), removed=())
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        change = rng.choice(_CHANGES)
        round_ = change(rng, round_)
    return round_


def _argument(rng: Random, round_: Round) -> Round:
    if not round_.blocks:
        return round_
    block = rng.choice(round_.blocks)
    values = dict(block.values)
    choices = {
        "training_job": {
            "value": str(rng.randint(0, 3)),
            "size": str(rng.randint(1, 2)),
            "note": f'"{rng.randint(0, 1)}"',
            "where": f'"{rng.choice(["here", "there"])}"',
        },
        "dataset": {
            "path": values.get("path", "").replace("d.txt", "e.txt"),
            "least": str(rng.randint(0, 4)),
            "owner": f'"{rng.randint(0, 1)}"',
        },
        "gate": {"most": str(rng.randint(0, 2))}
        if block.type == "most"
        else {"gain": str(rng.randint(0, 1))},
        "deployment": {
            "size": str(rng.randint(1, 2)),
            "where": f'"{rng.choice(["here", "there"])}"',
        },
        "model": {"owner": f'"{rng.randint(0, 1)}"'},
        "feature_view": {},
    }[block.kind]
    if not choices:
        return round_
    name = rng.choice(sorted(choices))
    return _with(round_, block, replace(block, values={**values, name: choices[name]}))


def _with(round_: Round, old: Block, new: Block) -> Round:
    return replace(round_, blocks=tuple(new if b is old else b for b in round_.blocks))


def _type(rng: Random, round_: Round) -> Round:
    jobs = [b for b in round_.blocks if b.kind == "training_job" and b.type == "odd" and not b.of]
    if not jobs:
        return round_
    block = rng.choice(jobs)
    values = {n: v for n, v in block.values.items() if n != "packages"}
    return _with(round_, block, replace(block, type="node", values=values))


def _repetition(rng: Random, round_: Round) -> Round:
    single = {n for b in round_.blocks for n in b.names if b.kind != "training_job" or b.of == n}
    single |= {b.later for b in round_.blocks} | {b.prior for b in round_.blocks}
    single |= {b.trigger for b in round_.blocks}
    free = [b for b in round_.blocks if b.kind == "training_job" and b.name not in single]
    if not free:
        return round_
    block = rng.choice(free)
    repeat = rng.choice(["", *_COUNT, *_EACH])
    return _with(round_, block, replace(block, repeat=repeat, later=""))


def _more(rng: Random, round_: Round) -> Round:
    number = 1 + max((int(b.name[1:]) % 1000 for b in round_.blocks), default=-1)
    return _grown(rng, round_, f"n{number}")


def _less(rng: Random, round_: Round) -> Round:
    used = {n for b in round_.blocks for n in b.names} | {b.prior for b in round_.blocks}
    used |= {*round_.taken}
    free = [b for b in round_.blocks if b.name not in used]
    if not free:
        return round_
    block = rng.choice(free)
    kept = replace(round_, blocks=tuple(b for b in round_.blocks if b is not block))
    if rng.random() < 0.3 and not block.inside:
        return replace(kept, removed=(*kept.removed, f"{block.kind}.{block.name}"))
    return kept


def _renamed(rng: Random, round_: Round) -> Round:
    free = [b for b in round_.blocks if not b.inside]
    if not free:
        return round_
    block = rng.choice(free)
    number = 1 + max(int(b.name[1:]) % 1000 for b in round_.blocks)
    fresh = f"n{number}"

    def other(name: str) -> str:
        return fresh if name == block.name else name

    blocks = tuple(
        replace(
            b,
            name=other(b.name),
            uses=tuple(map(other, b.uses)),
            gates=tuple(map(other, b.gates)),
            of=other(b.of),
            later=other(b.later),
            prior=other(b.prior),
            after=other(b.after),
            trigger=other(b.trigger),
        )
        for b in round_.blocks
    )
    moved = (*round_.moved, (f"{block.kind}.{block.name}", f"{block.kind}.{fresh}"))
    if any(block.name in a for a, _ in round_.moved):
        return round_
    return replace(round_, blocks=blocks, taken=tuple(map(other, round_.taken)), moved=moved)


def _data(rng: Random, round_: Round) -> Round:
    name = rng.choice(sorted(round_.files))
    return replace(round_, files={**round_.files, name: _lines(rng)})


def _code(rng: Random, round_: Round) -> Round:
    return replace(round_, code=(rng.randint(0, 2), rng.randint(0, 1)))


def _package(rng: Random, round_: Round) -> Round:
    return replace(round_, package=rng.randint(1, 3))


def _modules(rng: Random, round_: Round) -> Round:
    if not round_.module:
        return round_
    return replace(round_, module=rng.choice(["once", *_COUNT, *_EACH]))


def _life_of_one(rng: Random, round_: Round) -> Round:
    if not round_.blocks:
        return round_
    block = rng.choice(round_.blocks)
    line = rng.choice(["ignore_changes = all", "create_before_destroy = true", ""])
    return _with(round_, block, replace(block, life=(line,) if line else ()))


def _use(rng: Random, round_: Round) -> Round:
    """Let a job use one less."""
    jobs = [b for b in round_.blocks if b.kind == "training_job" and b.uses]
    if not jobs:
        return round_
    block = rng.choice(jobs)
    gone = rng.choice(block.uses)
    return _with(round_, block, replace(block, uses=tuple(u for u in block.uses if u != gone)))


_CHANGES = (
    [_argument] * 6
    + [_data] * 3
    + [_code] * 2
    + [_more] * 2
    + [_less] * 2
    + [_renamed, _repetition, _type, _package, _modules, _use, _life_of_one]
)


def _weather(rng: Random, round_: Round, before: Round) -> Round:
    """Let something befall a round."""
    names = sorted({b.name for b in round_.blocks})
    # Replacing a model loses its champion: what was judged against it must be judged anew after.
    known = sorted({b.name for b in before.blocks if b.kind != "model"} & set(names))
    if not names:
        return round_
    some = tuple(n for n in names if rng.random() < 0.2)
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        name, drift = rng.choice(names), rng.choice(["edit", "lose", "rot", "rot"])
        old = rng.choice(known) if known else ""
        befalls = {
            "noise": {"noise": rng.randint(1, 3)},
            "fail": {"fail": some},
            "lost": {"lost": some},
            "stop": {"stop": name},
            "kill": {"kill": rng.randint(1, 2 * (2 + 3 * len(names)))},
            "target": {"target": name},
            "exclude": {"exclude": name},
            "replace": {"replace": old},
            "taint": {"taint": old},
            "drift": {"drift": (*round_.drift, drift)},
            "saved": {"saved": True},
            "parallel": {"parallelism": 3},
            "stale": {"refresh": False},
        }
        changes: Any = befalls[rng.choice(_BEFALLS)]
        round_ = replace(round_, **changes)
    return round_


_BEFALLS = (
    *("noise", "noise", "fail", "fail", "lost", "stop", "kill", "kill", "target", "exclude"),
    *("replace", "taint", "drift", "drift", "saved", "parallel", "stale"),
)
