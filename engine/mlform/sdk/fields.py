"""What a resource takes and gives, as pydantic models whose fields say what a change means.

The engine derives every action from these classes; no provider compares old with new. They are
``Annotated`` aliases: type checkers see through them and pydantic keeps them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_serializer,
    model_validator,
)

from mlform.address import Address
from mlform.lengths import length
from mlform.values import digest, handle_in, short

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
    CARRIER = "carrier"
    HELD = "held"


class FieldRule(StrEnum):
    """What keeps a field from showing a difference where there is none."""

    UNORDERED = "unordered"
    DEFAULTED = "defaulted"
    WRITE_ONLY = "write_only"
    ACTUAL = "actual"
    MANAGED = "managed"
    STABLE = "stable"
    SLOTS = "slots"


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

Carrier: TypeAlias = Annotated[T, FieldClass.CARRIER]
"""An attribute that carries what other attributes count already: the bytes of a table whose
values have digests of their own. Consumers get it; other bytes of equal content wake nobody."""

Held: TypeAlias = Annotated[T, FieldClass.HELD]
"""An attribute of type ``tuple[str, ...]``: why what was asked for was not all done (a gate
failed, an approval is missing). Not empty: the resource is held, and ``apply`` exits with 3."""

Unordered: TypeAlias = Annotated[T, FieldRule.UNORDERED]
"""A list whose order means nothing: written in another order it is the same, in key and drift.
Sets are so by themselves."""

ProviderDefault: TypeAlias = Annotated[T, FieldRule.DEFAULTED]
"""An argument that the provider chooses where it is not set (so it is optional): what was chosen
stays until it is set to something else. The attribute of the same name says what was chosen."""

WriteOnly: TypeAlias = Annotated[T, FieldClass.SECRET, FieldRule.WRITE_ONLY]
"""A secret that is sent and never recorded, not even as a hash: a change of it alone is not seen.
Put an argument beside it (``password_version``) whose change sends it again."""

Actual: TypeAlias = Annotated[T, FieldRule.ACTUAL]
"""An attribute that says what the argument of the same name is out there. Where ``read`` finds it
changed, the plan compares what is written with what is there, by the class of the argument."""

Managed: TypeAlias = Annotated[T, FieldRule.MANAGED]
"""An attribute that the provider or the outside world changes by itself (a status, a counter):
what ``read`` finds is taken over, those who use it see it, and it is no drift."""

Stable: TypeAlias = Annotated[T, FieldRule.STABLE]
"""An attribute that stays what it is as long as the object stands (its id): it is known while an
update is planned, so that what takes it is not touched."""

Slots: TypeAlias = Annotated[dict[str, T], FieldRule.SLOTS]
"""An attribute of artifacts by name, each of which others refer to as they do to an attribute that
is an artifact: ``model.risk.channels.production``."""

Code: TypeAlias = Annotated[str, Written.CODE]
"""An argument ``"path.py:function"``: the key has the closure of that code in its place."""

Reference: TypeAlias = Annotated[str, Written.ADDRESS]
"""An argument that names a resource or attribute (``dataset.loans``) and takes no value from it:
the provider gets the address as text, and it makes no edge."""


Length: TypeAlias = Annotated[str, AfterValidator(length)]
"""An argument that is a length of time, ``"90s"`` or ``"30d"``; ``seconds`` says how long it is."""


class Fields(BaseModel):
    """What takes the fields it declares and no others, and never changes once made.

    What checks values is made when the first are checked: of the types that a provider offers, a
    command uses few.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Arguments(Fields):
    """What the user writes in the block."""


class Attributes(Fields):
    """What the resource gives back once applied, for others to refer to."""


