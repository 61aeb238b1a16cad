"""Find providers by entry point, and load only those a spec mentions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError

from mlform.diagnostics import did_you_mean, stop
from mlform.keys import entry_points, installed_version
from mlform.lazy import dataclass, field
from mlform.sdk import AnyResource, Provider
from mlform.values import Value, is_known, plain, secrets_in

GROUP = "mlform.providers"
TRIGGER = "trigger"
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
    secrets: frozenset[str] = frozenset()
    """Every text in the settings that nobody but the provider may see."""


@dataclass
class Registry:
    """Every resource type that installed providers offer.

    ``targets`` replaces the installed entry points; ``settings`` are the ``provider`` blocks.
    """

    targets: Mapping[str, str] | None = None
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    _offers: dict[tuple[str, str], Offer] = field(default_factory=dict)
    _configured: dict[str, Provider | None] = field(default_factory=dict)
    _asked: dict[tuple[str, str, str], Offer | None] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=dict)
    _loaded: set[str] = field(default_factory=set)
    _broken: dict[str, str] = field(default_factory=dict)

    def providers(self) -> Mapping[str, str]:
        """Return every provider's name and target, loading none."""
        if self.targets is None:
            found = entry_points(GROUP)
            self.targets = {e.name: e.value for e in found}
            self._versions |= {e.name: e.version for e in found if e.version}
        return self.targets

    def find(self, kind: str, type_: str, provider: str = "") -> Offer | None:
        """Return what implements ``kind "type"``, or ``None`` if no provider does.

        ``provider`` asks one of them, as ``name`` or, under settings of its own, ``name.alias``.
        """
        if provider:
            return self._ask(provider, kind, type_)
        if kind == TRIGGER:
            self._own()
        if (offer := self._offers.get((kind, type_))) is not None:
            return offer
        # A provider that is called like the type is asked before the others are even imported.
        for name in sorted(self.providers(), key=lambda n: (n != type_, n != "core", n)):
            if (offer := self._ask(name, kind, type_)) is not None:
                self._offers[kind, type_] = offer
                return offer
        return None

    def types(self, kind: str) -> list[str]:
        """Return the types of one kind, loading every provider."""
        return sorted(o.resource.type for o in self.offers() if o.resource.kind == kind)

    def offers(self) -> Iterator[Offer]:
        """Return everything on offer, loading every provider."""
        self._own()
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
        return self._versions.get(provider) or installed_version(ENGINE)

    def missing(self, kind: str, type_: str) -> str:
        """Say what to do about a type that nobody offers."""
        types = self.types(kind)
        installed = ", ".join(self.providers()) or "none"
        offered = ", ".join(f'"{t}"' for t in types) or "none"
        wanted = f'{kind} "{type_}"' if type_ else f"any {kind}"
        return (
            f"No installed provider offers {wanted}.{did_you_mean(type_, types)} "
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

    def _own(self) -> None:
        """Offer what the engine implements itself."""
        if (TRIGGER, "") not in self._offers:
            from mlform.registry.trigger import Trigger  # noqa: PLC0415 - few specs have one

            self._offers[TRIGGER, ""] = Offer(Trigger(), ENGINE, None)

    def _load(self, name: str) -> None:
        if name in self._loaded:
            return
        self._loaded.add(name)
        with self._told(name):
            provider = self._provider(name)
            for resource in provider.resources() if provider else ():
                if (offer := self._ask(name, resource.kind, resource.type)) is not None:
                    self._offers.setdefault((resource.kind, resource.type), offer)

    def _ask(self, full: str, kind: str, type_: str) -> Offer | None:
        """Return one offer of a provider, under the settings of its alias if there is one."""
        place = (full, kind, type_)
        if place not in self._asked:
            self._asked[place] = None
            with self._told(full):
                provider = self._provider(full)
                resource = provider.resource(kind, type_) if provider else None
                if resource is not None:
                    target = self.providers()[full.partition(".")[0]]
                    written = self.settings.get(full, {})
                    given, hidden = _plain(written), frozenset(secrets_in(written))
                    self._asked[place] = Offer(resource, full, target, given, hidden)
        return self._asked[place]

    def _provider(self, full: str) -> Provider | None:
        if full not in self._configured:
            target = self.providers().get(full.partition(".")[0])
            given = _plain(self.settings.get(full, {}))
            self._configured[full] = _provider(full, target, given) if target else None
        return self._configured[full]

    @contextmanager
    def _told(self, full: str) -> Iterator[None]:
        """Keep why a provider cannot be loaded.

        Another may offer what is asked for; if none does, ``missing`` tells it.
        """
        try:
            yield
        except (ImportError, AttributeError) as error:
            self._broken[full.partition(".")[0]] = str(error)


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


def _provider(name: str, target: str, given: Mapping[str, Any]) -> Provider:
    provider = _imported(target)
    try:
        settings = provider.settings.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise stop("Invalid provider settings", f'Provider "{name}": {problems}.') from None
    return provider(settings)
