"""``lifecycle``: how changes of a resource are handled, and what must hold around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from mlform.config.blocks import Reader, Rule, as_flag, not_references
from mlform.config.model import Bindings, Lifecycle
from mlform.config.names import Names
from mlform.config.repetition import shown
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics, Span, did_you_mean
from mlform.lang import references
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute, Block, Name, TupleExpr
from mlform.values import is_known

ARGUMENTS = (
    "create_before_destroy",
    "prevent_destroy",
    "ignore_changes",
    "replace_triggered_by",
    "enabled",
    "determinism",
)
DETERMINISM = ("none", "statistical", "bitwise")
_BLOCKS = ("precondition", "postcondition")
_REPEATED = frozenset({"each", "count"})


@dataclass(frozen=True)
class LifecycleBlock:
    """The ``lifecycle`` block of one resource block, if it has one."""

    owner: Block
    fields: Mapping[str, Any]
    names: Names
    diagnostics: Diagnostics

    def read(self, scope: ModuleScope, bindings: Bindings) -> Lifecycle | None:
        """Return it for one instance; ``None`` if that is not ``enabled``."""
        block, rules = self._block, self._rules
        if block is None:
            return Lifecycle()
        attributes = block.body.attributes
        if not self._flag(attributes.get("enabled"), scope, bindings, default=True):
            return None
        return Lifecycle(
            prevent_destroy=self._flag(attributes.get("prevent_destroy"), scope, bindings),
            create_before_destroy=self._flag(
                attributes.get("create_before_destroy"), scope, bindings
            ),
            determinism=self._determinism(attributes.get("determinism"), scope, bindings),
            ignore_changes=self._ignored,
            triggers=self._triggers,
            preconditions=tuple(r for kind, r in rules if kind == "precondition"),
            postconditions=tuple(r for kind, r in rules if kind == "postcondition"),
        )

    @property
    def enabled_at(self) -> Span:
        """Where it is written whether instances are enabled: the whole block if nowhere."""
        written = self._block.body.attributes.get("enabled") if self._block else None
        return self.owner.header_span if written is None else written.value_span

    @property
    def early(self) -> Iterable[Attribute]:
        """What is written of how a plan goes about it, which must be known before."""
        attributes = {} if self._block is None else self._block.body.attributes
        return [a for n, a in attributes.items() if n != "replace_triggered_by"]

    @cached_property
    def _block(self) -> Block | None:
        reader = Reader(self.diagnostics)
        block = reader.once(self.owner, "lifecycle")
        if block is not None:
            reader.only(block, ARGUMENTS, _BLOCKS)
        return block

    @cached_property
    def _rules(self) -> list[tuple[str, Rule]]:
        if self._block is None:
            return []
        found = list(Reader(self.diagnostics).rules(self._block, *_BLOCKS))
        for kind, rule in found:
            bound = _REPEATED | ({"self"} if kind == "postcondition" else set())
            self.names.needed(rule.condition, bound)
            self.names.needed(rule.message, bound)
        return found

    @cached_property
    def _triggers(self) -> tuple[Attribute, ...]:
        written = self._block.body.attributes.get("replace_triggered_by") if self._block else None
        if written is None:
            return ()
        items = written.expr.items if isinstance(written.expr, TupleExpr) else ()
        self.names.needed(written, _REPEATED)
        if not items:
            detail = "`replace_triggered_by` is a list of references: [KIND.NAME, …]."
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        return tuple(
            Attribute(item[0], item[1], written.name, item, written.source) for item in items
        )

    @cached_property
    def _ignored(self) -> frozenset[str]:
        written = self._block.body.attributes.get("ignore_changes") if self._block else None
        if written is None:
            return frozenset()
        if isinstance(written.expr, Name) and written.expr.name == "all":
            return frozenset(self.fields)
        for item in not_references(written):
            detail = "`ignore_changes` is a list of names without quotes, or `all`."
            self.diagnostics.error("Invalid argument", detail, at=item)
        found = {r.root: r for r in references(written.expr)}
        for name in sorted(found.keys() - self.fields.keys()):
            hint = did_you_mean(name, self.fields)
            detail = f'There is no argument "{name}" to ignore.{hint}'
            at = written.source.span(found[name].start, found[name].end)
            self.diagnostics.error("Unknown argument", detail, at=at)
        return frozenset(found.keys() & self.fields.keys())

    def _determinism(
        self, attribute: Attribute | None, scope: ModuleScope, bindings: Bindings
    ) -> str:
        if attribute is None:
            return Lifecycle.determinism
        value = scope.value(attribute, bindings)
        if not self.names.needed(attribute, frozenset(bindings)) and value in DETERMINISM:
            return str(value)
        detail = f"`determinism` is one of {', '.join(DETERMINISM)}, known before planning."
        self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
        return Lifecycle.determinism

    def _flag(
        self,
        attribute: Attribute | None,
        scope: ModuleScope,
        bindings: Bindings,
        *,
        default: bool = False,
    ) -> bool:
        if attribute is None:
            return default
        if needed := self.names.needed(attribute, frozenset(bindings)):
            detail = (
                f"`{attribute.name}` takes a value from {', '.join(map(str, sorted(needed)))}; it "
                "must be known from variables and locals."
            )
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
            return default
        value = as_flag(scope.value(attribute, bindings))
        if not isinstance(value, bool):
            if is_known(value):
                detail = f"`{attribute.name}` is true or false, not {shown(value)}."
                self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
            return default
        return value
