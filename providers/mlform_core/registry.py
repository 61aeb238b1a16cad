"""``model "registry"``: versions of a model, and which of them each channel has."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from mlform.sdk import (
    Approval,
    Approvals,
    Arguments,
    Artifact,
    Attributes,
    ChannelledResource,
    Context,
    Handle,
    Held,
    Imported,
    Looking,
    Metadata,
    Operational,
    Order,
    ResourceError,
    Slots,
    Standing,
    Stored,
    Volatile,
)
from mlform_core.contracts import Contract
from mlform_core.gate import model_of
from mlform_core.registry_channels import CHAMPION, KEPT, Channels, said_by

FILE: Final = "channels.json"
"""In the resource's own folder: what each channel has, for other programs to read."""
_SEAL: Final = ".channels.sha256"
"""Beside it, the digest of what was last written there from here."""


class PromotionRules(Arguments):
    """What a candidate needs to get into a channel: these gates passed, and so many approvals."""

    require: list[Handle] = Field(default_factory=list)
    approvals: int = Field(default=0, ge=0)
    roles: list[str] = Field(default_factory=list)
    """Each of these must be a role of someone who approves."""
    from_: str | None = Field(default=None, alias="from")
    """The channel that must have it first."""
    promote: Literal["auto", "manual"] = "auto"
    """``manual``: it waits for `mlform promote`, once nothing speaks against it."""
    contract: Contract | None = None

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what nobody asks for: a model recorded before there was any is equal."""
        data: dict[str, Any] = write(self)
        unsaid: dict[str, Any] = {"roles": [], "promote": "auto", "contract": None}
        unsaid |= {"from": None, "from_": None}
        return {n: v for n, v in data.items() if n not in unsaid or v != unsaid[n]}

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
    channels: dict[str, PromotionRules] | None = None
    keep: Operational[int | None] = Field(default=None, ge=1)
    """How many earlier versions of each channel can be gone back to; 5."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @property
    def rules(self) -> dict[str, PromotionRules]:
        """The rules of every channel."""
        return {CHAMPION: self.champion, **(self.channels or {})}

    @model_validator(mode="after")
    def _known(self) -> RegistryArguments:
        for name in self.channels or {}:
            if name in {CHAMPION, "candidate"} or not name.isidentifier():
                raise ValueError(
                    f'channels: "{name}" cannot be the name of a channel: {CHAMPION} has a block '
                    "of its own, a candidate is what asks, and others are named as attributes are"
                )
        for name, rules in self.rules.items():
            if rules.from_ is not None and rules.from_ not in self.rules:
                known = ", ".join(self.rules)
                raise ValueError(f'{name}: there is no channel "{rules.from_}"; there are: {known}')
        for name in self.rules:
            passed, at = {name}, self.rules[name].from_
            while at is not None:
                if at in passed:
                    raise ValueError(f"{name}: channels wait for each other by their `from`")
                passed.add(at)
                at = self.rules[at].from_
        return self


class RegistryAttributes(Attributes):
    """The candidate, what each channel has, and the numbers of all versions seen."""

    candidate: Artifact
    version: int
    """The candidate's number: 1, 2, …; the same model keeps the number it had."""
    champion: Artifact | None
    champion_version: int | None
    channels: Slots[Artifact | None] = Field(default_factory=dict)
    """What each further channel has."""
    versions: dict[str, int]
    """Digest → number."""
    promotions: Volatile[tuple[dict[str, Any], ...]] = ()
    """Each change of a channel, oldest first."""
    kept: Volatile[dict[str, Artifact]] = Field(default_factory=dict)
    """What channels can go back to, by digest."""
    assigned: Volatile[dict[str, str]] = Field(default_factory=dict)
    """What each channel was given last: digests. Where it has another one, someone else did that"""
    quarantined: Volatile[dict[str, dict[str, str]]] = Field(default_factory=dict)
    """Digests that no channel may have, each with who says so, when and why."""
    passed_over: Volatile[dict[str, dict[str, str]]] = Field(default_factory=dict)
    """Channel → the candidate that a person took it from, or kept it from."""
    objections: Volatile[dict[str, list[str]]] = Field(default_factory=dict)
    """Channel → what speaks against the candidate."""
    held: Held[tuple[str, ...]] = ()


