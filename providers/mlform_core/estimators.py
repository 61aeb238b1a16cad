"""What an estimator is made of, and settings of it that are no part of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_QUIET = {"n_jobs": None, "n_threads": 1, "verbose": 0}


def walk(model: Any) -> Iterator[Any]:
    """Yield every object reachable from a fitted model by attributes and containers, once."""
    import numpy as np

    seen: set[int] = set()
    # What is on its way is kept alive, so that no identity is given out twice.
    alive: list[Any] = []
    todo = [model]
    while todo:
        part = todo.pop()
        if part is None or isinstance(part, (str, bytes, int, float, type)) or id(part) in seen:
            continue
        seen.add(id(part))
        alive.append(part)
        yield part
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, (list, tuple, set)):
            todo.extend(part)
        elif isinstance(part, np.ndarray):
            if part.dtype == object:
                todo.extend(p for p in part.ravel() if hasattr(p, "__dict__"))
        elif hasattr(part, "__dict__"):
            todo.extend(vars(part).values())


@contextmanager
def settled(model: Any) -> Iterator[None]:
    """Within it, ``model`` says nothing of threads and verbosity, which do not change it.

    Whoever serves the model decides about threads anew.
    """
    changed: list[tuple[Any, str, Any]] = []
    for part in walk(model):
        if not hasattr(part, "get_params") or isinstance(part, type):
            continue
        for name, quiet in _QUIET.items():
            if (was := vars(part).get(name, quiet)) != quiet:
                changed.append((part, name, was))
                setattr(part, name, False if isinstance(was, bool) else quiet)
    try:
        yield
    finally:
        for part, name, was in changed:
            setattr(part, name, was)


def clear_gaps(model: Any) -> None:
    """Put zeros between the fields of the trees' nodes, where memory is whatever it was before."""
    import numpy as np

    for part in walk(model):
        if type(part).__name__ != "Tree":
            continue
        nodes = part.__getstate__()["nodes"]
        used = np.zeros(nodes.dtype.itemsize, dtype=bool)
        for kind, offset, *_ in nodes.dtype.fields.values():
            used[offset : offset + kind.itemsize] = True
        # A view of the tree's own memory.
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, ~used] = 0
