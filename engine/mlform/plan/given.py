"""What a plan is a function of."""

from __future__ import annotations

from collections.abc import Mapping

from mlform.address import Address
from mlform.config import Project
from mlform.lazy import dataclass, field
from mlform.plan.approvals import Approved, nobody
from mlform.plan.decide import Lookup
from mlform.plan.estimate import Past, no_past
from mlform.plan.pulled import Pulled
from mlform.plan.purge import Retention
from mlform.refresh import ImportFact, Observations
from mlform.values import digest


@dataclass(frozen=True)
class Unplanned:
    """What a plan is a function of, beside the spec and the state."""

    observations: Observations
    lookup: Lookup
    lock: str = ""
    as_of: str | None = None
    targets: tuple[Address, ...] = ()
    further: bool = False
    """Whether it goes on after a round of the same apply."""
    alone: bool = False
    """Targets without what they need: that is taken as it is recorded."""
    exclude: tuple[Address, ...] = ()
    """Left out, with all that needs them."""
    again: frozenset[Address] = frozenset()
    """Done whatever their keys say."""
    destroy: bool = False
    moves: Mapping[Address, Address] = field(default_factory=dict)
    past: Past = no_past
    """What earlier steps took, up to the serial of the snapshot: asked for where any is to run."""
    imports: Mapping[Address, ImportFact] = field(default_factory=dict)
    """What was read of things that exist already and have no record yet."""
    refresh: str = "all"
    unseen: tuple[str, ...] = ()
    adopt: frozenset[Address] = frozenset()
    """What was changed from outside is recorded as it was found."""
    approved: Approved = nobody
    revert: frozenset[Address] = frozenset()
    """What was adopted before is made anew as it is declared."""
    retention: Retention | None = None
    """How data are deleted with what leaves; ``None``: they are kept."""
    pulls: tuple[Pulled, ...] = ()
    """What triggers move first: the snapshot and the pins are those after it."""


def spec_digest(project: Project) -> str:
    """Return the digest of what a project declares."""
    resources = {
        str(a): {n: argument.text for n, argument in sorted(r.arguments.items())}
        for a, r in sorted(project.resources.items())
    }
    modules = [
        [
            str(path),
            {n: a.text for n, a in sorted(it.module.locals.items())},
            {n: o.value.text for n, o in sorted(it.module.outputs.items())},
            {n: a.text for n, a in sorted(it.call.inputs.items())} if it.call else {},
        ]
        for path, it in project.modules.items()
    ]
    return digest([resources, modules, repr(sorted(project.variables.items()))])
