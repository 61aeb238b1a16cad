"""A provider: its settings, and the resource types it offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from mlform.sdk.resource import Resource

AnyResource: TypeAlias = Resource[Any, Any]


class Settings(BaseModel):
    """What the user writes in the ``provider`` block."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provider(ABC):
    """Subclass it, and point an entry point of group ``mlform.providers`` at the class."""

    settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; open nothing yet."""
        self.given = settings

    @abstractmethod
    def resources(self) -> Sequence[AnyResource]:
        """Return one instance of each type. Must import no heavy library."""
