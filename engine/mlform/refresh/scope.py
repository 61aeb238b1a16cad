"""What the roots of expressions are worth: variables, locals, resources, and ``prior``."""

from __future__ import annotations

from mlform.address import Address
from mlform.config import Locals, Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.lang import evaluate, references
from mlform.refresh.world import absent, known_handle, place
from mlform.registry import KINDS
from mlform.sdk.fields import Written, written_as
from mlform.state.model import Snapshot
from mlform.syntax.tree import Attribute
from mlform.values import Value


class Scope:
    """The scope of one walk over a project: resources are put in as the walk reaches them."""

    def __init__(self, project: Project, snapshot: Snapshot, diagnostics: Diagnostics) -> None:
        self.project, self.diagnostics = project, diagnostics
        self.roots: dict[str, Value] = {**project.base_scope(), **{k: {} for k in KINDS}}
        self.roots["prior"] = _prior(project, snapshot)
        self.roots["local"] = Locals(project.locals, self.roots, diagnostics)

    def put(self, address: Address, value: Value) -> None:
        """Say what a resource is worth from now on."""
        place(self.roots, address, value)

    def arguments(self, resource: ResourceConfig) -> dict[str, Value]:
        """Return what a resource's arguments are worth, as far as that is known."""
        written = written_as(resource.offer.resource.arguments, Written.ADDRESS)
        scope = {**self.roots, **resource.bindings}
        return {
            name: _addresses(argument)
            if name in written
            else evaluate(argument.expr, scope, self.diagnostics, argument.source)
            for name, argument in resource.arguments.items()
        }

    def value(self, attribute: Attribute) -> Value:
        """Return what an expression outside any resource is worth."""
        return evaluate(attribute.expr, self.roots, self.diagnostics, attribute.source)


def _addresses(argument: Attribute) -> Value:
    text = argument.source.text
    return [text[r.start : r.end] for r in references(argument.expr)]


def _prior(project: Project, snapshot: Snapshot) -> dict[str, Value]:
    prior: dict[str, Value] = {kind: {} for kind in KINDS}
    for address, resource in project.resources.items():
        record = snapshot.records.get(address)
        offered = resource.offer.resource
        if record is None or record.type != offered.type:
            place(prior, address, absent(offered))
        else:
            place(prior, address, known_handle(address, offered, record.attributes))
    return prior
