"""Toy types for histories: sources, user code, packages, results that differ from run to run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from tests.engine.world import NodeArguments, Toy

from mlform.sdk import (
    AnyResource,
    Arguments,
    Artifact,
    Attributes,
    Baseline,
    Carrier,
    Code,
    Context,
    Decision,
    Facets,
    Handle,
    Held,
    Inputs,
    Metadata,
    Operational,
    Resource,
    ResourceError,
    Stored,
    Volatile,
    code,
)
from mlform.values import digest

LUCK = "luck.json"
"""What no key knows of, in the folder of the spec: ``{"noise": …}``."""


def noise_of(address: str, root: Path) -> int:
    """Return 0 in calm weather, else a number that no key accounts for."""
    try:
        noise = json.loads((root / LUCK).read_text())["noise"]
    except FileNotFoundError:
        return 0
    return (int(noise) * 7 + sum(map(ord, address))) % 3 if noise else 0


class LinesArguments(Arguments):
    path: str
    least: Decision[int] = 0
    version: Metadata[dict[str, str]] = {}
    owner: Metadata[str] = ""


class LinesAttributes(Attributes):
    rows: int
    content: Artifact
    enough: bool


class Lines(Resource[LinesArguments, LinesAttributes], kind="dataset", type="lines", reusable=True):
    """The lines of a file, each a part of its own."""

    def inputs(self, ctx: Any, new: LinesArguments) -> Inputs:
        try:
            lines = (ctx.root / new.path).read_text().splitlines()
        except FileNotFoundError:
            raise ResourceError("No such file", f"{new.path} is gone.", argument="path") from None
        return Inputs({f"{i}": line for i, line in enumerate(lines)}, len(lines))

    def apply(
        self, ctx: Context, new: LinesArguments, old: Stored[LinesArguments, LinesAttributes] | None
    ) -> LinesAttributes:
        lines = [ctx.inputs.parts[k] for k in sorted(ctx.inputs.parts, key=int)]
        content = ctx.artifacts.put_bytes("\n".join(lines).encode())
        return LinesAttributes(rows=len(lines), content=content, enough=len(lines) >= new.least)


class SumArguments(Arguments):
    source: Handle
    transform: Code


class SumAttributes(Attributes):
    total: int
    table: Artifact


class Sum(Resource[SumArguments, SumAttributes], kind="feature_view", type="sum", reusable=True):
    """What user code makes of the number of rows."""

    def apply(
        self, ctx: Context, new: SumArguments, old: Stored[SumArguments, SumAttributes] | None
    ) -> SumAttributes:
        total = int(code.load(ctx.root, new.transform)(new.source.attributes["rows"]))
        return SumAttributes(total=total, table=ctx.artifacts.put_bytes(f"sum {total}".encode()))


class GridArguments(Arguments):
    path: str
    version: Metadata[dict[str, str]] = {}


class GridAttributes(Attributes):
    rows: Volatile[int]
    facets: Facets
    cells: Carrier[dict[str, list[int]]]


class Grid(Resource[GridArguments, GridAttributes], kind="dataset", type="grid", reusable=True):
    """The lines of a file in two facets: those at even and those at odd places."""

    def inputs(self, ctx: Any, new: GridArguments) -> Inputs:
        return Lines().inputs(ctx, LinesArguments(path=new.path))

    def apply(
        self, ctx: Context, new: GridArguments, old: Stored[GridArguments, GridAttributes] | None
    ) -> GridAttributes:
        parts = ctx.inputs.parts
        cells: dict[str, list[int]] = {"even": [], "odd": []}
        for place in sorted(parts, key=int):
            cells["odd" if int(place) % 2 else "even"].append(int(parts[place]))
        digests = {"all": {name: digest(numbers) for name, numbers in cells.items()}}
        return GridAttributes(rows=len(parts), facets=Facets.of(digests), cells=cells)


class HalfArguments(Arguments):
    source: Handle
    take: list[str]


class HalfAttributes(Attributes):
    total: int


class Half(
    Resource[HalfArguments, HalfAttributes], kind="feature_view", type="half", reusable=True
):
    """The sum of some facets."""

    def uses(self, new: HalfArguments) -> Mapping[str, Collection[str]]:
        return {new.source.address: new.take}

    def apply(
        self, ctx: Context, new: HalfArguments, old: Stored[HalfArguments, HalfAttributes] | None
    ) -> HalfAttributes:
        cells = new.source.attributes["cells"]
        return HalfAttributes(total=sum(n for name in new.take for n in cells[name]))


class OddArguments(NodeArguments):
    data: Handle | None = None
    packages: Operational[list[str]] = []
    wide: Operational[int] = 1
    lose: Operational[bool] = False
    """Whether it names an artifact that it never put into the store."""
    lax: Operational[bool] = False
    """Whether it computes anew where it should only update."""


class OddAttributes(Attributes):
    parity: int
    thing: Artifact
    noise: Volatile[int] = 0


class Odd(Resource[OddArguments, OddAttributes], kind="training_job", type="odd", reusable=True):
    """As ``node``; but two runs of one key may give two results."""

    def distributions(self, new: OddArguments) -> Sequence[str]:
        return new.packages

    def apply(
        self, ctx: Context, new: OddArguments, old: Stored[OddArguments, OddAttributes] | None
    ) -> OddAttributes:
        if ctx.doing == "update" and old is not None and not new.lax:
            return old.attributes
        noise = noise_of(ctx.address, ctx.root)
        parity = (new.value + sum(new.uses) + noise) % 2
        seen = new.data.digest[7:9] if new.data else ""
        thing = ctx.artifacts.put_bytes(f"parity {parity} {noise} {seen}".encode())
        if new.lose:
            thing = Artifact(digest=f"sha256:{'0' * 64}", size=0)
        return OddAttributes(parity=parity, thing=thing, noise=noise)


class BeatsArguments(Arguments):
    candidate: Handle
    baseline: Baseline[Handle | None] = None
    gain: Decision[int] = 1


class BeatsAttributes(Attributes):
    passed: bool


class Beats(Resource[BeatsArguments, BeatsAttributes], kind="gate", type="beats", reusable=True):
    """Passes what has no smaller a digest than what was there before."""

    def apply(
        self, ctx: Context, new: BeatsArguments, old: Stored[BeatsArguments, BeatsAttributes] | None
    ) -> BeatsAttributes:
        before = new.baseline.digest if new.baseline else ""
        return BeatsAttributes(passed=new.gain == 0 or new.candidate.digest >= before)


class ChannelArguments(Arguments):
    candidate: Handle
    gates: list[Handle] = Field(default_factory=list)
    owner: Metadata[str] = ""


class ChannelAttributes(Attributes):
    candidate: Artifact
    champion: Artifact | None
    held: Held[tuple[str, ...]] = ()


class Channel(
    Resource[ChannelArguments, ChannelAttributes], kind="model", type="channel", weighs_gates=True
):
    """A champion that moves to a candidate when all gates pass."""

    def predict(
        self, new: ChannelArguments, old: Stored[ChannelArguments, ChannelAttributes] | None
    ) -> Mapping[str, Any]:
        known = new.candidate.artifact
        return {} if known is None else {"candidate": known.model_dump(mode="json")}

    def apply(
        self,
        ctx: Context,
        new: ChannelArguments,
        old: Stored[ChannelArguments, ChannelAttributes] | None,
    ) -> ChannelAttributes:
        failed = [f"{g.address} did not pass" for g in new.gates if not g.attributes["passed"]]
        before = None if old is None else old.attributes.champion
        champion = before if failed else _artifact(new)
        return ChannelAttributes(candidate=_artifact(new), champion=champion, held=tuple(failed))


def _artifact(new: ChannelArguments) -> Artifact:
    return new.candidate.artifact or Artifact(digest=new.candidate.digest, size=0)


class Strange(Toy):
    def resources(self) -> Sequence[AnyResource]:
        return [*super().resources(), Lines(), Grid(), Sum(), Half(), Odd(), Beats(), Channel()]
