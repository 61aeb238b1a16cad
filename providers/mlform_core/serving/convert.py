"""Models of scikit-learn as ONNX graphs, which answer in microseconds and need no scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlform_core.models import Model

_NEEDS: Final = ("skl2onnx", "onnxruntime")
_LONGEST: Final = 300


class NotConvertedError(Exception):
    """Why a model has no graph."""


def converted(model: Model) -> bytes:
    """Return the graph of a model: it takes each feature as a column, or all as one matrix.

    Numbers are of single precision, so answers differ in the seventh digit, and trees may take
    another branch where a value is as near to a threshold. Raises ``NotConvertedError``.
    """
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        names = " and ".join(missing)
        raise NotConvertedError(f"{names} not installed (pip install 'mlform[onnx]')")
    if model.meta["framework"] != "scikit-learn":
        raise NotConvertedError(f"models of {model.meta['framework']} are not converted")
    kinds = {f["name"]: f["type"] for f in model.meta["features"]}
    if times := [name for name, kind in kinds.items() if kind == "timestamp"]:
        raise NotConvertedError(f"times need double precision ({', '.join(times)})")
    try:
        graph = _columns(model, kinds)
    except Exception as error:
        # A converter raises whatever it meets; without a front that selects columns by name
        # the model takes one matrix.
        if "string" in kinds.values():
            raise NotConvertedError(_said(error)) from error
        graph = _matrix(model, len(kinds))
    if len(graph.graph.input) not in {1, len(kinds)}:
        raise NotConvertedError("the graph has not all of the inputs")
    data: bytes = graph.SerializeToString()
    return data


def _columns(model: Model, kinds: dict[str, str]) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    taken = {
        name: StringTensorType if k == "string" else FloatTensorType for name, k in kinds.items()
    }
    return _graph(model, [(name, made([None, 1])) for name, made in taken.items()])


def _matrix(model: Model, width: int) -> Any:
    from skl2onnx.common.data_types import FloatTensorType

    try:
        return _graph(model, [("rows", FloatTensorType([None, width]))])
    except Exception as error:
        raise NotConvertedError(_said(error)) from error


def _graph(model: Model, inputs: list[tuple[str, Any]]) -> Any:
    from skl2onnx import to_onnx

    options = {} if model.meta["task"] == "regression" else {"zipmap": False}
    with _whole_numbers():
        return to_onnx(
            model.estimator, initial_types=inputs, options={id(model.estimator): options}
        )


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_LONGEST]}"


@contextmanager
def _whole_numbers() -> Iterator[None]:
    """Let the graph builder take histogram gradient boosting of scikit-learn since 1.8.

    skl2onnx 1.20 hands ``nodes_missing_value_tracks_true`` over as a mixture of bool and
    ``numpy.uint8``, which ``onnx.helper`` refuses.
    """
    from skl2onnx.common import _container

    name, made = "nodes_missing_value_tracks_true", _container.make_node

    def make(*args: Any, **attributes: Any) -> Any:
        if name in attributes:
            attributes[name] = [int(v) for v in attributes[name]]
        return made(*args, **attributes)

    _container.make_node = make
    try:
        yield
    finally:
        _container.make_node = made
