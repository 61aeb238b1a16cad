"""A provider whose every effect outside is written down, so that those done twice show."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlform.failpoints import failpoint
from mlform.sdk import (
    AnyResource,
    Arguments,
    Artifact,
    Attributes,
    Context,
    Decision,
    Handle,
    Identity,
    Inputs,
    Metadata,
    Operational,
    Provider,
    Resource,
    Secret,
    Stored,
    Volatile,
)

TARGET = "tests.crash.provider:Noted"
EFFECTS = "effects"
OUTSIDE = "outside"


def note(root: Path, *what: str) -> None:
    """Write down an effect: one line, whole or not at all, whoever else writes."""
    failpoint("provider.before")
    line = json.dumps(what) + "\n"
    file = os.open(root / EFFECTS, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
    failpoint("provider.after")


class LinesArguments(Arguments):
    path: Identity[str]
    version: dict[str, str] = {}
    least: Decision[int] = 0


class LinesAttributes(Attributes):
    rows: int
    content: Artifact


class Lines(Resource[LinesArguments, LinesAttributes], kind="dataset", type="lines", reusable=True):
    """The lines of a file."""

    def inputs(self, ctx: Any, new: LinesArguments) -> Inputs:
        lines = (ctx.root / new.path).read_text().splitlines()
        return Inputs({f"{i}": line for i, line in enumerate(lines)}, len(lines))

    def apply(
        self, ctx: Context, new: LinesArguments, old: Stored[LinesArguments, LinesAttributes] | None
    ) -> LinesAttributes:
        note(ctx.root, "read", ctx.address)
        lines = [ctx.inputs.parts[k] for k in sorted(ctx.inputs.parts, key=int)]
        content = ctx.artifacts.put_bytes("\n".join(lines).encode())
        return LinesAttributes(rows=len(lines), content=content)


class StageArguments(Arguments):
    value: int = 0
    data: list[Handle] = []
    owner: Metadata[str] = ""


class StageAttributes(Attributes):
    total: int
    thing: Artifact
    seen: Volatile[str] = ""


class Stage(
    Resource[StageArguments, StageAttributes], kind="training_job", type="stage", reusable=True
):
    """Adds up; big enough for its artifact to be written in pieces."""

    def apply(
        self, ctx: Context, new: StageArguments, old: Stored[StageArguments, StageAttributes] | None
    ) -> StageAttributes:
        note(ctx.root, "run", ctx.address, str(new.value))
        total = new.value + sum(len(h.digest) for h in new.data)
        memo = ctx.memo({"total": total}, f"memo {total}".encode)
        thing = ctx.artifacts.put_bytes(f"total {total}\n".encode() * 20_000)
        return StageAttributes(total=total, thing=thing, seen=memo.digest)


class ThingArguments(Arguments):
    shows: int
    token: Secret[str] = ""
    where: Identity[str] = "here"
    size: Operational[int] = 1


class ThingAttributes(Attributes):
    id: Volatile[str]
    shown: int


class Thing(Resource[ThingArguments, ThingAttributes], kind="deployment", type="thing"):
    """A file outside under a name drawn by lot, which is told before the file is made."""

    def apply(
        self, ctx: Context, new: ThingArguments, old: Stored[ThingArguments, ThingAttributes] | None
    ) -> ThingAttributes:
        name = secrets.token_hex(4) if old is None else old.attributes.id
        made = ThingAttributes(id=name, shown=new.shows)
        if old is None:
            ctx.partial(made)
        note(ctx.root, "create" if old is None else "update", ctx.address)
        file = ctx.root / OUTSIDE / name
        file.parent.mkdir(exist_ok=True)
        fresh = file.with_name(f".{name}")
        fresh.write_text(json.dumps([ctx.address, new.where, new.size, new.shows]))
        fresh.replace(file)
        return made

    def read(
        self, ctx: Any, old: Stored[ThingArguments, ThingAttributes]
    ) -> ThingAttributes | None:
        file = ctx.root / OUTSIDE / old.attributes.id
        if not file.exists():
            return None
        return ThingAttributes(id=old.attributes.id, shown=json.loads(file.read_text())[3])

    def destroy(self, ctx: Context, old: Stored[ThingArguments, ThingAttributes]) -> str:
        note(ctx.root, "destroy", ctx.address)
        (ctx.root / OUTSIDE / old.attributes.id).unlink(missing_ok=True)
        return ""


class Noted(Provider):
    def resources(self) -> Sequence[AnyResource]:
        return [Lines(), Stage(), Thing()]
