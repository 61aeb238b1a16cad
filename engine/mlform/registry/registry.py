"""Find providers by entry point, and load only those a spec mentions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points, version
from typing import Any

from pydantic import BaseModel, ValidationError

from mlform.diagnostics import did_you_mean, stop
from mlform.registry.kinds import Trigger
from mlform.sdk import AnyResource, Provider
from mlform.values import Value, is_known, plain

GROUP = "mlform.providers"
ENGINE = "mlform"
"""What stands for a provider where the engine implements a type itself."""


@dataclass(frozen=True)
class Offer:
    """A resource type, and where a worker process finds it again.

    ``target`` is ``"module:Provider"``, or ``None`` for the engine's own types.
    """

    resource: AnyResource
    provider: str
    target: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Registry:
    """Every resource type that installed providers offer.

    ``targets`` replaces the installed entry points; ``settings`` are the ``provider`` blocks.
    """

    targets: Mapping[str, str] | None = None
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    _offers: dict[tuple[str, str], Offer] = field(default_factory=dict)
    _aliased: dict[str, dict[tuple[str, str], Offer]] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _loaded: set[str] = field(default_factory=set)
    _broken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._offers["trigger", ""] = Offer(Trigger(), ENGINE, None)

    def providers(self) -> Mapping[str, str]:
        """Return every provider's name and target, loading none."""
        if self.targets is None:
            found = entry_points(group=GROUP)
            self.targets = {e.name: e.value for e in sorted(found, key=lambda e: e.name)}
            self._versions |= {e.name: e.dist.version for e in found if e.dist is not None}
        return self.targets

    def find(self, kind: str, type_: str, provider: str = "") -> Offer | None:
        """Return what implements ``kind "type"``, or ``None`` if no provider does.

        ``provider`` asks one of them, as ``name`` or, under settings of its own, ``name.alias``.
        """
        if provider:
            return self._asked(provider).get((kind, type_))
        if (offer := self._offers.get((kind, type_))) is not None:
            return offer
        # A provider that is called like the type is asked before the others are even imported.
        for name in sorted(self.providers(), key=lambda n: (n != type_, n != "core", n)):
            self._load(name)
            if (offer := self._offers.get((kind, type_))) is not None:
                return offer
        return None

    def types(self, kind: str) -> list[str]:
        """Return the types of one kind, loading every provider."""
        return sorted(o.resource.type for o in self.offers() if o.resource.kind == kind)

    def offers(self) -> Iterator[Offer]:
        """Return everything on offer, loading every provider."""
        for name in self.providers():
            self._load(name)
        yield from self._offers.values()

    def functions(self, provider: str) -> Mapping[str, Callable[..., Any]]:
        """Return the functions of one installed provider by name. Raises ``ImportError``."""
        found = _imported(self.providers()[provider]).functions()
        return {function.__name__.rstrip("_"): function for function in found}

    def settings_of(self, provider: str) -> type[BaseModel] | None:
        """Return the shape of a provider's settings, ``None`` if it cannot be loaded."""
        target = self.providers().get(provider)
        try:
            return _imported(target).settings if target else None
        except (ImportError, AttributeError):
            return None

    def version(self, provider: str) -> str:
        """Return the version of the distribution that a provider comes in."""
        self.providers()
        return self._versions.get(provider) or version(ENGINE)

    def missing(self, kind: str, type_: str) -> str:
        """Say what to do about a type that nobody offers."""
        types = self.types(kind)
        installed = ", ".join(self.providers()) or "none"
        offered = ", ".join(f'"{t}"' for t in types) or "none"
        return (
            f'No installed provider offers {kind} "{type_}".{did_you_mean(type_, types)} '
            f"Types of {kind} on offer: {offered}. Installed providers: {installed}."
            + "".join(f" {name} could not be loaded: {why}." for name, why in self._broken.items())
        )

    def refused(self, full: str) -> list[tuple[str, str]]:
        """Say what is wrong with the settings of a provider: which of them, and why."""
        target = self.providers().get(full.partition(".")[0])
        if target is None:
            return []
        written = self.settings.get(full, {})
        given = _plain(written)
        try:
            fields = _imported(target).settings
        except (ImportError, AttributeError):
            return []  # `missing` tells it, if anything of it is asked for
        try:
            fields.model_validate(given)
        except ValidationError as error:
            unknown = written.keys() - given.keys()
            found = [(str(e["loc"][0]) if e["loc"] else "", e) for e in error.errors()]
            return [(n, _why(e, fields)) for n, e in found if n not in unknown]
        return []

    def _load(self, name: str) -> None:
        if name not in self._loaded:
            self._loaded.add(name)
            for key, offer in self._asked(name).items():
                self._offers.setdefault(key, offer)

    def _asked(self, full: str) -> Mapping[tuple[str, str], Offer]:
        """Return what one provider offers, under the settings of its alias if there is one."""
        if full not in self._aliased:
            name = full.partition(".")[0]
            target, written = self.providers().get(name), self.settings.get(full, {})
            given = _plain(written)
            found: dict[tuple[str, str], Offer] = {}
            try:
                for resource in _resources(full, target, given) if target else ():
                    found[resource.kind, resource.type] = Offer(resource, full, target, given)
            except (ImportError, AttributeError) as error:
                # Another provider may offer what is asked for; if none does, `missing` tells it.
                self._broken[name] = str(error)
            self._aliased[full] = found
        return self._aliased[full]


def _plain(settings: Mapping[str, Value]) -> dict[str, Any]:
    return {n: plain(v, reveal=True) for n, v in settings.items() if is_known(v)}


def _imported(target: str) -> type[Provider]:
    module, _, attribute = target.partition(":")
    provider: type[Provider] = getattr(importlib.import_module(module), attribute)
    return provider


def _why(error: Mapping[str, Any], settings: type[BaseModel]) -> str:
    known = sorted(settings.model_fields)
    if error["type"] == "extra_forbidden":
        hint = did_you_mean(str(error["loc"][0]), known)
        return f"there is no such setting.{hint} It takes {', '.join(known) or 'none'}."
    if error["type"] == "missing":
        return "it is required."
    return f"{error['msg']}."


def _resources(name: str, target: str, given: Mapping[str, Any]) -> Sequence[AnyResource]:
    provider = _imported(target)
    try:
        settings = provider.settings.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise stop("Invalid provider settings", f'Provider "{name}": {problems}.') from None
    return provider(settings).resources()
