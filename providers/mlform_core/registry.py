"""``model "registry"``: versions of a model, and which of them is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from mlform.sdk import (
    Approval,
    Approvals,
    Arguments,
    Artifact,
    Attributes,
    Context,
    Handle,
    Held,
    Imported,
    Metadata,
    Resource,
    Stored,
    Volatile,
)
from mlform_core.gate import model_of


class PromotionRules(Arguments):
    """What a candidate needs to become champion: these gates passed, and so many approvals."""

    require: list[Handle] = Field(default_factory=list)
    approvals: int = Field(default=0, ge=0)
    roles: list[str] = Field(default_factory=list)
    """Each of these must be a role of someone who approves."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out roles that nobody asks for: a model recorded before there were any is equal."""
        data: dict[str, Any] = write(self)
        return data if self.roles else {n: v for n, v in data.items() if n != "roles"}

    @field_validator("require")
    @classmethod
    def _gates(cls, value: list[Handle]) -> list[Handle]:
        for handle in value:
            if handle.kind != "gate" or handle.attribute is not None:
                raise ValueError(f"{handle.address} is no gate; write require = [gate.NAME]")
        return value


class RegistryArguments(Arguments):
    """The model that asks to be champion, and what it takes."""

    candidate: Handle
    champion: PromotionRules = PromotionRules()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""


class RegistryAttributes(Attributes):
    """The candidate, the champion, and the numbers of all versions seen."""

    candidate: Artifact
    version: int
    """The candidate's number: 1, 2, …; the same model keeps the number it had."""
    champion: Artifact | None
    champion_version: int | None
    versions: dict[str, int]
    """Digest → number."""
    promotions: Volatile[tuple[dict[str, Any], ...]] = ()
    """Each change of champion, oldest first."""
    held: Held[tuple[str, ...]] = ()


class Registry(
    Resource[RegistryArguments, RegistryAttributes],
    kind="model",
    type="registry",
    weighs_gates=True,
    keeps_content=True,
):
    """Numbers candidates, and moves ``champion`` to one that its gates let through."""

    def apply(
        self,
        ctx: Context,
        new: RegistryArguments,
        old: Stored[RegistryArguments, RegistryAttributes] | None,
    ) -> RegistryAttributes:
        """Give the candidate a number, and promote it if nothing speaks against it."""
        before = None if old is None else old.attributes
        candidate = model_of(new.candidate, "candidate")
        versions = dict(before.versions) if before else {}
        version = versions.setdefault(candidate.digest, max(versions.values(), default=0) + 1)
        champion = before.champion if before else None
        promotions = before.promotions if before else ()
        objections = _objections(new, candidate, champion, ctx.approvals)
        if not objections:
            if champion is None or champion.digest != candidate.digest:
                replaced = None if champion is None else versions[champion.digest]
                gates = sorted(gate.address for gate in new.champion.require)
                approvers = sorted({it.by for it in ctx.approvals})
                promotions = (
                    *promotions,
                    {
                        "version": version,
                        "digest": candidate.digest,
                        "replaces": replaced,
                        "gates": gates,
                        **({"approved_by": approvers} if approvers else {}),
                    },
                )
            champion = candidate
        champion_version = None if champion is None else versions[champion.digest]
        return RegistryAttributes(
            candidate=candidate,
            version=version,
            champion=champion,
            champion_version=champion_version,
            versions=versions,
            promotions=promotions,
            held=tuple(_explain(version, champion_version, why) for why in objections),
        )

    def approvals(self, new: RegistryArguments) -> Approvals:
        """Ask for the approvals that promoting takes."""
        return Approvals(new.champion.approvals, tuple(new.champion.roles))

    def import_(
        self,
        ctx: Context,
        id: str,  # noqa: A002 - as the SDK has it
        new: RegistryArguments | None,
    ) -> Imported[RegistryAttributes] | None:
        """Take the model in a bundle as version 1 and champion: it serves, gates or not."""
        from mlform_core import models

        path = ctx.root / id
        if not path.is_file():
            return None
        models.check(path)
        model = ctx.artifacts.put_file(path, models.MEDIA_TYPE)
        promotion = {"version": 1, "digest": model.digest, "replaces": None, "gates": []}
        attributes = RegistryAttributes(
            candidate=model,
            version=1,
            champion=model,
            champion_version=1,
            versions={model.digest: 1},
            promotions=({**promotion, "imported": id},),
        )
        if new is None:
            here = Handle(address=ctx.address, attribute="candidate", digest=model.digest)
            return Imported(attributes, {"candidate": here})
        if model_of(new.candidate, "candidate").digest == model.digest:
            return Imported(attributes)
        other = new.candidate.model_copy(
            update={"digest": model.digest, "artifact": None, "attributes": {}}
        )
        return Imported(attributes, {"candidate": other})

    def destroy(self, ctx: Context, old: Stored[RegistryArguments, RegistryAttributes]) -> str:
        return "" if ctx.purge else "model versions and evidence are kept in the artifact store"


def _objections(
    new: RegistryArguments,
    candidate: Artifact,
    champion: Artifact | None = None,
    approvals: Sequence[Approval] = (),
) -> list[str]:
    """Return what stands against making ``candidate`` champion, which may be it already."""
    found = []
    name = _short(candidate.digest)
    for gate in new.champion.require:
        judged = gate.attributes.get("candidate")
        # A gate on data, or a check without a model, says nothing of candidates.
        if judged is not None and judged != candidate.digest:
            other = _short(judged) if isinstance(judged, str) else "none"
            found.append(
                f"{gate.address} judged another model ({other}, not {name}); "
                "give gate and registry the same candidate"
            )
        elif gate.attributes.get("passed") is not True:
            found.append(f"{gate.address} did not pass for {name}")
    promoted = champion is not None and champion.digest == candidate.digest
    asks = Approvals(new.champion.approvals, tuple(new.champion.roles))
    if not found and not promoted and (lacking := asks.missing(approvals)):
        found.append(f"waits for {lacking} (`mlform approve`)")
    return found


def _explain(version: int, champion: int | None, why: str) -> str:
    if version == champion:
        return f"version {version} stays champion, though {why}"
    stays = "there is no champion yet" if champion is None else f"version {champion} stays champion"
    return f"version {version} is not promoted: {why}; {stays}"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
