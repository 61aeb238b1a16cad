"""``executor`` and ``pool`` blocks of the ``mlform`` block: where stages may run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mlform.config.blocks import Reader
from mlform.config.quantities import count, number, seconds, size, text, texts
from mlform.config.repetition import shown
from mlform.demand import LOCAL, Capacity, Declared
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lazy import dataclass, field
from mlform.syntax.tree import Attribute, Block
from mlform.values import Unknown, Value

_COMMON: Final = {
    "cpu": "number",
    "gpu": "count",
    "memory": "size",
}
_JOBS: Final = {
    **_COMMON,
    "jobs": "some",
    "python": "text",
    "queue_timeout": "time",
    "patience": "time",
}
TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "local": _COMMON,
    "process": _JOBS,
    "slurm": {
        **_JOBS,
        "partition": "text",
        "account": "text",
        "qos": "text",
        "options": "texts",
        "environment": "texts",
    },
    "ray": {**_JOBS, "address": "url", "token_file": "text"},
    "kubernetes": {
        **_JOBS,
        "image": "text",
        "address": "url",
        "namespace": "text",
        "token_file": "text",
        "ca_file": "text",
        "claim": "text",
        "mount": "text",
        "secrets": "texts",
        "service_account": "text",
        "node_selector": "labels",
        "priority_class": "text",
        "gpu_resource": "text",
    },
}
"""Type of executor → what its block takes, and of what sort that is."""
_NEEDED: Final = {"kubernetes": ("image",)}
"""What a block must say."""
_SORTS: Final = {
    "number": "a number above 0",
    "count": "a whole number, 0 or more",
    "some": "a whole number, 1 or more",
    "size": 'a size such as "16GiB"',
    "time": 'a time such as "30s", "10m" or "2h"',
    "text": "a string",
    "texts": "a list of strings",
    "labels": 'a list of strings such as "pool=gpu"',
    "url": 'an address such as "http://ray-head:8265"',
}


@dataclass
class ExecutorBlocks:
    """Reads them. ``settled`` evaluates what must be known before anything is planned."""

    diagnostics: Diagnostics
    settled: Callable[[Attribute], Value]
    executors: dict[str, Declared] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    _blocks: dict[tuple[str, str], Block] = field(default_factory=dict)

    def executor(self, block: Block) -> None:
        """Take ``executor "TYPE" "NAME" { … }``."""
        type_, name = (label.text for label in block.labels)
        if type_ not in TYPES:
            detail = f'There is no executor "{type_}".{did_you_mean(type_, TYPES)} There are '
            detail += f"{', '.join(TYPES)}."
            at = block.source.span(block.labels[0].start, block.labels[0].end)
            self.diagnostics.error("Unknown executor", detail, at=at)
            return
        if (type_ == LOCAL) != (name == LOCAL):
            detail = (
                f'"{LOCAL}" is the executor that is always there: '
                f'`executor "{LOCAL}" "{LOCAL}"` says what it has.'
            )
            self.diagnostics.error("Invalid executor", detail, at=block.header_span)
            return
        if not self._first(block, name):
            return
        Reader(self.diagnostics).only(block, tuple(TYPES[type_]))
        found = {}
        for attribute in block.body.attributes.values():
            sort = TYPES[type_].get(attribute.name)
            value = None if sort is None else self._value(attribute, sort)
            if value is not None:
                found[attribute.name] = value
        Reader(self.diagnostics).required(block, *_NEEDED.get(type_, ()))
        self.executors[name] = Declared(type_, found)

    def pool(self, block: Block) -> None:
        """Take ``pool "NAME" { slots = N }``; one slot where it does not say."""
        name = block.labels[0].text
        if not self._first(block, name):
            return
        Reader(self.diagnostics).only(block, ("slots",))
        written = block.body.attributes.get("slots")
        slots = 1 if written is None else self._value(written, "count")
        if slots == 0 and written is not None:
            detail = f'Pool "{name}" has no slot, so nothing that names it could ever run.'
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        self.pools[name] = slots or 1

    def _first(self, block: Block, name: str) -> bool:
        first = self._blocks.setdefault((block.kind, name), block)
        if first is block:
            return True
        detail = f'There is {block.kind} "{name}" already, at {first.header_span}. Keep one.'
        self.diagnostics.error("Duplicate block", detail, at=block.header_span)
        return False

    def _value(self, attribute: Attribute, sort: str) -> Any:
        value = self.settled(attribute)
        found = _READERS[sort](value)
        if found is None and not isinstance(value, Unknown):
            detail = f"`{attribute.name}` is {_SORTS[sort]}, not {shown(value)}."
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
        return found


def capacity(declared: Declared | None) -> Capacity:
    """Return what an executor is declared to have for one stage, as far as it is."""
    settings = {} if declared is None else declared.settings
    return Capacity(*(settings.get(n) for n in ("cpu", "gpu", "memory")))


def _url(value: Value) -> str | None:
    good = isinstance(value, str) and value.startswith(("http://", "https://"))
    return value if good and isinstance(value, str) else None


def _labels(value: Value) -> list[str] | None:
    found = texts(value)
    whole = found is not None and all(name and text for name, _, text in map(_parts, found))
    return list(found) if found is not None and whole else None


def _parts(label: str) -> tuple[str, str, str]:
    return label.partition("=")


_READERS: Final[Mapping[str, Callable[[Value], Any]]] = {
    "number": number,
    "count": count,
    "some": lambda value: count(value) or None,
    "size": size,
    "time": seconds,
    "text": text,
    "texts": texts,
    "labels": _labels,
    "url": _url,
}
