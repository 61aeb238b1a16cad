"""The engine's kinds, and the one it implements itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from mlform.sdk import Arguments, Attributes, Context, Metadata, Reference, Resource, Stored

KINDS: Final[Mapping[str, int]] = {
    "dataset": 2,
    "feature_view": 2,
    "training_job": 2,
    "model": 2,
    "gate": 2,
    "deployment": 2,
    "monitor": 2,
    "trigger": 1,
}
"""Kind → how many labels its block takes: type and name, or the name alone."""


SERVING: Final = frozenset({"deployment"})
"""Kinds whose resources answer others: what they were made from is not deleted while they do."""


class Need(Arguments):
    """What must have come before a trigger moves anything."""

    new_rows: int = Field(default=0, ge=0)


class TriggerArguments(Arguments):
    """Which alarms, and which inputs they move."""

    on: list[Reference] = Field(min_length=1)
    advance: list[Reference] = Field(min_length=1)
    need: Need = Need()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""


class TriggerAttributes(Attributes):
    """A trigger gives nothing back: what it did is in the journal."""


class Trigger(Resource[TriggerArguments, TriggerAttributes], kind="trigger", type=""):
    """Turns an alarm into a moved input; ordinary planning does the rest."""

    imports = "there is nothing of it outside the spec"

    def apply(
        self,
        ctx: Context,
        new: TriggerArguments,
        old: Stored[TriggerArguments, TriggerAttributes] | None,
    ) -> TriggerAttributes:
        """Do nothing: being recorded is all there is to it."""
        return TriggerAttributes()
