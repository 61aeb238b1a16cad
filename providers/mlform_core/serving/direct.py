"""Models of scikit-learn by the calls of their parts alone.

A pipeline makes a frame for each part of it, looks at the names of its columns again and again,
and sets up what could run in parallel. For a few rows that costs several times what the parts
themselves compute. Here each part is called with the columns that it takes, as a matrix where it
would make one of them anyway; what it computes, checks and refuses is its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mlform_core.columns import framed
from mlform_core.native import Booster

if TYPE_CHECKING:
    import numpy.typing as npt

Table: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Conformed columns by name."""
Call: TypeAlias = Callable[[Table], Any]


class UnknownPartError(Exception):
    """The model is made of something that only it knows how to call."""


def predicting(estimator: Any, method: str, names: Sequence[str]) -> Call:
    """Return what gives for a table what a method of a model gives for a frame of its columns.

    Raises ``UnknownPartError``.
    """
    return _called(estimator, method, list(names))


def _called(part: Any, method: str, names: list[str]) -> Call:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    _check_output(part)
    if type(part) is Pipeline:
        return _in_turn(part, method, names)
    if type(part) is ColumnTransformer and method == "transform":
        return _side_by_side(part)
    return _alone(part, method, names)


def _check_output(part: Any) -> None:
    """Raise ``UnknownPartError`` if a part gives frames, which the next may go by the names of."""
    if {*getattr(part, "_sklearn_output_config", {}).values()} - {"default"}:
        raise UnknownPartError("it gives frames")


def _in_turn(pipeline: Any, method: str, names: list[str]) -> Call:
    steps = [step for _, step in pipeline.steps if step is not None and step != "passthrough"]
    if not steps or (method != "transform" and steps[-1] is not pipeline.steps[-1][1]):
        raise UnknownPartError("it ends in nothing")
    for step in steps:
        _check_output(step)
    methods = ["transform"] * (len(steps) - 1) + [method]
    first = _called(steps[0], methods[0], names)
    rest = [getattr(step, m) for step, m in zip(steps[1:], methods[1:], strict=True)]

    def call(table: Table) -> Any:
        found = first(table)
        for step in rest:
            found = step(found)
        return found

    return call


def _side_by_side(front: Any) -> Call:
    import numpy as np
    from scipy import sparse
    from sklearn.utils import check_array

    if front.transformer_weights:
        raise UnknownPartError("it has weights")
    parts = []
    for _, part, columns in front.transformers_:
        if isinstance(part, str):
            if part != "drop":
                raise UnknownPartError(part)
            continue
        if names := _listed(columns, front):
            parts.append(_called(part, "transform", names))
    if not parts:
        raise UnknownPartError("it has no parts")

    def dense(table: Table) -> Any:
        found = [part(table) for part in parts]
        return np.hstack([f.toarray() if sparse.issparse(f) else f for f in found])

    def thin(table: Table) -> Any:
        found = [part(table) for part in parts]
        checked = [check_array(f, accept_sparse=True, ensure_all_finite=False) for f in found]
        return sparse.hstack(checked).tocsr()

    return thin if front.sparse_output_ else dense


def _listed(columns: Any, front: Any) -> list[str]:
    """Return the columns that a part takes, by name."""
    import numpy as np

    if isinstance(columns, (str, slice)) or callable(columns):
        raise UnknownPartError("columns that are no list")
    found = list(columns)
    if all(isinstance(c, str) for c in found):
        return [str(c) for c in found]
    if any(isinstance(c, bool) or not isinstance(c, (int, np.integer)) for c in found):
        raise UnknownPartError("columns that are neither names nor places")
    return [str(front.feature_names_in_[c]) for c in found]


def _alone(part: Any, method: str, names: list[str]) -> Call:
    """Return the call of what is no pipeline."""
    import numpy as np

    whole = getattr(part, method)
    if isinstance(part, Booster):
        return lambda table: whole({n: table[n] for n in names})
    if not _takes_matrix(part):
        return lambda table: whole(framed({n: table[n] for n in names}))
    nameless = copy.copy(part)
    # What it is asked about has no names, which it would warn of, and look up.
    vars(nameless).pop("feature_names_in_", None)
    bare = getattr(nameless, method)

    def call(table: Table) -> Any:
        columns = [table[n] for n in names]
        if len({c.dtype for c in columns}) > 1:
            return whole(framed({n: table[n] for n in names}))
        # In memory as the matrix of a frame: sums may come out otherwise in another order.
        return bare(np.array(columns).T)

    return call


def _takes_matrix(part: Any) -> bool:
    """Tell whether a part is scikit-learn's own, and has no other inside that may go by names."""
    if not type(part).__module__.startswith("sklearn."):
        return False
    for value in part.get_params(deep=False).values():
        inside = value if isinstance(value, (list, tuple)) else [value]
        if any(_is_code(v) or hasattr(v, "get_params") or isinstance(v, tuple) for v in inside):
            return False
    return True


def _is_code(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)