class Registry(
    ChannelledResource[RegistryArguments, RegistryAttributes],
    kind="model",
    type="registry",
    weighs_gates=True,
    keeps_content=True,
):
    """Numbers candidates, and moves channels to one that their gates let through."""

    def apply(
        self,
        ctx: Context,
        new: RegistryArguments,
        old: Stored[RegistryArguments, RegistryAttributes] | None,
    ) -> RegistryAttributes:
        """Give the candidate a number, and put it where nothing speaks against it."""
        found = _judged(new, old, ctx.approvals)
        self.publish(ctx, found)
        return found

    def predict(
        self, new: RegistryArguments, old: Stored[RegistryArguments, RegistryAttributes] | None
    ) -> Mapping[str, Any]:
        """Say which channels will have it, where no person is asked first."""
        candidate = new.candidate
        read = candidate.artifact or (candidate.attribute is None and candidate.attributes)
        if not read or self.approvals(new).missing(()):
            return {}  # of a result that is to be taken again a plan has the digest alone
        found = _judged(new, old, ())
        names = ("candidate", "version", "champion", "champion_version", "channels", "held")
        return {name: getattr(found, name) for name in names}

    def read(
        self, ctx: Looking, old: Stored[RegistryArguments, RegistryAttributes]
    ) -> RegistryAttributes | None:
        """Look into the file of channels: who moved one there moved it by hand."""
        before = old.attributes
        there = _published(ctx)
        if there is None:
            return before
        known = {**before.kept, before.candidate.digest: before.candidate}
        changed = {n: there.get(n) for n, d in _has(before).items() if there.get(n) != d}
        for name, digest in changed.items():
            if digest is not None and digest not in known:
                detail = (
                    f"{FILE} of {ctx.address} says that {name} has {digest}, which is no version "
                    "that is kept. Put back what it said, or delete the file."
                )
                raise ResourceError("Unknown model in a channel", detail)
        if not changed:
            return before
        has = {n: d and known[d] for n, d in {**_has(before), **changed}.items()}
        champion = has.pop(CHAMPION, None)
        return before.model_copy(
            update={
                "champion": champion or None,
                "champion_version": before.versions[champion.digest] if champion else None,
                "channels": has,
            }
        )

    def order(
        self,
        ctx: Looking,
        old: Stored[RegistryArguments, RegistryAttributes],
        order: Order,
    ) -> RegistryAttributes:
        """Move a channel, or put a version into quarantine, as someone wants it now."""
        before = old.attributes
        channels = _channels(old.arguments.rules, before.candidate, before)
        for name, digest in _has(before).items():
            if digest is not None and channels.assigned.get(name) != digest:
                channels.adopt(name, digest)
        channels.obey(order, old.arguments.keep or KEPT)
        return _attributes(channels)

    def publish(self, ctx: Looking, attributes: RegistryAttributes) -> None:
        """Write which version each channel has into a file beside the state, for others to read."""
        said = {n: {"version": s.version, "digest": s.digest} for n, s in _standing(attributes)}
        text = json.dumps(said, indent=2, sort_keys=True) + "\n"
        ctx.home.mkdir(parents=True, exist_ok=True)
        fresh = ctx.home / f"{FILE}.{os.getpid()}"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(ctx.home / FILE)
        # Last, so that what a crash leaves between the two is told as a move and put back.
        (ctx.home / _SEAL).write_text(_sealed(text), encoding="utf-8")

    def standing(self, attributes: RegistryAttributes) -> Mapping[str, Standing]:
        return dict(_standing(attributes))

    def quarantined(self, attributes: RegistryAttributes) -> Mapping[str, str]:
        return {
            digest: f"version {attributes.versions[digest]} is quarantined by {said_by(said)}"
            for digest, said in attributes.quarantined.items()
        }

    def approvals(self, new: RegistryArguments) -> Approvals:
        """Ask for the approvals that promoting takes: the most that any channel asks for."""
        rules = new.rules.values()
        roles = dict.fromkeys(role for it in rules for role in it.roles)
        return Approvals(max(it.approvals for it in rules), tuple(roles))

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
            promotions=({**promotion, "channel": CHAMPION, "imported": id},),
            kept={model.digest: model},
            assigned={CHAMPION: model.digest},
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


