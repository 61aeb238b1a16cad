"""One resource block → its instances: arguments checked by name, meta-arguments understood."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal

from mlform.address import Address, Key
from mlform.config.locals import Locals
from mlform.config.model import Lifecycle, ResourceConfig
from mlform.config.names import Names
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang import evaluate, references
from mlform.registry import KINDS, Offer, Registry
from mlform.sdk.fields import Written, written_as
from mlform.syntax.tree import Attribute, Block
from mlform.values import Sensitive, Value, is_known, plain

META = ("count", "for_each", "depends_on", "provider")
_LIFECYCLE = ("prevent_destroy", "ignore_changes")
_LIFECYCLE_LATER = ("create_before_destroy", "replace_triggered_by", "enabled")


class Resources:
    """Reads resource blocks of one module."""

    def __init__(
        self,
        registry: Registry,
        names: Names,
        scope: Mapping[str, Value],
        locals_: Mapping[str, Attribute],
        diagnostics: Diagnostics,
    ) -> None:
        self.registry, self.names, self.locals = registry, names, locals_
        self.diagnostics = diagnostics
        self.scope: dict[str, Value] = dict(scope)
        self.scope["local"] = Locals(locals_, self.scope, diagnostics)

    def read(self, address: Address, block: Block) -> Iterator[tuple[Address, ResourceConfig]]:
        """Return the instances of one block."""
        type_ = block.labels[0].text if KINDS[block.kind] == 2 else ""
        offer = self.registry.find(block.kind, type_)
        if offer is None:
            at = block.source.span(block.labels[0].start, block.labels[0].end)
            detail = self.registry.missing(block.kind, type_)
            self.diagnostics.error("Unknown resource type", detail, at=at, of=address)
            return
        attributes = block.body.attributes
        arguments = {n: a for n, a in attributes.items() if n not in META}
        self._check_names(address, block, offer, arguments)
        lifecycle = self._lifecycle(block)
        depends = tuple(sorted(self._depends(attributes.get("depends_on"))))
        for key, bindings in self._instances(address, block):
            bound = frozenset(bindings)
            addresses = written_as(offer.resource.arguments, Written.ADDRESS)
            for name, attribute in arguments.items():
                if name in addresses:
                    list(self.names.addresses(attribute))
                else:
                    self.names.needed(attribute, bound)
            instance = Address(address.kind, address.name, key, address.module)
            yield (
                instance,
                ResourceConfig(
                    address=instance,
                    type=type_,
                    offer=offer,
                    arguments=arguments,
                    span=block.header_span,
                    depends_on=depends,
                    lifecycle=lifecycle,
                    bindings=bindings,
                ),
            )

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
                self.diagnostics.error(
                    "Unknown argument", detail, at=attribute.name_span, of=address
                )
        for name, info in fields.items():
            if info.is_required() and name not in arguments:
                detail = f'{address} needs "{name}".'
                self.diagnostics.error("Missing argument", detail, at=block.header_span, of=address)
        for inner in block.body.blocks:
            if inner.kind != "lifecycle":
                detail = f'{address} holds no block "{inner.kind}".'
                if inner.kind in fields:
                    detail += f" It is an argument: write `{inner.kind} = {{ … }}`."
                self.diagnostics.error("Unexpected block", detail, at=inner.header_span, of=address)

    def _instances(
        self, address: Address, block: Block
    ) -> Iterator[tuple[Key, Mapping[str, Value]]]:
        attributes = block.body.attributes
        count, for_each = attributes.get("count"), attributes.get("for_each")
        if count is not None and for_each is not None:
            detail = f"{address} has both `count` and `for_each`. Keep one."
            self.diagnostics.error("Invalid repetition", detail, at=for_each.name_span, of=address)
        elif count is not None:
            number = self._settled(address, count)
            if isinstance(number, Decimal) and number == number.to_integral_value():
                number = int(number)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                self._bad(address, count, "a whole number of 0 or more", number)
                return
            for index in range(number):
                yield index, {"count": {"index": index}}
        elif for_each is not None:
            value = self._settled(address, for_each)
            if isinstance(value, Mapping):
                for key in sorted(value):
                    yield key, {"each": {"key": key, "value": value[key]}}
            elif isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
                for key in sorted({str(v) for v in value}):
                    yield key, {"each": {"key": key, "value": key}}
            else:
                self._bad(address, for_each, "a map, or a set of strings", value)
        else:
            yield None, {}

    def _settled(self, address: Address, attribute: Attribute) -> Value:
        needed = self.names.needed(attribute)
        if needed:
            detail = (
                f"`{attribute.name}` takes a value from {', '.join(map(str, sorted(needed)))}; "
                "how many instances there are must be known from variables and locals."
            )
            at = attribute.value_span
            self.diagnostics.error("Repetition not known", detail, at=at, of=address)
            return 0 if attribute.name == "count" else {}
        return evaluate(attribute.expr, self.scope, self.diagnostics, attribute.source)

    def _bad(self, address: Address, attribute: Attribute, wanted: str, value: Value) -> None:
        if self.diagnostics.errors and not is_known(value):
            return
        detail = f"`{attribute.name}` must be {wanted}; it is {_shown(value)}."
        at = attribute.value_span
        self.diagnostics.error("Invalid repetition", detail, at=at, of=address)

    def _depends(self, attribute: Attribute | None) -> Iterator[Address]:
        if attribute is not None:
            for text in self.names.addresses(attribute):
                kind, name = text.split(".")[:2]
                yield Address(kind, name.partition("[")[0])

    def _lifecycle(self, block: Block) -> Lifecycle:
        protect, ignored = False, set[str]()
        for inner in block.body.blocks:
            if inner.kind != "lifecycle":
                continue
            for name, attribute in inner.body.attributes.items():
                if name == "prevent_destroy":
                    value = evaluate(attribute.expr, self.scope, self.diagnostics, attribute.source)
                    protect = value is True
                    if not isinstance(value, bool):
                        detail = f"`prevent_destroy` is true or false, not {_shown(value)}."
                        at = attribute.value_span
                        self.diagnostics.error("Invalid argument", detail, at=at)
                elif name == "ignore_changes":
                    ignored |= self._ignored(attribute, block)
                else:
                    self._unknown_lifecycle(attribute)
        return Lifecycle(protect, frozenset(ignored))

    def _ignored(self, attribute: Attribute, block: Block) -> set[str]:
        names = {r.root for r in references(attribute.expr)}
        type_ = block.labels[0].text if KINDS[block.kind] == 2 else ""
        offer = self.registry.find(block.kind, type_)
        assert offer is not None, "the block was found before its lifecycle is read"
        fields = offer.resource.arguments.model_fields
        known = {info.alias or name for name, info in fields.items()}
        for name in sorted(names - known):
            detail = f'There is no argument "{name}" to ignore.{did_you_mean(name, known)}'
            self.diagnostics.error("Unknown argument", detail, at=attribute.value_span)
        return names & known

    def _unknown_lifecycle(self, attribute: Attribute) -> None:
        name = attribute.name
        if name in _LIFECYCLE_LATER:
            detail = f"lifecycle.{name} is not available in this version of mlform."
            self.diagnostics.error("Not available yet", detail, at=attribute.name_span)
        else:
            detail = f'lifecycle has no "{name}".{did_you_mean(name, _LIFECYCLE)}'
            self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)


def _shown(value: Value) -> str:
    """Write a value the way the language does."""
    if isinstance(value, Sensitive):
        return "a sensitive value"
    return json.dumps(plain(value), ensure_ascii=False) if is_known(value) else "not known yet"