class Artifact(Fields):
    """Bytes in the artifact store, by content. Never says where they lie."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """Bytes."""
    media_type: str = "application/octet-stream"
    about: dict[str, Any] = Field(default_factory=dict)
    """What its content says of itself, so that a plan need not open it: the columns a model needs.
    Equal content must say the same."""


class Facets(Fields):
    """Digests of an output facet by facet: a table's, column by column.

    An attribute of this type lets consumers depend on the facets they take (``Resource.uses``)
    instead of on all of it. ``digests`` has each facet's; ``parts``, by part of the output
    (a partition), a short hash of each facet there, so that a change can be named.
    """

    digests: dict[str, str]
    parts: dict[str, dict[str, str]] = Field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Mapping[str, str]],
        whole: Mapping[str, Any] | None = None,
    ) -> Facets:
        """Compose facets from the digests of their parts, in order; the names of parts are free.

        ``parts`` is part → facet → digest. A facet that a part lacks counts as lacking there.
        ``whole`` are facets that have no parts: facet → what it says (JSON).
        """
        names = dict.fromkeys(name for facets in parts.values() for name in facets)
        digests = {name: digest([facets.get(name) for facets in parts.values()]) for name in names}
        return cls(
            digests=digests | {name: digest(said) for name, said in (whole or {}).items()},
            parts={
                part: {name: short(content) for name, content in facets.items()}
                for part, facets in parts.items()
            },
        )


class Handle(Fields):
    """Another resource, or one artifact among its attributes, as an argument.

    ``attributes`` holds what ``digest`` covers: nothing volatile, so what a provider reads here
    is in the key. It is empty where ``attribute`` names an artifact; then ``artifact`` is that.
    Where ``Resource.uses`` names facets, ``digest`` covers these alone; ``uses`` are they and those
    of ``Resource.judges``, each with its digest.

    While planning, ``foretold`` is what ``Resource.foretell`` says of what is still to be made, and
    ``behind`` what it says of the source of one that is pinned to something older.
    """

    address: str
    attribute: str | None = None
    digest: str
    attributes: dict[str, Any] = Field(default_factory=dict, repr=False)
    artifact: Artifact | None = None
    uses: dict[str, str] | None = Field(default=None, repr=False)
    foretold: dict[str, Any] = Field(default_factory=dict, repr=False)
    behind: dict[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _untag(cls, data: Any) -> Any:
        handle = handle_in(data)
        if handle is None:
            return data
        used = handle.used
        return {
            "address": handle.address,
            "attribute": handle.attribute,
            "digest": handle.counted,
            "artifact": handle.artifact,
            "uses": None if used is None else {**used.facets, **used.judged},
        }

    @model_serializer
    def _tag(self) -> dict[str, Any]:
        tagged = {"address": self.address, "attribute": self.attribute, "digest": self.digest}
        return {"$handle": tagged}

    @property
    def kind(self) -> str:
        """The kind of resource it names: ``"dataset"``."""
        return Address.parse(self.address).kind

    def digest_of(self, facets: Collection[str]) -> str:
        """Return a digest of some of the facets in ``uses``; of all, where it is taken whole."""
        if self.uses is None:
            return self.digest
        return digest({name: self.uses[name] for name in facets if name in self.uses})

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
def fields_under(model: type[BaseModel], rule: FieldRule) -> frozenset[str]:
    """Return the fields of ``model`` that a rule holds for, by the names users write."""
    return frozenset(
        info.alias or name
        for name, info in model.model_fields.items()
        if rule in info.metadata
        or _mentions(info.annotation, rule)
        or (rule is FieldRule.UNORDERED and _is_set(info.annotation))
    )


def _is_set(annotation: Any) -> bool:
    if get_origin(annotation) in {set, frozenset} or annotation in (set, frozenset):
        return True
    return any(_is_set(a) for a in get_args(annotation) if get_origin(annotation) in _UNIONS)


_UNIONS = (Union, UnionType, Annotated)


@cache
def written_as(model: type[BaseModel], how: Written) -> frozenset[str]:
    """Return the fields of ``model`` written in the way ``how``, alone or in a list."""
    return frozenset(
        name
        for name, info in model.model_fields.items()
        if how in info.metadata or _mentions(info.annotation, how)
    )


def _mentions(annotation: Any, how: StrEnum) -> bool:
    if how in getattr(annotation, "__metadata__", ()):
        return True
    return any(_mentions(a, how) for a in getattr(annotation, "__args__", ()))
