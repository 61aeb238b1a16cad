"""The Open Inference Protocol, version 2, in JSON: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

    from mlform_core.models import Model

DATATYPES: Final = frozenset(
    {"BOOL", "BYTES", "FP16", "FP32", "FP64"}
    | {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
)
_NAMES: Final = {
    "float64": "FP64",
    "int64": "INT64",
    "bool": "BOOL",
    "string": "BYTES",
    "timestamp": "BYTES",
}


class RequestError(Exception):
    """A request that cannot be answered; the message says everything that is wrong with it."""


def metadata(model: Model, name: str, digest: str, identity: str) -> dict[str, Any]:
    """Return what ``GET /v2/models/NAME`` answers."""
    return {
        "name": name,
        "versions": [digest],
        "platform": model.meta["framework"],
        "inputs": [
            {"name": f["name"], "datatype": _NAMES.get(f["type"], "BYTES"), "shape": [-1]}
            for f in model.meta["features"]
        ],
        "outputs": [{"name": n, "datatype": d, "shape": [-1]} for n, d in _outputs(model).items()],
        "parameters": {"digest": digest, "server": identity, "task": model.meta["task"]},
    }


def _outputs(model: Model) -> dict[str, str]:
    task = model.meta["task"]
    if task == "regression":
        return {"prediction": "FP64"}
    return {"probability": "FP64", "label": "BYTES"}


def frame_of(body: Any, model: Model) -> pd.DataFrame:
    """Return the rows of a request. Raises ``RequestError`` with all that is wrong."""
    import pandas as pd

    if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
        raise RequestError('The body must be {"inputs": [ … ]}, one tensor a column.')
    wanted = [f["name"] for f in model.meta["features"]]
    columns: dict[str, list[Any]] = {}
    problems = []
    for tensor in body["inputs"]:
        problem = _tensor(tensor, wanted, columns)
        if problem:
            problems.append(problem)
    missing = [n for n in wanted if n not in columns]
    if missing and not problems:
        problems.append(f"missing inputs: {', '.join(missing)}")
    lengths = {len(c) for c in columns.values()}
    if len(lengths) > 1:
        problems.append(f"inputs differ in length: {sorted(lengths)}")
    if problems:
        raise RequestError("; ".join(problems))
    if lengths == {0}:
        raise RequestError("there are no rows")
    return pd.DataFrame({n: columns[n] for n in wanted})


def _tensor(tensor: Any, wanted: list[str], columns: dict[str, list[Any]]) -> str:
    if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
        return 'a tensor must have a "name"'
    name, data, shape = tensor["name"], tensor.get("data"), tensor.get("shape")
    if name not in wanted:
        return f'"{name}" is no input of this model'
    if name in columns:
        return f'"{name}" is given twice'
    if tensor.get("datatype") not in DATATYPES:
        return f'"{name}": datatype {tensor.get("datatype")!r} is none of the protocol'
    if not isinstance(data, list):
        return f'"{name}": "data" must be a list'
    if data and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if shape not in ([len(data)], [len(data), 1]):
        return f'"{name}": shape {shape} does not go with {len(data)} values'
    if any(isinstance(v, list | dict) for v in data):
        return f'"{name}": each value must be one number, text or bool'
    columns[name] = data
    return ""


def answer(
    model: Model, frame: pd.DataFrame, name: str, digest: str, request_id: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Predict; return the response, and the predictions as the monitor profiles them."""
    try:
        predicted = model.predict(frame)
    except ValueError as error:
        raise RequestError(str(error)) from None
    rows = len(frame)
    if model.meta["task"] == "regression":
        outputs = [_output("prediction", "FP64", [rows], predicted.tolist())]
        logged: list[Any] = predicted.tolist()
    else:
        classes = model.meta["classes"]
        shape = [rows] if predicted.ndim == 1 else [rows, predicted.shape[1]]
        data = predicted.ravel().tolist()
        if predicted.ndim == 1:
            labels = [str(classes[int(p >= 0.5)]) for p in predicted]
            logged = data
        else:
            labels = [str(classes[int(i)]) for i in predicted.argmax(axis=1)]
            logged = labels
        outputs = [
            _output("probability", "FP64", shape, data),
            _output("label", "BYTES", [rows], labels),
        ]
    response = {
        "model_name": name,
        "model_version": digest,
        "parameters": {"digest": digest},
        "outputs": outputs,
    }
    if request_id is not None:
        response["id"] = request_id
    return response, logged


def _output(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}
