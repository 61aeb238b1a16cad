"""The artifacts that attributes name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Final

from mlform.artifacts import FileDigests, LocalStore
from mlform.late import Late
from mlform.sdk.fields import Artifact

_ARTIFACT: Final = Artifact.model_fields.keys()
_LEAVES: Final = frozenset({str, int, float, bool, NoneType})


def artifacts_in(data: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every artifact that attributes name, in order."""
    waiting = [data]
    while waiting:
        it = waiting.pop()
        if type(it) is dict or isinstance(it, Mapping):
            if it.keys() == _ARTIFACT:
                yield it
                continue
            inner = [v for v in it.values() if type(v) not in _LEAVES]
        elif isinstance(it, list | tuple):
            inner = [v for v in it if type(v) not in _LEAVES]
        else:
            continue
        waiting += reversed(inner)


def artifacts_there(
    data: Any, artifacts: LocalStore, remembered: FileDigests | None = None
) -> bool:
    """Tell whether every artifact that attributes name is in the store, by its size: its token.

    Of very many this is ``remembered`` for as long as the store is as it was.
    """

    def look() -> bool:
        return artifacts.has_all({it["digest"]: it["size"] for it in artifacts_in(data)})

    content = data.content if isinstance(data, Late) else ""
    stamp = artifacts.stamp() if remembered is not None and content else None
    if remembered is None or stamp is None:
        return look()
    found = remembered.remember(f"artifacts {content} {stamp}", lambda: {"there": look()})
    return bool(found["there"])
