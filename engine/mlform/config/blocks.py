"""Reading blocks: the arguments and blocks one may hold, constants, conditions with messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mlform.diagnostics import Diagnostics, Span, did_you_mean
from mlform.lang import Type, evaluate
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute, Block, GetAttr, Index, Name, TupleExpr
from mlform.values import Sensitive, Unknown, Value


@dataclass(frozen=True)
class Rule:
    """A condition that must hold, and what to say where it does not."""

    condition: Attribute
    message: Attribute


@dataclass(frozen=True)
class Variable:
    """One ``variable`` block. ``type`` is ``None`` where any value will do."""

    name: str
    span: Span
    type: Type | None
    written: str
    """The type as it is written, ``any`` where it is not."""
    default: Attribute | None
    description: str
    sensitive: bool
    ephemeral: bool
    nullable: bool
    rules: tuple[Rule, ...]

    @property
    def secret(self) -> bool:
        """Whether its value is never shown."""
        return self.sensitive or self.ephemeral


@dataclass(frozen=True)
class Reader:
    """Reads parts of blocks, noting what does not belong there."""

    diagnostics: Diagnostics

    def only(self, block: Block, known: Collection[str], blocks: Collection[str] = ()) -> None:
        """Note every argument and block that a block does not take."""
        what = f"{_article(block.kind)} {block.kind} block"
        self.arguments(block.body.attributes.values(), known, what)
        for inner in block.body.blocks:
            if inner.kind not in blocks:
                detail = f'{what} holds no block "{inner.kind}".'
                if inner.kind in known:
                    detail += f" It is an argument: write `{inner.kind} = …`."
                else:
                    detail += _instead(inner.kind, blocks, "It holds", "no blocks")
                self.diagnostics.error("Unexpected block", detail, at=inner.header_span)

    def arguments(self, attributes: Iterable[Attribute], known: Collection[str], what: str) -> None:
        """Note every argument that is not among the known ones."""
        for attribute in attributes:
            if attribute.name not in known:
                hint = _instead(attribute.name, known, "It takes", "no arguments")
                detail = f'{what} has no "{attribute.name}".{hint}'
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)

    def required(self, block: Block, *names: str) -> list[Attribute] | None:
        """Return the arguments of these names, or note which are missing."""
        found = [block.body.attributes.get(name) for name in names]
        missing = [n for n, a in zip(names, found, strict=True) if a is None]
        if missing:
            wanted = " and ".join(f'"{name}"' for name in missing)
            detail = f"{_article(block.kind)} {block.kind} block needs {wanted}."
            self.diagnostics.error("Missing argument", detail, at=block.header_span)
            return None
        return [a for a in found if a is not None]

    def constant(self, attribute: Attribute, scope: Mapping[str, Value] | None = None) -> Any:
        """Return the value of an argument that may refer to nothing outside ``scope``."""
        value = evaluate(attribute.expr, scope or {}, self.diagnostics, attribute.source)
        return value.value if isinstance(value, Sensitive) else value

    def flag(self, attribute: Attribute | None, *, default: bool = False) -> bool:
        """Return an argument that is true or false, as written."""
        if attribute is None:
            return default
        value = as_flag(self.constant(attribute))
        if not isinstance(value, bool):
            if not isinstance(value, Unknown):
                detail = f"`{attribute.name}` is true or false, written without quotes."
                self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
            return default
        return value

    def text(
        self,
        attribute: Attribute | None,
        default: str = "",
        scope: Mapping[str, Value] | None = None,
    ) -> str:
        """Return an argument that is text, as written, or worked out from ``scope``."""
        if attribute is None:
            return default
        value = self.constant(attribute, scope)
        if not isinstance(value, str) and not isinstance(value, Unknown):
            detail = f"`{attribute.name}` is a string, and known when the spec is read."
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
        return value if isinstance(value, str) else default

    def rules(self, block: Block, *kinds: str) -> Iterator[tuple[str, Rule]]:
        """Yield the conditions that a block holds, each with the kind of block it stands in."""
        for inner in block.body.blocks:
            if inner.kind in kinds:
                self.only(inner, ("condition", "error_message"))
                if found := self.required(inner, "condition", "error_message"):
                    yield inner.kind, Rule(*found)

    def once(self, block: Block, kind: str) -> Block | None:
        """Return the one inner block of a kind, noting a second."""
        found = [inner for inner in block.body.blocks if inner.kind == kind]
        for second in found[1:]:
            detail = f"There is one {kind} block already, at {found[0].header_span}. Keep one."
            self.diagnostics.error("Duplicate block", detail, at=second.header_span)
        return found[0] if found else None


def _instead(written: str, known: Collection[str], it: str, nothing: str) -> str:
    """Say what may have been meant, or else all there is."""
    return did_you_mean(written, known) or f" {it} {', '.join(known) or nothing}."


def _article(kind: str) -> str:
    return "An" if kind[0] in "aeiou" else "A"


def not_references(attribute: Attribute) -> Iterator[Span]:
    """Yield where something else stands in a list that is to hold references only."""
    expr = attribute.expr
    if not isinstance(expr, TupleExpr):
        yield attribute.value_span
        return
    for item in expr.items:
        inner = item
        while isinstance(inner, GetAttr | Index):
            inner = inner.target
        if not isinstance(inner, Name):
            yield attribute.source.span(item[0], item[1])


def as_flag(value: Value) -> Value:
    """Return a value as a bool where it converts to one: ``"true"`` and ``"false"`` do."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def is_name(text: str) -> bool:
    """Tell whether a text can name something: letters, digits, ``_`` and ``-``."""
    return text.replace("-", "_").isidentifier() and not text.startswith("-")
