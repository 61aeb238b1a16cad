"""``import`` blocks: what exists already, and the address at which it comes under management."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from mlform.address import Address
from mlform.config.blocks import Reader
from mlform.config.model import ROOT, Bindings, Import, Project
from mlform.config.names import Names
from mlform.config.repetition import NotYetError, Repetition
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang import evaluate
from mlform.lazy import dataclass, field, replace
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Block, Expr, GetAttr, Index, Name
from mlform.values import Sensitive, Unknown

ARGUMENTS = ("to", "id", "for_each", "provider", "type")


@dataclass
class Imports:
    """Reads the ``import`` blocks of the root module."""

    project: Project
    scope: ModuleScope
    names: Names
    diagnostics: Diagnostics
    found: dict[Address, Import] = field(default_factory=dict)

    def read(self, block: Block) -> None:
        """Take what one block imports: one thing, or one for each element of ``for_each``."""
        reader = Reader(self.diagnostics)
        reader.only(block, ARGUMENTS)
        given = reader.required(block, "to", "id")
        if given is None:
            return
        repetition = Repetition(self.names, self.scope.roots, self.diagnostics)
        try:
            for _, bindings in repetition.instances("import", block):
                self._one(block, given[0], given[1], bindings)
        except NotYetError:
            self._not_yet(block.body.attributes["for_each"])

    def _one(self, block: Block, to: Attribute, id_: Attribute, bindings: Bindings) -> None:
        target = self._target(to, bindings)
        identifier = self._text(id_, bindings)
        if target is None or identifier is None:
            return
        if (before := self.found.get(target)) is not None:
            detail = f"{target} is imported already, at {before.span}. Keep one."
            self.diagnostics.error("Invalid import", detail, at=to.value_span)
            return
        attributes = block.body.attributes
        type_ = Reader(self.diagnostics).text(attributes.get("type"))
        provider = attributes.get("provider")
        found = Import(
            target,
            identifier,
            block.header_span,
            to=to.value_span,
            at=id_.value_span,
            type=type_,
            provider="" if provider is None else provider.text,
            type_at=attributes["type"].value_span if "type" in attributes else None,
        )
        if self._fits(found, attributes):
            self.found[target] = found

    def _fits(self, found: Import, attributes: Mapping[str, Attribute]) -> bool:
        """Note what does not go with the block that the target has, or has not."""
        target = found.target
        if target.module != ROOT and not self._module_there(target):
            names = sorted({replace(a, module=a.module).spot for a in self.project.declared} - {""})
            detail = (
                f"There is no module instance {target.spot.removesuffix('.')}."
                f"{did_you_mean(target.spot, names)}"
            )
            self.diagnostics.error("Invalid import", detail, at=found.to, missing=True)
            return False
        if target.config not in self.project.declared:
            return True
        if (resource := self.project.resources.get(target)) is not None:
            said = {"type": resource.type, "provider": resource.offer.provider}
            wrong = [n for n, v in said.items() if getattr(found, n) not in {"", v}]
            for name in wrong:
                detail = (
                    f"{target} has a block, and its {name} is {said[name]}. Leave `{name}` out: it "
                    "is for imports whose block is still to be written."
                )
                at = attributes[name].value_span
                self.diagnostics.error("Invalid import", detail, at=at)
            return not wrong
        if self.project.rests.is_later(target.config):
            return True
        instances = self.project.instances(target.config)
        listed = ", ".join(map(str, instances[:8])) or "none"
        detail = (
            f"{target} is no instance of its block.{did_you_mean(str(target), map(str, instances))}"
            f" Its instances: {listed}."
        )
        self.diagnostics.error("Invalid import", detail, at=found.to)
        return False

    def _module_there(self, target: Address) -> bool:
        later = self.project.rests.is_later(target.config)
        return later or target.module in self.project.modules

    def _target(self, to: Attribute, bindings: Bindings) -> Address | None:
        written = chain(to.expr, partial(self._key, to, bindings))
        try:
            found = Address.parse(written or "")
        except ValueError:
            found = None
        if found is not None and found.kind in KINDS:
            return found
        if written is not None and written.startswith("module."):
            detail = f"{written} is a module; only a resource can be imported."
            self.diagnostics.error("Invalid import", detail, at=to.value_span)
            return None
        detail = (
            f"`{to.text}` is no address. It is written KIND.NAME, with modules before it and an "
            "instance key after it if need be."
        )
        self.diagnostics.error("Invalid address", detail, at=to.value_span)
        return None

    def _key(self, to: Attribute, bindings: Bindings, expr: Expr) -> str | int | None:
        roots = {**self.scope.roots, **bindings}
        value = evaluate(expr, roots, self.diagnostics, to.source)
        if isinstance(value, Decimal) and value == value.to_integral_value():
            return int(value)
        return value if isinstance(value, int | str) and not isinstance(value, bool) else None

    def _text(self, attribute: Attribute, bindings: Bindings) -> str | None:
        if self.names.needed(attribute, frozenset(bindings)):
            self._not_yet(attribute)
            return None
        errors = len(self.diagnostics.errors)
        value = self.scope.value(attribute, bindings)
        if isinstance(value, Sensitive):
            detail = "`id` is sensitive, and stands in every plan. If it may: nonsensitive(…)."
            self.diagnostics.error("Invalid import", detail, at=attribute.value_span)
        elif isinstance(value, str) and value:
            return value
        elif not isinstance(value, Unknown) or len(self.diagnostics.errors) == errors:
            detail = (
                f"`{attribute.name}` is a string, what the provider knows the thing by, not "
                f"{attribute.text}."
            )
            self.diagnostics.error("Invalid import", detail, at=attribute.value_span)
        return None

    def _not_yet(self, attribute: Attribute) -> None:
        detail = (
            f"`{attribute.name}` of an import must be known before anything is planned: from "
            "variables, locals and `each`."
        )
        self.diagnostics.error("Value not known yet", detail, at=attribute.value_span)


def chain(expr: Expr, key: Callable[[Expr], str | int | None]) -> str | None:
    """Return ``a.b["c"]`` as an address is written, or ``None`` if it is anything else."""
    match expr:
        case Name(name=name):
            return name
        case GetAttr(target=target, name=name):
            before = chain(target, key)
            return None if before is None else f"{before}.{name}"
        case Index(target=target, key=inner):
            before, found = chain(target, key), key(inner)
            if before is None or found is None:
                return None
            return f"{before}[{json.dumps(found, ensure_ascii=False)}]"
        case _:
            return None
