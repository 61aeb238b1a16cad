"""Where a resource runs and what it may use: ``executor``, ``timeout``, ``pool`` and two blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from mlform.config.blocks import Reader
from mlform.config.executors import capacity
from mlform.config.model import Bindings, Settings
from mlform.config.names import Names
from mlform.config.quantities import count, gpus, number, seconds, size, text, texts
from mlform.config.repetition import shown
from mlform.config.scope import ModuleScope
from mlform.demand import LOCAL, RETRIED, Demand
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lazy import dataclass
from mlform.syntax.tree import Attribute, Block, Expr, GetAttr, Name
from mlform.values import Value, is_known

ARGUMENTS: Final = ("executor", "timeout", "pool")
BLOCKS: Final[Mapping[str, tuple[str, ...]]] = {
    "resources": ("cpu", "gpu", "memory"),
    "retry": ("attempts", "backoff", "on"),
}


@dataclass(frozen=True)
class DemandBlock:
    """What one resource block says of where it runs."""

    owner: Block
    names: Names
    settings: Settings
    diagnostics: Diagnostics

    def read(self, scope: ModuleScope, bindings: Bindings) -> Demand:
        """Return it for one instance."""
        if not self.written:
            return _NOTHING
        found: dict[str, Any] = {}
        for name, attribute in self.written.items():
            reader, sort = _READERS[name]
            if self.names.needed(attribute, frozenset(bindings)):
                self._not_known(attribute)
                continue
            value = scope.value(attribute, bindings)
            if value is None or not is_known(value):
                continue
            if (read := reader(value)) is None:
                detail = f"`{attribute.name}` is {sort}, not {shown(value)}."
                self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
            else:
                found[_FIELDS.get(name, name)] = read
        demand = Demand(**found)
        self._check(demand)
        return demand

    @cached_property
    def written(self) -> Mapping[str, Attribute]:
        """What is written, inner blocks as ``BLOCK.NAME``."""
        attributes = self.owner.body.attributes
        found = {n: attributes[n] for n in ARGUMENTS if n in attributes and self._quoted(n)}
        if not self.owner.body.blocks:
            return found
        reader = Reader(self.diagnostics)
        for kind, known in BLOCKS.items():
            if (block := reader.once(self.owner, kind)) is not None:
                reader.only(block, known)
                inner = block.body.attributes
                found |= {f"{kind}.{n}": inner[n] for n in known if n in inner}
        return found

    def _quoted(self, name: str) -> bool:
        """Tell whether an argument is none that should be a name in quotes, or note it."""
        attribute = self.owner.body.attributes[name]
        meant = _unquoted(attribute.expr) if name in {"executor", "pool"} else None
        if meant is not None:
            detail = f'`{name}` is a name in quotes: {name} = "{meant}".'
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
        return meant is None

    def _not_known(self, attribute: Attribute) -> None:
        detail = (
            f"`{attribute.name}` takes a value from a resource; it must be known from variables "
            "and locals."
        )
        self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)

    def _check(self, demand: Demand) -> None:
        executors, pools = self.settings.executors, self.settings.pools
        written = self.written
        if demand.executor != LOCAL and demand.executor not in executors:
            known = [LOCAL, *executors]
            detail = (
                f'There is no executor "{demand.executor}".'
                f"{did_you_mean(demand.executor, known)} Declare it in the mlform block: "
                f'executor "slurm" "{demand.executor}" {{ … }}.'
            )
            at = written["executor"].value_span
            self.diagnostics.error("Unknown executor", detail, at=at)
        for name in demand.pools:
            if name not in pools:
                detail = (
                    f'There is no pool "{name}".{did_you_mean(name, pools)} Declare it in the '
                    f'mlform block: pool "{name}" {{ slots = 1 }}.'
                )
                at = written["pool"].value_span
                self.diagnostics.error("Unknown pool", detail, at=at)
        self._check_share(demand)
        there = capacity(executors.get(demand.executor))
        for lack in there.lacks(demand):
            at = written[f"resources.{lack.partition(' ')[0]}"].value_span
            detail = (
                f'More is asked for than executor "{demand.executor}" has for one stage: {lack}. '
                "It would wait for ever."
            )
            self.diagnostics.error("More than there is", detail, at=at)

    def _check_share(self, demand: Demand) -> None:
        declared = self.settings.executors.get(demand.executor)
        if declared is not None and declared.type in _WHOLE and 0 < demand.gpu < 1:
            detail = (
                f'`gpu` is a share of one, {demand.gpu:g}. Executor "{demand.executor}" '
                f"({declared.type}) hands out whole ones alone. {_WHOLE[declared.type]}"
            )
            at = self.written["resources.gpu"].value_span
            self.diagnostics.error("No shares of a GPU", detail, at=at)


_WHOLE: Final = {
    "slurm": (
        "Ask for gpu = 1; or, if the cluster has shards (a resource of their own to Slurm), leave "
        'gpu out and declare an executor with options = ["--gres=shard:1"].'
    ),
    "kubernetes": (
        "Ask for gpu = 1; where the cluster divides its GPUs (time slices, MIG), that can be a "
        'part of one: declare an executor with gpu_resource = "nvidia.com/gpu.shared".'
    ),
}
"""Types of executors that have no shares of a GPU, with what they have instead."""
_NOTHING: Final = Demand()
_FIELDS: Final = {
    "pool": "pools",
    "resources.cpu": "cpu",
    "resources.gpu": "gpu",
    "resources.memory": "memory",
    "retry.attempts": "attempts",
    "retry.backoff": "backoff",
    "retry.on": "retry_on",
}


def _unquoted(expr: Expr) -> str | None:
    """Return the name that is written as if it were a reference: ``a``, ``executor.a``."""
    if isinstance(expr, GetAttr) and isinstance(expr.target, Name):
        return expr.name if expr.target.name in {"executor", "pool"} else None
    return expr.name if isinstance(expr, Name) else None


def _attempts(value: Value) -> int | None:
    found = count(value)
    return found if found and found <= 100 else None


def _causes(value: Value) -> tuple[str, ...] | None:
    found = texts(value)
    return found if found is not None and set(found) <= set(RETRIED) else None


_READERS: Final[Mapping[str, tuple[Callable[[Value], Any], str]]] = {
    "executor": (text, "the name of an executor"),
    "timeout": (seconds, 'a time such as "90s", "30m" or "2h"'),
    "pool": (texts, "the name of a pool, or a list of such"),
    "resources.cpu": (number, "a number of cores above 0"),
    "resources.gpu": (gpus, "a whole number of GPUs, or a share of one such as 0.5"),
    "resources.memory": (size, 'a size such as "16GiB"'),
    "retry.attempts": (_attempts, "a whole number from 1 to 100"),
    "retry.backoff": (seconds, 'a time such as "10s" or "5m"'),
    "retry.on": (_causes, f"a list of {', '.join(RETRIED)}"),
}
