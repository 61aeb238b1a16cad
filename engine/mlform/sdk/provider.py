"""A provider: its settings, and the resource types it offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

from mlform.sdk.fields import Fields
from mlform.sdk.resource import Resource

AnyResource: TypeAlias = Resource[Any, Any]


class Settings(Fields):
    """What the user writes in the ``provider`` block."""


class Provider(ABC):
    """Subclass it, and point an entry point of group ``mlform.providers`` at the class."""

    settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; open nothing yet."""
        self.given = settings

    @abstractmethod
    def resources(self) -> Sequence[AnyResource]:
        """Return one instance of each type. Must import no heavy library."""

    def resource(self, kind: str, type: str) -> AnyResource | None:  # noqa: A002 - its name
        """Return what implements one type, ``None`` if it is not offered.

        One with many types overrides this to import the module of that type alone.
        """
        return next((r for r in self.resources() if (r.kind, r.type) == (kind, type)), None)

    @classmethod
    def functions(cls) -> Sequence[Callable[..., Any]]:
        """Return what specs can call as ``provider::NAME::FUNCTION(…)``: pure functions.

        Their annotations are their types: ``str``, ``int``, ``float``, ``bool``, ``list[…]``,
        ``set[…]``, ``dict[str, …]``, pydantic models, ``… | None`` where null is taken, ``Any``.
        ``*args`` takes any number more. They are called while planning and again while applying,
        under no settings, and never with an unknown value. Raise ``ResourceError`` for what the
        user can mend, ``argument`` naming the parameter.
        """
        return ()
