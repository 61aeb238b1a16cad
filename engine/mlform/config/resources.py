"""One resource block → its instances: arguments checked by name, meta-arguments understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from mlform.address import Address, Key
from mlform.config.blocks import Rule
from mlform.config.demands import ARGUMENTS as DEMANDS
from mlform.config.demands import BLOCKS as DEMAND_BLOCKS
from mlform.config.demands import DemandBlock
from mlform.config.ephemeral import Ephemerals
from mlform.config.lifecycle import LifecycleBlock
from mlform.config.model import Bindings, ResourceConfig, Settings
from mlform.config.names import Names
from mlform.config.nested import with_blocks
from mlform.config.repetition import NotYetError, Repetition, unknown_bindings
from mlform.config.rests import Rests
from mlform.config.scope import ModuleScope
from mlform.config.steady import Steady, takes_values, with_element
from mlform.diagnostics import DiagnosedError, Diagnostics, Span, did_you_mean
from mlform.lazy import dataclass, replace
from mlform.registry import KINDS, Offer, Registry
from mlform.sdk.fields import Written, written_as
from mlform.syntax.tree import Attribute, Block

META = ("count", "for_each", "depends_on", "provider", *DEMANDS)


@dataclass(frozen=True)
class Declared:
    """One resource block, read once however many instances its module has."""

    block: Block
    offer: Offer
    arguments: Mapping[str, Attribute]
    lifecycle: LifecycleBlock
    demand: DemandBlock
    depends_on: tuple[Address, ...]

    @cached_property
    def late(self) -> bool:
        """Whether ``each.value`` may be known later than which instances there are."""
        early = (*self.lifecycle.early, *self.demand.written.values())
        return not any(map(takes_values, early))

    def filled(self, made: ResourceConfig) -> ResourceConfig:
        """Return an instance in which the element of ``for_each`` stands for ``each.value``."""
        for_each = self.block.body.attributes.get("for_each")
        if for_each is None:
            return made
        key = str(made.address.key)

        def put(attribute: Attribute) -> Attribute:
            return with_element(attribute, for_each, key)

        def rules(given: tuple[Rule, ...]) -> tuple[Rule, ...]:
            return tuple(Rule(put(r.condition), put(r.message)) for r in given)

        lifecycle = replace(
            made.lifecycle,
            triggers=tuple(map(put, made.lifecycle.triggers)),
            preconditions=rules(made.lifecycle.preconditions),
            postconditions=rules(made.lifecycle.postconditions),
        )
        arguments = {name: put(a) for name, a in made.arguments.items()}
        return replace(made, arguments=arguments, lifecycle=lifecycle)


class Resources:
    """Reads the resource blocks of a project."""

    def __init__(
        self,
        registry: Registry,
        names: Names,
        providers: Providers,
        settings: Settings,
        steady: Steady,
        diagnostics: Diagnostics,
    ) -> None:
        self.settings, self._steady = settings, steady
        self.registry, self.root, self.diagnostics = registry, names, diagnostics
        self.providers = providers
        self._declared: dict[Address, Declared | None] = {}
        self.disabled: dict[Address, Span] = {}

    def read(
        self, address: Address, block: Block, scope: ModuleScope, rests: Rests
    ) -> Iterator[tuple[Address, ResourceConfig]]:
        """Return the instances of one block in one instance of its module.

        Where they cannot be told yet there are none; ``rests`` is told so.
        """
        if address not in self._declared:
            try:
                self._declared[address] = self._declare(address, block)
            except DiagnosedError as error:  # its provider refuses its settings
                self.diagnostics.extend(error.diagnostics)
                self._declared[address] = None
        declared, names = self._declared[address], self.root.of(address)
        same = scope.path == address.module
        here = address if same else Address(address.kind, address.name, module=scope.path)
        if declared is None:
            rests.later.add(here)  # so that what refers to it is no echo
            return
        repetition = Repetition(names, scope.roots, self.diagnostics)
        needed = repetition.needed(block)
        steady = self._steady.instances(scope.path, block) if needed and declared.late else None
        if steady is not None:
            for key, bindings in steady.items():
                if made := self._instance(declared, here, key, bindings, scope):
                    yield made.address, declared.filled(made)
            return
        if needed:
            rests.blocks[here] = needed
        errors, found = len(self.diagnostics.errors), False
        try:
            for key, bindings in repetition.instances(str(address), block):
                found = True
                if made := self._instance(declared, here, key, bindings, scope):
                    yield made.address, made
            if not found and len(self.diagnostics.errors) > errors:
                rests.later.add(here)  # so that what refers to it is no echo
        except NotYetError:
            rests.later.add(here)
            unknown = unknown_bindings(block)
            if sample := self._instance(declared, here, None, unknown, scope):
                rests.samples[here] = sample

    def _instance(
        self,
        declared: Declared,
        block: Address,
        key: Key,
        bindings: Bindings,
        scope: ModuleScope,
    ) -> ResourceConfig | None:
        address = block if key is None else replace(block, key=key)
        lifecycle = declared.lifecycle.read(scope, bindings)
        if lifecycle is None:
            self.disabled[address] = declared.lifecycle.enabled_at
            return None
        return ResourceConfig(
            address=address,
            type=declared.offer.resource.type,
            offer=declared.offer,
            arguments=declared.arguments,
            span=declared.block.header_span,
            depends_on=declared.depends_on,
            lifecycle=lifecycle,
            bindings=bindings,
            demand=declared.demand.read(scope, bindings),
            asks=declared.demand.written,
        )

    def _declare(self, address: Address, block: Block) -> Declared | None:
        names = self.root.of(address)
        type_ = block.labels[0].text if KINDS[block.kind] == 2 else ""
        provider = self.providers.of(block, names)
        offer = self.registry.find(block.kind, type_, provider)
        if offer is None:
            at = block.source.span(block.labels[0].start, block.labels[0].end)
            detail = self.registry.missing(block.kind, type_)
            self.diagnostics.error("Unknown resource type", detail, at=at, of=address)
            return None
        fields = {
            (info.alias or name): info
            for name, info in offer.resource.arguments.model_fields.items()
        }
        arguments = with_blocks(block, fields, self.diagnostics)
        arguments = {n: a for n, a in arguments.items() if n not in META}
        self._check_names(address, block, offer, arguments)
        self._check_references(block, offer, arguments, names)
        Ephemerals(self.diagnostics).resource(names, offer.resource, arguments)
        lifecycle = LifecycleBlock(block, fields, names, self.diagnostics)
        depends = set(names.waited(block.body.attributes.get("depends_on")))
        depends |= set(self._callers_wait(names))
        demand = DemandBlock(block, names, self.settings, self.diagnostics)
        return Declared(block, offer, arguments, lifecycle, demand, tuple(sorted(depends)))

    def _callers_wait(self, names: Names) -> Iterator[Address]:
        while names.caller is not None:
            names, call = names.caller
            yield from names.waited(call.depends_on)

    def _check_references(
        self, block: Block, offer: Offer, arguments: Mapping[str, Attribute], names: Names
    ) -> None:
        attributes = block.body.attributes
        bound = {"each"} if "for_each" in attributes else set()
        bound |= {"count"} if "count" in attributes else set()
        addresses = written_as(offer.resource.arguments, Written.ADDRESS)
        for name, attribute in arguments.items():
            if name in addresses:
                names.addressed(attribute, frozenset(bound))
            else:
                names.needed(attribute, frozenset(bound))

    def _check_names(
        self, address: Address, block: Block, offer: Offer, arguments: Mapping[str, Attribute]
    ) -> None:
        fields = {
            (info.alias or name): info
            for name, info in offer.resource.arguments.model_fields.items()
        }
        known = [*fields, *META]
        for name, attribute in arguments.items():
            if name not in fields:
                detail = (
                    f'{block.kind} "{offer.resource.type}" has no argument "{name}".'
                    f"{did_you_mean(name, known)} It takes {', '.join(fields)}."
                )
                if name in {"lifecycle", *DEMAND_BLOCKS}:
                    detail = f"`{name}` is a block, without an equals sign: {name} {{ … }}."
                self.diagnostics.error(
                    "Unknown argument", detail, at=attribute.name_span, of=address
                )
        for name, info in fields.items():
            if info.is_required() and name not in arguments:
                detail = f'{address} needs "{name}".'
                self.diagnostics.error("Missing argument", detail, at=block.header_span, of=address)


class Providers:
    """Which configuration of its provider each resource uses: the plain one, or an alias."""

    def __init__(
        self, known: Mapping[str, object], registry: Registry, diagnostics: Diagnostics
    ) -> None:
        self.known, self.registry, self.diagnostics = known, registry, diagnostics

    def of(self, block: Block, names: Names) -> str:
        """Return ``provider`` or ``provider.alias`` of a resource block, empty for the default."""
        attribute = block.body.attributes.get("provider")
        if attribute is None:
            return self._implied(block, names)
        written = attribute.text
        if written.count(".") > 1 or not written.translate({46: "_", 45: "_"}).isidentifier():
            detail = "`provider` is written PROVIDER or PROVIDER.ALIAS, without quotes."
            self.diagnostics.error("Invalid provider", detail, at=attribute.value_span)
            return ""
        name = self._passed(written, names)
        if name not in self.known:
            detail = (
                f'There is no provider block "{name}".{did_you_mean(name, self.known)} An alias is '
                f'declared in the root module: provider "{name.partition(".")[0]}" '
                f'{{ alias = "{name.partition(".")[2]}" }}.'
            )
            at = attribute.value_span
            self.diagnostics.error("Unknown provider", detail, at=at, missing=True)
            return ""
        return name

    def _implied(self, block: Block, names: Names) -> str:
        """Return what the calls pass for the provider that offers the type of a block."""
        if names.caller is None:
            return ""
        type_ = block.labels[0].text if KINDS[block.kind] == 2 else ""
        offer = self.registry.find(block.kind, type_)
        if offer is None or offer.target is None:
            return ""
        passed = self._passed(offer.provider, names)
        return "" if passed == offer.provider else passed

    def _passed(self, name: str, names: Names) -> str:
        """Follow the ``providers`` of the calls outwards to what the root module calls it."""
        while names.caller is not None:
            names, call = names.caller
            name = call.providers.get(name, name)
        return name
