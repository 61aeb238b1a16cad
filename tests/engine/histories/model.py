"""A history as plain data: specs, what befalls them, what is asked for; and how it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NUMBER = {"training_job": "parity", "dataset": "rows", "feature_view": "total"}
"""The attribute of each kind that is a number others may use."""


@dataclass(frozen=True)
class Block:
    """One resource block. ``values`` are arguments as HCL, ``uses`` blocks whose numbers it takes.

    ``repeat`` is empty, ``count = …`` or ``for_each = …``; with ``later``, how many there are
    comes from the number of the block of that name.
    """

    kind: str
    type: str
    name: str
    inside: str = ""
    repeat: str = ""
    later: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    of: str = ""
    gates: tuple[str, ...] = ()
    prior: str = ""
    life: tuple[str, ...] = ()
    trigger: str = ""
    """``replace_triggered_by``."""
    after: str = ""
    """``depends_on``."""

    @property
    def names(self) -> Iterator[str]:
        """The blocks it refers to."""
        others = (self.of, self.later, self.after, self.trigger)
        yield from (n for n in (*self.uses, *self.gates, *others) if n)


@dataclass(frozen=True)
class Round:
    """One change of everything, and one apply. Names of files are of the spec's folder."""

    blocks: tuple[Block, ...]
    module: str = ""
    """How often the module is called: empty, or as ``repeat`` of a block."""
    taken: tuple[str, ...] = ()
    """What the module is given the numbers of."""
    moved: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    code: tuple[int, int] = (0, 0)
    """What the user's function adds, and the number in its comment."""
    package: int = 1
    noise: int = 0
    fail: tuple[str, ...] = ()
    """Blocks whose provider raises."""
    lost: tuple[str, ...] = ()
    """Blocks whose worker vanishes, its work done."""
    stop: str = ""
    """The block during which the user interrupts."""
    kill: int = 0
    """The write at which the process dies: before it if odd, after it if even; 0 for never."""
    target: str = ""
    exclude: str = ""
    replace: str = ""
    taint: str = ""
    drift: tuple[str, ...] = ()
    """``edit``, ``lose`` (a service), ``rot`` (an artifact)."""
    saved: bool = False
    secret: str = ""
    """What `var.secret` is worth, where anything takes it."""
    update: bool = False
    """Whether pins are moved before."""
    imports: tuple[tuple[str, int], ...] = ()
    """Services that exist, with the number each shows, to be taken over."""
    refresh: bool = True
    parallelism: int = 1


@dataclass(frozen=True)
class History:
    """What is applied, round by round. The last round is calm."""

    rounds: tuple[Round, ...]


def by_name(round_: Round) -> dict[str, Block]:
    """Return the blocks by name."""
    return {b.name: b for b in round_.blocks}


def write(round_: Round, folder: Path) -> None:
    """Write spec, module, data, code and luck."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.mlf.hcl").write_text(spec(round_))
    inner = folder / "m"
    if round_.module:
        inner.mkdir(exist_ok=True)
        (inner / "main.mlf.hcl").write_text(module(round_))
    for old in folder.glob("*.txt"):
        old.unlink()
    for name, lines in round_.files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    added, comment = round_.code
    (folder / "steps.py").write_text(f"# {comment}\ndef build(rows):\n    return rows + {added}\n")
    for name, shown in round_.imports:
        (folder / f"{name}.shown").write_text(str(shown))
    (folder / "luck.json").write_text(json.dumps({"noise": round_.noise}))


def spec(round_: Round) -> str:
    """Return the root module."""
    found = [_block(b, round_) for b in round_.blocks if not b.inside]
    if round_.module:
        x = _numbers(round_.taken, round_, "")
        repeat = f"  {round_.module}\n" if round_.module != "once" else ""
        found.append(f'module "m" {{\n  source = "./m"\n{repeat}  x = {x}\n}}\n')
    if round_.secret:
        found.append('variable "secret" {\n  sensitive = true\n}\n')
    found += [
        f'import {{\n  to = deployment.{name}\n  id = "{name}.shown"\n}}\n'
        for name, _ in round_.imports
    ]
    found += [f"moved {{\n  from = {a}\n  to   = {b}\n}}\n" for a, b in round_.moved]
    found += [
        f"removed {{\n  from = {a}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n"
        for a in round_.removed
    ]
    return "".join(found)


def module(round_: Round) -> str:
    """Return the called module."""
    inside = [b for b in round_.blocks if b.inside]
    numbers = _numbers([b.name for b in inside if b.kind in NUMBER], round_, "m")
    return (
        'variable "x" {\n  type = list(number)\n}\n'
        + "".join(_block(b, round_) for b in inside)
        + f'output "numbers" {{\n  value = {numbers}\n}}\n'
    )


def _block(block: Block, round_: Round) -> str:
    lines = [f'{block.kind} "{block.type}" "{block.name}" {{']
    if block.later:
        number = _number(by_name(round_)[block.later])
        lines.append(f"  count = {number} + 1")
    elif block.repeat:
        lines.append(f"  {block.repeat}")
    lines += [f"  {name} = {text}" for name, text in block.values.items()]
    lines += [f"  {line}" for line in _references(block, round_)]
    if block.after:
        lines.append(f"  depends_on = [{_name(by_name(round_)[block.after])}]")
    life = [f"    {line}" for line in block.life]
    if block.trigger:
        life.append(f"    replace_triggered_by = [{_name(by_name(round_)[block.trigger])}]")
    if life:
        lines += ["  lifecycle {", *life, "  }"]
    return "\n".join([*lines, "}\n"])


def _references(block: Block, round_: Round) -> Iterator[str]:
    blocks = by_name(round_)
    if block.kind == "training_job" and (block.uses or block.inside):
        yield f"uses = {_numbers(block.uses, round_, block.inside)}"
    elif block.uses:
        argument = "shows" if block.kind == "deployment" else "candidate"
        yield f"{argument} = {_number(blocks[block.uses[0]])}"
    if block.of:
        judged = block.kind in {"model", "gate"}
        argument = "candidate" if judged else "source" if block.kind == "feature_view" else "data"
        yield f"{argument} = {_name(blocks[block.of])}{'.thing' if judged else ''}"
    if block.gates:
        yield f"gates = [{', '.join(_name(blocks[g]) for g in block.gates)}]"
    if block.prior:
        yield f"baseline = prior.{_name(blocks[block.prior])}.champion"


def _name(block: Block) -> str:
    return f"{block.kind}.{block.name}"


def _number(block: Block) -> str:
    return f"{_name(block)}.{NUMBER[block.kind]}"


def _numbers(names: Sequence[str], round_: Round, inside: str) -> str:
    """Return the list of the numbers of blocks, of every instance of each."""
    blocks, found = by_name(round_), []
    for name in names:
        if name == "m":
            many = round_.module.split(" ")[0]
            each = {"count": "module.m[*]", "for_each": "values(module.m)[*]"}
            one = many == "once"
            found.append("module.m.numbers" if one else f"flatten({each[many]}.numbers)")
            continue
        block = blocks[name]
        each_of = f"{_name(block)}[*].{NUMBER[block.kind]}"
        if block.later or block.repeat.startswith("count"):
            found.append(each_of)
        elif block.repeat:
            found.append(f"values({_name(block)})[*].{NUMBER[block.kind]}")
        else:
            found.append(f"[{_number(block)}]")
    if inside:
        found.append("var.x")
    return f"concat({', '.join(found)})" if found else "[]"
