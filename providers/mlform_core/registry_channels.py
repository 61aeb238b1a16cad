"""Channels of a registry: who is put into which, by rules and by people. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Approval, Approvals, Artifact, Handle, Order, ResourceError
from mlform_core.contracts import broken

if TYPE_CHECKING:
    from mlform_core.registry import PromotionRules

CHAMPION: Final = "champion"
KEPT: Final = 5
"""How many earlier versions of each channel are kept, unless the block says so."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Channels:
    """Which version each channel has, and what speaks against the candidate; changed in place.

    ``assigned``: channel → digest. ``quarantined``: digest → who, when and why. ``passed_over``:
    channel → the digest of a candidate that a person took the channel from, or kept from it, with
    who and why.
    """

    def __init__(
        self,
        rules: Mapping[str, PromotionRules],
        candidate: Artifact,
        *,
        versions: Mapping[str, int] = NOTHING,
        kept: Mapping[str, Artifact] = NOTHING,
        assigned: Mapping[str, str] = NOTHING,
        quarantined: Mapping[str, Mapping[str, str]] = NOTHING,
        passed_over: Mapping[str, Mapping[str, str]] = NOTHING,
        objections: Mapping[str, Sequence[str]] = NOTHING,
        moves: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.rules, self.candidate = rules, candidate
        self.versions, self.kept = dict(versions), dict(kept)
        self.versions.setdefault(candidate.digest, max(versions.values(), default=0) + 1)
        self.kept[candidate.digest] = candidate
        self.assigned = {n: d for n, d in assigned.items() if n in rules}
        self.quarantined = {d: dict(said) for d, said in quarantined.items()}
        self.passed_over = {n: dict(said) for n, said in passed_over.items() if n in rules}
        self.objections = {n: list(said) for n, said in objections.items() if n in rules}
        self.moves = [dict(m) for m in moves]

    def judge(self, approvals: Sequence[Approval], waits: Collection[str] = ()) -> None:
        """Put the candidate into each channel that nothing speaks against.

        ``waits``: channels in which it waits for a person, as was said.
        """
        digest = self.candidate.digest
        for name in self._in_order():
            rules = self.rules[name]
            self.objections[name] = self._against(name, rules, approvals)
            if (
                self._objected(name)
                or self.quarantined.get(digest)
                or self._passed_over(name)
                or name in waits
            ):
                continue
            if rules.promote == "manual" or self.assigned.get(name) == digest:
                continue
            gates = sorted(gate.address for gate in rules.require)
            people = sorted({it.by for it in approvals})
            told: dict[str, Any] = {"gates": gates}
            self._move(name, digest, told | ({"approved_by": people} if people else {}))

    def obey(self, order: Order, keep: int) -> None:
        """Carry out an order. Raises ``ResourceError``."""
        if order.channel and order.channel not in self.rules:
            detail = f"There is no channel {order.channel}. Channels: {', '.join(self.rules)}."
            raise ResourceError("Unknown channel", detail)
        match order.what:
            case "promote":
                self._promote(order)
            case "rollback":
                self._rollback(order)
            case "quarantine":
                self._quarantine(self._meant(order.version), order)
            case "lift":
                self._lift(self._meant(order.version))
        self.forget(keep)

    def adopt(self, name: str, digest: str) -> None:
        """Take over what someone else has put into a channel."""
        self._move(name, digest, {"how": "found"})

    def waiting(self) -> Iterator[str]:
        """Yield the channels that only a person puts the candidate into: one lifted a quarantine.

        Whoever decides about the same candidate once more, since something else changed, or was
        changed from outside, decides that no differently.
        """
        digest = self.candidate.digest
        for name, rules in self.rules.items():
            free = not (self._objected(name) or self.quarantined.get(digest))
            has = self.assigned.get(name) == digest
            if free and not has and rules.promote == "auto" and self._passed_over(name) is None:
                yield name

    def forget(self, keep: int) -> None:
        """Keep the models that channels have, the last few that each had, and the candidate."""
        wanted = {self.candidate.digest, *self.assigned.values()}
        for name in self.rules:
            wanted |= {*islice(self._before(name), keep + 1)}
        self.kept = {d: it for d, it in self.kept.items() if d in wanted}

    def held(self) -> tuple[str, ...]:
        """Say of each channel that has not the candidate why it has not."""
        if said := self.quarantined.get(self.candidate.digest):
            version = self.versions[self.candidate.digest]
            rest = ", ".join(map(self._rest, self.rules))
            return (f"version {version} is quarantined by {said_by(said)}; {rest}",)
        return tuple(text for name in self.rules for text in self._said(name))

    def version_of(self, name: str) -> int | None:
        """Return the number of the version that a channel has."""
        digest = self.assigned.get(name)
        return None if digest is None else self.versions[digest]

    def model_of(self, name: str) -> Artifact | None:
        """Return the model that a channel has."""
        digest = self.assigned.get(name)
        return None if digest is None else self.kept[digest]

    def _in_order(self) -> Iterator[str]:
        """Yield each channel after the one that it takes from."""
        done: set[str] = set()
        while waiting := [n for n in self.rules if n not in done]:
            ready = [n for n in waiting if self.rules[n].from_ in {None, *done}]
            assert ready, "channels that wait for each other are refused"
            yield from ready
            done |= {*ready}

    def _against(
        self, name: str, rules: PromotionRules, approvals: Sequence[Approval]
    ) -> list[str]:
        digest = self.candidate.digest
        found = [text for gate in rules.require for text in _failed(gate, digest)]
        promoted = self.assigned.get(name) == digest
        if rules.contract is not None and not promoted:
            before = self.model_of(name)
            lacks = broken(rules.contract, self.candidate, before, rules.require)
            found += [f"it breaks the contract: {text}" for text in lacks]
        asks = Approvals(rules.approvals, tuple(rules.roles))
        if not found and not promoted and (lacking := asks.missing(approvals)):
            found.append(f"waits for {lacking} (`mlform approve`)")
        return found

    def _not_there(self, name: str) -> Iterator[str]:
        """Say so if the channel that must have the candidate first has not: orders move that."""
        first = self.rules[name].from_
        if first is not None and self.assigned.get(first) != self.candidate.digest:
            yield f"{first} has {self._named(first)}"

    def _objected(self, name: str) -> list[str]:
        """Return what speaks against the candidate, as channels are now."""
        return [*self.objections.get(name, ()), *self._not_there(name)]

    def _said(self, name: str) -> Iterator[str]:
        digest, version = self.candidate.digest, self.versions[self.candidate.digest]
        if self.assigned.get(name) == digest:
            role = CHAMPION if name == CHAMPION else f"in {name}"
            for why in self._objected(name):
                yield f"version {version} stays {role}, though {why}"
            return
        rest, to = self._rest(name), "" if name == CHAMPION else f" to {name}"
        if (over := self._passed_over(name)) is not None:
            yield f"version {version} is not promoted{to}: another was, by {said_by(over)}; {rest}"
            return
        found = self._objected(name)
        for why in found:
            yield f"version {version} is not promoted{to}: {why}; {rest}"
        if not found:
            yield f"version {version} waits for `mlform promote`{to}; {rest}"

    def _rest(self, name: str) -> str:
        """Say what a channel has that does not get the candidate."""
        has = self.version_of(name)
        if name == CHAMPION:
            return "there is no champion yet" if has is None else f"version {has} stays champion"
        return f"{name} has nothing yet" if has is None else f"version {has} stays in {name}"

    def _passed_over(self, name: str) -> Mapping[str, str] | None:
        said = self.passed_over.get(name)
        return said if said is not None and said["digest"] == self.candidate.digest else None

    def _move(self, name: str, digest: str | None, told: Mapping[str, Any]) -> None:
        replaces = self.version_of(name)
        if digest is None:
            self.assigned.pop(name, None)
        else:
            self.assigned[name] = digest
        version = self.version_of(name)
        said = {"version": version, "digest": digest, "replaces": replaces, "channel": name}
        self.moves.append({**said, **told})

    def _promote(self, order: Order) -> None:
        name, digest = order.channel, self._meant(order.version)
        number = self.versions[digest]
        if self.assigned.get(name) == digest:
            raise ResourceError("Nothing to promote", f"{name} has version {number} already.")
        if said := self.quarantined.get(digest):
            detail = f"Version {number} is quarantined by {said_by(said)}. Lift that first."
            raise ResourceError("Version is quarantined", detail)
        against = self._speaks_against(name, digest)
        if against:
            detail = f"Version {number} cannot go to {name}: {'; '.join(against)}."
            raise ResourceError("Version is not fit for the channel", detail)
        self._move(name, digest, _told(order))
        self.passed_over.pop(name, None)
        if digest != self.candidate.digest:
            self.passed_over[name] = {"digest": self.candidate.digest, **_stamp(order)}
            return
        for after in self._in_order():
            rules = self.rules[after]
            if rules.from_ is None or rules.promote == "manual" or self._objected(after):
                continue
            if self.assigned.get(after) != digest and self._passed_over(after) is None:
                self._move(after, digest, _told(order))

    def _speaks_against(self, name: str, digest: str) -> Sequence[str]:
        """Say what speaks against a version: what the rules say, if it never was in the channel."""
        if digest not in self.kept:
            return ["its model is not kept any more (see `keep`)"]
        if digest in set(self._before(name)):
            return ()
        if digest != self.candidate.digest:
            return ["it is not the candidate, and the channel never had it"]
        return self._objected(name)

    def _rollback(self, order: Order) -> None:
        name, had = order.channel, self.assigned.get(order.channel)
        if had is None:
            raise ResourceError("Nothing to roll back", f"{name} has no version.")
        choice = list(self._usable(name, had))
        if order.version:
            meant = self._meant(order.version)
            if meant not in choice:
                said = ", ".join(str(self.versions[d]) for d in choice) or "none"
                detail = f"{name} can go back to: {said}. What is quarantined, never was in the "
                detail += "channel, or is not kept any more (see `keep`), it cannot."
                raise ResourceError("Version cannot be gone back to", detail)
            choice = [meant]
        if not choice:
            detail = f"{name} has version {self.versions[had]}, and had none before that is kept "
            detail += "and not quarantined."
            raise ResourceError("Nothing to roll back to", detail)
        self._move(name, choice[0], _told(order))
        self._quarantine(had, order)

    def _quarantine(self, digest: str, order: Order) -> None:
        if said := self.quarantined.get(digest):
            detail = f"Version {self.versions[digest]} is quarantined by {said_by(said)}."
            raise ResourceError("Quarantined already", detail)
        self.quarantined[digest] = _stamp(order)
        for name in self.rules:
            if self.assigned.get(name) == digest:
                self._move(name, next(self._usable(name, digest), None), _told(order))

    def _lift(self, digest: str) -> None:
        if digest not in self.quarantined:
            raise ResourceError("Not quarantined", f"Version {self.versions[digest]} is free.")
        del self.quarantined[digest]

    def _usable(self, name: str, beside: str) -> Iterator[str]:
        """Yield what a channel can go back to, newest first."""
        for digest in self._before(name):
            if digest != beside and digest not in self.quarantined and digest in self.kept:
                yield digest

    def _before(self, name: str) -> Iterator[str]:
        """Yield the digests that a channel has or had, the last one first, each once."""
        found = (m["digest"] for m in reversed(self.moves) if m.get("channel", CHAMPION) == name)
        yield from dict.fromkeys(d for d in found if d is not None)

    def _meant(self, text: str) -> str:
        """Return the digest of a version that someone named."""
        number = text.removeprefix("v")
        found = [d for d, n in self.versions.items() if number == str(n)]
        if not found and len(text) >= _FEWEST:
            found = [d for d in self.versions if d.removeprefix("sha256:").startswith(_bare(text))]
        if len(found) == 1:
            return found[0]
        known = ", ".join(str(n) for n in sorted(self.versions.values()))
        raise ResourceError("Unknown version", f'"{text}" is no version. There are: {known}.')

    def _named(self, name: str) -> str:
        version = self.version_of(name)
        return "no version" if version is None else f"version {version}"


_FEWEST: Final = 6


def _bare(text: str) -> str:
    return text.removeprefix("sha256:")


def _told(order: Order) -> dict[str, str]:
    said = {"how": order.what, "by": order.by}
    return said | ({"why": order.why} if order.why else {})


def _stamp(order: Order) -> dict[str, str]:
    return {"how": order.what, "by": order.by, "at": order.at, "why": order.why}


def said_by(said: Mapping[str, str]) -> str:
    """Say who did something, on which day, and why."""
    why = f": {said['why'].rstrip('.')}" if said.get("why") else ""
    return f"{said['by']} on {said['at'][:10]}{why}"


def _failed(gate: Handle, digest: str) -> Iterator[str]:
    judged = gate.attributes.get("candidate")
    # A gate on data, or a check without a model, says nothing of candidates.
    if judged is not None and judged != digest:
        other = short(judged) if isinstance(judged, str) else "none"
        yield (
            f"{gate.address} judged another model ({other}, not {short(digest)}); "
            "give gate and registry the same candidate"
        )
    elif gate.attributes.get("passed") is not True:
        yield f"{gate.address} did not pass for {short(digest)}"


def short(digest: str) -> str:
    """Return as much of a digest as people compare."""
    return digest.removeprefix("sha256:")[:12]
