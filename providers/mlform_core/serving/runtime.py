"""What predicts in a worker: the model itself, or its ONNX graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlform_core.models import Model

    Floats = npt.NDArray[np.float64]

Columns: TypeAlias = Mapping[str, Sequence[Any]]
"""Values by feature, ``None`` where one is missing."""

_MISSING_TEXT: Final = "nan"
"""What skl2onnx makes of the category of missing texts."""


class Predictor(Protocol):
    """Predicts as ``Model.predict`` does."""

    def predict(self, columns: Columns) -> Floats:
        """Return a prediction of each row. Raises ``ValueError`` if the rows are at fault."""


class Native:
    """The model by its own library."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, columns: Columns) -> Floats:
        """Predict by the library."""
        import pandas as pd

        return self._model.predict(pd.DataFrame(columns))


class Parts:
    """The model by the calls of its parts alone."""

    def __init__(self, model: Model) -> None:
        """Raise ``UnknownPartError`` if it has parts that only it can call."""
        from mlform_core.serving.direct import predicting

        self._features, self._binary = model.meta["features"], model.meta["task"] == "binary"
        method = "predict" if model.meta["task"] == "regression" else "predict_proba"
        self._call = predicting(model.estimator, method, [f["name"] for f in self._features])

    def predict(self, columns: Columns) -> Floats:
        """Predict by the parts. What it raises is not in the words of the model."""
        import numpy as np

        from mlform_core.columns import arrays

        found = np.asarray(self._call(arrays(columns, self._features)), dtype=np.float64)
        return found[:, 1] if self._binary else found


class Hastened:
    """The model by its parts; where these fail, by itself, and so in its own words."""

    def __init__(self, parts: Parts, native: Native) -> None:
        self._parts, self._native = parts, native

    def predict(self, columns: Columns) -> Floats:
        """Predict by the parts, or by the model."""
        try:
            return self._parts.predict(columns)
        except Exception:  # noqa: BLE001 - whatever it is, the model says it, or has an answer
            return self._native.predict(columns)


class Onnx:
    """The graph that was made of a model."""

    def __init__(
        self, graph: bytes | Path, features: Sequence[Mapping[str, str]], task: str
    ) -> None:
        # Its builds since 1.32 report to their maker what they run, unless they are told not to
        # before they are loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One worker is one core: throughput is scaled by workers.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        source = graph if isinstance(graph, bytes) else str(graph)
        self._session = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"]
        )
        self._features, self._binary = features, task == "binary"
        self._inputs = [i.name for i in self._session.get_inputs()]
        self._wanted = [self._session.get_outputs()[-1].name]
        self._flat = task == "regression"

    def predict(self, columns: Columns) -> Floats:
        """Run the graph."""
        import numpy as np

        given = [_column(f["name"], columns[f["name"]], f["type"]) for f in self._features]
        if len(self._inputs) == len(given):
            feed = dict(zip(self._inputs, given, strict=True))
        else:
            feed = {self._inputs[0]: np.hstack(given)}
        found = self._session.run(self._wanted, feed)[0]
        if self._binary:
            found = found[:, 1]
        elif self._flat:
            found = found.reshape(-1)
        predicted: Floats = found.astype(np.float64)
        return predicted


def _column(name: str, values: Sequence[Any], kind: str) -> Any:
    import numpy as np

    if kind != "string":
        with np.errstate(over="ignore"):
            numbers = np.array(values, dtype=np.float32)
        if np.isinf(numbers).any():
            place = int(np.isinf(numbers).argmax())
            raise ValueError(f'"{name}" has {values[place]} at {place}, which is too large')
        return numbers.reshape(-1, 1)
    # A text that is written like the category of missing ones is another, unknown one.
    texts = [_MISSING_TEXT if v is None else v if v != _MISSING_TEXT else "\0nan" for v in values]
    return np.array(texts, dtype=object).reshape(-1, 1)