def _judged(
    new: RegistryArguments,
    old: Stored[RegistryArguments, RegistryAttributes] | None,
    approvals: Sequence[Approval],
) -> RegistryAttributes:
    before, waits = None if old is None else old.attributes, frozenset[str]()
    channels = _channels(new.rules, model_of(new.candidate, "candidate"), before)
    if old is not None and channels.candidate.digest == old.attributes.candidate.digest:
        waits = frozenset(
            _channels(old.arguments.rules, channels.candidate, old.attributes).waiting()
        )
    channels.judge(approvals, waits)
    channels.forget(new.keep or KEPT)
    return _attributes(channels)


def _channels(
    rules: Mapping[str, PromotionRules], candidate: Artifact, before: RegistryAttributes | None
) -> Channels:
    """Take up the channels as they were assigned, whatever was made of them from outside."""
    if before is None:
        return Channels(rules, candidate)
    known = [before.candidate, *([before.champion] if before.champion else [])]
    return Channels(
        rules,
        candidate,
        versions=before.versions,
        kept={**{it.digest: it for it in known}, **before.kept},
        assigned=before.assigned or {n: d for n, d in _has(before).items() if d is not None},
        quarantined=before.quarantined,
        passed_over=before.passed_over,
        objections=before.objections,
        moves=before.promotions,
    )


def _attributes(channels: Channels) -> RegistryAttributes:
    candidate = channels.candidate
    return RegistryAttributes(
        candidate=candidate,
        version=channels.versions[candidate.digest],
        champion=channels.model_of(CHAMPION),
        champion_version=channels.version_of(CHAMPION),
        channels={n: channels.model_of(n) for n in channels.rules if n != CHAMPION},
        versions=channels.versions,
        promotions=tuple(channels.moves),
        kept=channels.kept,
        assigned=channels.assigned,
        quarantined=channels.quarantined,
        passed_over=channels.passed_over,
        objections={n: found for n, found in channels.objections.items() if found},
        held=channels.held(),
    )


def _has(it: RegistryAttributes) -> dict[str, str | None]:
    """Return the digest that each channel has."""
    champion = None if it.champion is None else it.champion.digest
    others = {n: None if found is None else found.digest for n, found in it.channels.items()}
    return {CHAMPION: champion, **others}


def _standing(it: RegistryAttributes) -> Iterator[tuple[str, Standing]]:
    for name, digest in _has(it).items():
        if digest is not None:
            yield name, Standing(it.versions[digest], digest)


def _published(ctx: Looking) -> dict[str, str | None] | None:
    """Return what someone else made of the file of channels; ``None`` where nobody did.

    As it was last written from here it says nothing new: with a state that several machines share,
    the channels may have moved elsewhere since. Raises ``ResourceError`` where it says nothing
    that can be understood.
    """
    path = ctx.home / FILE
    try:
        text = path.read_text(encoding="utf-8")
        with suppress(FileNotFoundError):
            if (ctx.home / _SEAL).read_text(encoding="utf-8") == _sealed(text):
                return None
        said = json.loads(text)
        return {str(n): None if it is None else str(it["digest"]) for n, it in said.items()}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        detail = f"{path} cannot be read ({error}). Mend it, or delete it: it is written anew."
        raise ResourceError("Channels cannot be read", detail) from None


def _sealed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
