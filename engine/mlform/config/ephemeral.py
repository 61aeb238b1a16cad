"""Ephemeral values: used while a command runs, and kept in no state and no plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlform.config.names import Names
from mlform.diagnostics import Diagnostics
from mlform.lang import references
from mlform.sdk import AnyResource
from mlform.sdk.fields import FieldClass, field_classes
from mlform.syntax.tree import Attribute

_SUMMARY = "Ephemeral value kept"


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
    yield from _reached(names, attribute, set())


def _reached(names: Names, attribute: Attribute, seen: set[str]) -> Iterator[str]:
    module = names.module
    for reference in references(attribute.expr):
        if not reference.steps:
            continue
        name = str(reference.steps[0])
        if reference.root == "var":
            variable = module.variables.get(name)
            if variable is not None and variable.ephemeral:
                yield f"var.{name}"
        elif reference.root == "local" and name in module.locals and name not in seen:
            seen.add(name)
            yield from _reached(names, module.locals[name], seen)
        elif reference.root == "module" and name in module.calls:
            outputs = module.calls[name].module.outputs
            for step in reference.steps[1:3]:
                output = outputs.get(str(step))
                if output is not None and output.ephemeral:
                    yield f"module.{name}.{output.name}"
