"""A provider of things out there: a world that tests look into, change, and have fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.world import World as Base

from mlform.diagnostics import DiagnosedError
from mlform.sdk import (
    Actual,
    AnyResource,
    Arguments,
    Attributes,
    Context,
    Identity,
    Looking,
    Managed,
    Operational,
    Provider,
    ProviderDefault,
    Resource,
    ResourceError,
    Stable,
    Stored,
    Unordered,
    WriteOnly,
)

TARGET = "tests.engine.lab:Lab"


@dataclass
class Outside:
    """What exists, what was called, and which calls fail (``"create a"``)."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    made: dict[str, int] = field(default_factory=dict)

    def call(self, what: str, name: str) -> None:
        """Note a call; fail it if it is to."""
        self.calls.append(f"{what} {name}")
        if f"{what} {name}" in self.failing:
            raise ResourceError("Told to fail", f"{what} {name}")


OUTSIDE = Outside()


class ThingArguments(Arguments):
    value: Operational[str | None] = None
    key: Identity[str | None] = None
    labels: Operational[Unordered[list[str]]] = []
    size: Operational[ProviderDefault[str | None]] = None
    token: WriteOnly[str] = ""
    token_version: Operational[int] = 0


class ThingAttributes(Attributes):
    id: Stable[str]
    value: Actual[str | None]
    key: Actual[str | None]
    size: Actual[str]
    echo: str
    status: Managed[str] = "new"


class Thing(Resource[ThingArguments, ThingAttributes], kind="dataset", type="thing"):
    """A thing with an id, made once and changed in place unless its key changes."""

    def predict(
        self, new: ThingArguments, old: Stored[ThingArguments, ThingAttributes] | None
    ) -> Mapping[str, Any]:
        if old is not None and old.attributes.value == new.value:
            return {"echo": old.attributes.echo}
        return {}

    def read(
        self, ctx: Looking, old: Stored[ThingArguments, ThingAttributes]
    ) -> ThingAttributes | None:
        OUTSIDE.call("read", ctx.address.partition(".")[2])
        found = OUTSIDE.things.get(old.attributes.id)
        return None if found is None else ThingAttributes(**found)

    def apply(
        self,
        ctx: Context,
        new: ThingArguments,
        old: Stored[ThingArguments, ThingAttributes] | None,
    ) -> ThingAttributes:
        name = ctx.address.partition(".")[2]
        if old is None:
            OUTSIDE.call("create", name)
            OUTSIDE.made[name] = OUTSIDE.made.get(name, 0) + 1
            known = {"id": f"{name}-{OUTSIDE.made[name]}", "size": "auto", "status": "new"}
        else:
            OUTSIDE.call("update", name)
            known = old.attributes.model_dump()
        told = {"value": new.value, "key": new.key, "echo": f"echo {new.value} {new.token}".strip()}
        found = ThingAttributes.model_validate(
            known | told | ({"size": new.size} if new.size else {})
        )
        OUTSIDE.things[found.id] = found.model_dump()
        ctx.partial(found)
        if f"finish {name}" in OUTSIDE.failing:
            raise ResourceError("Told to fail", f"finish {name}")
        return found

    def destroy(self, ctx: Context, old: Stored[ThingArguments, ThingAttributes]) -> str:
        OUTSIDE.calls.append(f"delete {old.attributes.id}")
        if f"delete {old.attributes.id}" in OUTSIDE.failing:
            raise ResourceError("Told to fail", f"delete {old.attributes.id}")
        OUTSIDE.things.pop(old.attributes.id, None)
        return ""


class Lab(Provider):
    def resources(self) -> Sequence[AnyResource]:
        return [Thing()]


class World(Base):
    """A folder with a spec of things."""

    @classmethod
    def at(cls, root: Path) -> World:
        """Return a fresh one."""
        OUTSIDE.__init__()  # type: ignore[misc]
        return cls(root, targets={"lab": TARGET})

    def go(self, spec: str, **given: Any) -> list[str]:
        """Apply; return what the provider was called for, reading aside."""
        OUTSIDE.calls.clear()
        try:
            self.apply(spec, **given)
        except DiagnosedError as error:
            return [d.summary for d in error.diagnostics.errors]
        return [c for c in OUTSIDE.calls if not c.startswith("read")]
