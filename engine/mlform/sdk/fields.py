"""What a resource takes and gives, as pydantic models whose fields say what a change means.

The engine derives every action from these classes; no provider compares old with new. They are
``Annotated`` aliases: type checkers see through them and pydantic keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from mlform.address import Address

T = TypeVar("T")


class FieldClass(StrEnum):
    """What a change of a field means. Arguments are ``SEMANTIC`` unless they say otherwise."""

    SEMANTIC = "semantic"
    OPERATIONAL = "operational"
    METADATA = "metadata"
    DECISION = "decision"
    BASELINE = "baseline"
    IDENTITY = "identity"
    SECRET = "secret"  # noqa: S105 - the name of a class of fields
    VOLATILE = "volatile"
    HELD = "held"


class Written(StrEnum):
    """How an argument is written, where it is more than a value."""

    CODE = "code"
    ADDRESS = "address"


Operational: TypeAlias = Annotated[T, FieldClass.OPERATIONAL]
"""An argument that does not change what comes out: updated in place, outside the key."""

Metadata: TypeAlias = Annotated[T, FieldClass.METADATA]
"""An argument about the resource (owner, description): recorded, and nothing runs."""

Decision: TypeAlias = Annotated[T, FieldClass.DECISION]
"""An argument of a judgement (a threshold): a change decides anew without computing anew."""

Baseline: TypeAlias = Annotated[T, FieldClass.BASELINE]
"""What a judgement compares with. As ``Decision``; but a baseline that has become one of the
resource's own semantic inputs (the champion is the candidate it let through) is settled, and no
change."""

Identity: TypeAlias = Annotated[T, FieldClass.IDENTITY]
"""An argument that names another object when it changes: create that, destroy the old one."""

Secret: TypeAlias = Annotated[T, FieldClass.SECRET]
"""A credential: never written to state, plan or log; a change updates in place."""

Volatile: TypeAlias = Annotated[T, FieldClass.VOLATILE]
"""An attribute that differs each time (seconds, a receipt) and must wake nobody downstream."""

Held: TypeAlias = Annotated[T, FieldClass.HELD]
"""An attribute of type ``tuple[str, ...]``: why what was asked for was not all done (a gate
failed, an approval is missing). Not empty: the resource is held, and ``apply`` exits with 3."""

Code: TypeAlias = Annotated[str, Written.CODE]
"""An argument ``"path.py:function"``: the key has the closure of that code in its place."""

Reference: TypeAlias = Annotated[str, Written.ADDRESS]
"""An argument that names a resource or attribute (``dataset.loans``) and takes no value from it:
the provider gets the address as text, and it makes no edge."""


class Arguments(BaseModel):
    """What the user writes in the block."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attributes(BaseModel):
    """What the resource gives back once applied, for others to refer to."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Artifact(BaseModel):
    """Bytes in the artifact store, by content. Never says where they lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """Bytes."""
    media_type: str = "application/octet-stream"


class Handle(BaseModel):
    """Another resource, or one artifact among its attributes, as an argument.

    ``attributes`` holds what ``digest`` covers: nothing volatile, so what a provider reads here
    is in the key. It is empty where ``attribute`` names an artifact; then ``artifact`` is that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    attribute: str | None = None
    digest: str
    attributes: dict[str, Any] = Field(default_factory=dict, repr=False)
    artifact: Artifact | None = None

    @model_validator(mode="before")
    @classmethod
    def _untag(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.keys() == {"$handle"}:
            return data["$handle"]
        return data

    @model_serializer
    def _tag(self) -> dict[str, Any]:
        tagged = {"address": self.address, "attribute": self.attribute, "digest": self.digest}
        return {"$handle": tagged}

    @property
    def kind(self) -> str:
        """The kind of resource it names: ``"dataset"``."""
        return Address.parse(self.address).kind

    def artifact_at(self, name: str) -> Artifact:
        """Return the artifact among ``attributes`` called ``name``. Raises ``KeyError``."""
        return Artifact.model_validate(self.attributes[name])


@cache
def field_classes(model: type[BaseModel]) -> Mapping[str, FieldClass]:
    """Return the class of each field of ``model``."""
    return {
        name: next((m for m in info.metadata if isinstance(m, FieldClass)), FieldClass.SEMANTIC)
        for name, info in model.model_fields.items()
    }


@cache
def written_as(model: type[BaseModel], how: Written) -> frozenset[str]:
    """Return the fields of ``model`` written in the way ``how``, alone or in a list."""
    return frozenset(
        name
        for name, info in model.model_fields.items()
        if how in info.metadata or _mentions(info.annotation, how)
    )


def _mentions(annotation: Any, how: Written) -> bool:
    if how in getattr(annotation, "__metadata__", ()):
        return True
    return any(_mentions(a, how) for a in getattr(annotation, "__args__", ()))
