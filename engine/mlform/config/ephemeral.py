"""Ephemeral values: used while a command runs, and kept in no state and no plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from mlform.config.blocks import Rule
from mlform.config.model import Module
from mlform.config.names import Names
from mlform.diagnostics import Diagnostics
from mlform.lang import references
from mlform.lang.references import nested
from mlform.lazy import dataclass, replace
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass, field_classes
from mlform.syntax import parse_expression
from mlform.syntax.tree import (
    Attribute,
    Block,
    Call,
    Expr,
    ObjectExpr,
    Source,
    TupleExpr,
)

_SUMMARY = "Ephemeral value kept"
_FUNCTION: Final = "ephemeralasnull"


@dataclass(frozen=True)
class Ephemerals:
    """Notes where a value that must not be kept would be."""

    diagnostics: Diagnostics

    def module(self, names: Names) -> None:
        """Check the outputs of a module, and what it passes to those that it calls."""
        module = names.module
        for output in module.outputs.values():
            if not output.ephemeral:
                what = f'output "{output.name}" keeps what it is given'
                mend = " Write `ephemeral = true` there."
                if not module.path:
                    mend = " Outputs of the root module are recorded: give it something else."
                self._refuse(names, output.value, what, mend)
        for name, call in module.calls.items():
            for given, attribute in call.inputs.items():
                variable = call.module.variables.get(given)
                if variable is not None and not variable.ephemeral:
                    what = f'the variable "{given}" of module "{name}" is not ephemeral'
                    self._refuse(names, attribute, what, " Write `ephemeral = true` there.")

    def resource(self, names: Names, offered: AnyResource, arguments: dict[str, Attribute]) -> None:
        """Check the arguments of a resource: only its secrets are written nowhere."""
        fields = offered.arguments.model_fields
        classes = field_classes(offered.arguments)
        secret = {(fields[n].alias or n) for n, c in classes.items() if c is FieldClass.SECRET}
        mend = f" Only secrets may take it: {', '.join(sorted(secret)) or 'it has none'}."
        for name, attribute in arguments.items():
            if name not in secret:
                self._refuse(names, attribute, f'"{name}" is recorded in the state', mend)

    def _refuse(self, names: Names, attribute: Attribute, why: str, mend: str = "") -> None:
        if not names.ephemeral:
            return
        for what in reached(names, attribute):
            detail = f"{what} is ephemeral, and {why}.{mend}"
            self.diagnostics.error(_SUMMARY, detail, at=attribute.value_span)
            return


def reached(names: Names, attribute: Attribute) -> Iterator[str]:
    """Yield the ephemeral variables and outputs that an expression takes values from."""
    yield from _reached(names.module, attribute.expr, set())


def _reached(module: Module, expr: Expr, seen: set[str]) -> Iterator[str]:
    for reference in references(expr):
        if not reference.steps:
            continue
        name = str(reference.steps[0])
        if reference.root == "var":
            variable = module.variables.get(name)
            if variable is not None and variable.ephemeral:
                yield f"var.{name}"
        elif reference.root == "local" and name in module.locals and name not in seen:
            seen.add(name)
            yield from _reached(module, module.locals[name].expr, seen)
        elif reference.root == "module" and name in module.calls:
            outputs = module.calls[name].module.outputs
            for step in reference.steps[1:3]:
                output = outputs.get(str(step))
                if output is not None and output.ephemeral:
                    yield f"module.{name}.{output.name}"


def as_null(module: Module) -> Module:
    """Return a module in which ``ephemeralasnull`` is given null where it would be ephemeral.

    What is ephemeral can be told from the text alone. So that no plan needs the value to know
    that it is null, it is taken out of the text; what stands after it keeps its place.
    """
    outputs = [o.ephemeral for c in module.calls.values() for o in c.module.outputs.values()]
    if not any(outputs) and not any(v.ephemeral for v in module.variables.values()):
        return module
    nulled = partial(_nulled, module)
    module = replace(module, locals={n: nulled(a) for n, a in module.locals.items()})
    nulled = partial(_nulled, module)

    def rules(given: Iterable[Rule]) -> tuple[Rule, ...]:
        return tuple(Rule(nulled(r.condition), nulled(r.message)) for r in given)

    def block(given: Block) -> Block:
        attributes = {n: nulled(a) for n, a in given.body.attributes.items()}
        inner = tuple(block(b) for b in given.body.blocks)
        return given._replace(body=given.body._replace(attributes=attributes, blocks=inner))

    return replace(
        module,
        variables={n: replace(v, rules=rules(v.rules)) for n, v in module.variables.items()},
        outputs={
            n: replace(o, value=nulled(o.value), preconditions=rules(o.preconditions))
            for n, o in module.outputs.items()
        },
        checks={n: replace(c, rules=rules(c.rules)) for n, c in module.checks.items()},
        blocks={a: block(b) for a, b in module.blocks.items()},
        calls={
            n: replace(c, inputs={i: nulled(a) for i, a in c.inputs.items()})
            for n, c in module.calls.items()
        },
    )


def _nulled(module: Module, attribute: Attribute) -> Attribute:
    if _FUNCTION not in attribute.text:
        return attribute
    source, text = attribute.source, list(attribute.source.text)
    for call in nested(attribute.expr):
        if isinstance(call, Call) and call.name == _FUNCTION:
            for part in _ephemeral_parts(module, call.arguments):
                rest = text[part[0] + 4 : part[1]]
                text[part[0] : part[1]] = [*"null", *("\n" if c == "\n" else " " for c in rest)]
    before = "".join(c if c == "\n" else " " for c in source.text[: attribute.expr.start])
    changed = before + "".join(text)[attribute.expr.start : attribute.expr.end]
    expr, _ = parse_expression(changed, source.file, Diagnostics())
    return attribute._replace(expr=expr, source=Source(source.file, "".join(text)))


def _ephemeral_parts(module: Module, values: Iterable[Expr]) -> Iterator[Expr]:
    """Yield the parts of values to be null: in objects and lists the elements, else the whole."""
    for value in values:
        match value:
            case ObjectExpr(items=items):
                yield from _ephemeral_parts(module, (v for _, v in items))
            case TupleExpr(items=items):
                yield from _ephemeral_parts(module, items)
            case _:
                if any(_reached(module, value, set())):
                    yield value
