"""The Open Inference Protocol, version 2, in JSON: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isclose
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlform_core.serving.pool import Predictions
    from mlform_core.serving.revision import Revision

_INTEGERS: Final = frozenset(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})
_NUMBERS: Final = _INTEGERS | _FLOATS | {"BOOL"}
DATATYPES: Final = _NUMBERS | {"BYTES"}
_LARGEST: Final = 2.0**63
"""Whole numbers are of 64 bits; a larger one, as a fraction, has lost its last digits."""
_NONE: Final = type(None)
_VALUES: Final[Mapping[str, tuple[frozenset[type], str]]] = {
    **dict.fromkeys(_INTEGERS, (frozenset({int, _NONE}), "a whole number")),
    **dict.fromkeys(_FLOATS, (frozenset({int, float, _NONE}), "a number")),
    "BOOL": (frozenset({bool, _NONE}), "true or false"),
    "BYTES": (frozenset({str, _NONE}), "a text"),
}
DATATYPE: Final = {
    "float64": "FP64",
    "int64": "INT64",
    "bool": "BOOL",
    "string": "BYTES",
    "timestamp": "BYTES",
}


class RequestError(Exception):
    """A request that cannot be answered, with everything that is wrong with it.

    ``rows``: how many rows it seems to have.
    """

    def __init__(self, problems: Sequence[str], rows: int = 1) -> None:
        super().__init__("; ".join(problems))
        self.problems, self.rows = list(problems), rows


def metadata(revision: Revision, name: str, identity: str) -> dict[str, Any]:
    """Return what ``GET /v2/models/NAME`` answers."""
    meta = revision.meta
    return {
        "name": name,
        "versions": [revision.digest],
        "platform": meta["framework"],
        "inputs": [
            {"name": f["name"], "datatype": DATATYPE[f["type"]], "shape": [-1]}
            for f in revision.schema.inputs
        ],
        "outputs": outputs(meta),
        "parameters": {
            "digest": revision.digest,
            "revision": revision.number,
            "server": identity,
            "task": meta["task"],
            "framework_version": meta["framework_version"],
            "runtime": revision.runtime,
        },
    }


def outputs(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a model gives, as the protocol describes tensors."""
    if meta["task"] == "regression":
        return [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    shape = [-1] if meta["task"] == "binary" else [-1, len(meta["classes"])]
    return [
        {"name": "probability", "datatype": "FP64", "shape": shape},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]


def keyed(
    body: Any, keys: Collection[str], inputs: Collection[str]
) -> tuple[Any, dict[str, list[Any]]]:
    """Take out of a request the tensors of ``keys`` that are no ``inputs`` of the model.

    Return the rest of it, and their values.
    """
    if not keys or not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
        return body, {}
    rest: list[Any] = []
    found: dict[str, list[Any]] = {}
    for tensor in body["inputs"]:
        name = tensor.get("name") if isinstance(tensor, Mapping) else None
        if name is not None and name in keys and name not in inputs:
            found[name] = tensor.get("data")
        else:
            rest.append(tensor)
    return {**body, "inputs": rest}, found


def checked_keys(keys: dict[str, Any], rows: int) -> dict[str, list[Any]]:
    """Return keys if each has a text or a whole number for each row, else ``RequestError``."""
    if not keys:
        return keys
    allowed = {str, int, _NONE}
    found = {
        name: _whole(values) if isinstance(values, list) and float in map(type, values) else values
        for name, values in keys.items()
    }
    problems = [
        f'"{name}" says which row is which: it takes a text or a whole number for each of the '
        f"{rows} rows, as a list"
        for name, values in found.items()
        if not isinstance(values, list)
        or len(values) != rows
        or not allowed.issuperset(map(type, values))
    ]
    if problems:
        raise RequestError(problems, rows)
    return found


class Schema:
    """What the requests of a model must look like, made ready to tell."""

    def __init__(
        self,
        meta: Mapping[str, Any],
        required: Collection[str],
        inputs: Sequence[Mapping[str, Any]] | None = None,
        clock: str = "",
    ) -> None:
        self.meta, self.required = meta, required
        self.inputs: Sequence[Mapping[str, Any]] = meta["features"] if inputs is None else inputs
        """What a request has: the model's features, or what a feature view makes them of."""
        self.clock = clock
        """The input that says when a row is; a request without it is of now."""
        self.names: Sequence[str] = [f["name"] for f in self.inputs]
        self._outputs = frozenset(o["name"] for o in outputs(meta))
        self._types = {f["name"]: _types(f, required) for f in self.inputs}

    def columns(self, body: Any) -> tuple[dict[str, list[Any]], int]:
        """Return the values of a request by input, and how many rows there are.

        A missing value is null, in any datatype, unless the input is ``required``. Raises
        ``RequestError`` with all that is wrong.
        """
        try:
            found = self._plain(body)
        except (KeyError, TypeError):
            found = None
        columns, rows = _columns(body, self) if found is None else found
        if self.clock and self.clock not in columns:
            columns[self.clock] = [datetime.now(UTC).isoformat()] * rows
        return columns, rows

    def _plain(self, body: Any) -> tuple[dict[str, list[Any]], int] | None:
        """Return as ``columns`` if nothing is out of the ordinary, which takes a fraction."""
        columns: dict[str, list[Any]] = {}
        rows = 0
        for tensor in body["inputs"]:
            name, data = tensor["name"], tensor["data"]
            rows = len(data)
            plain = tensor["shape"] == [rows] and rows and name not in columns
            if not plain or type(data) is not list:
                return None
            types = self._types[name][tensor["datatype"]]
            if not types.issuperset(map(type, data)):
                data = _values(data, tensor["datatype"])
                if not types.issuperset(map(type, data)):
                    return None
            columns[name] = data
        even = all(len(data) == rows for data in columns.values())
        if len(columns) != len(self._types) or not even:
            return None
        wanted = body.get("outputs")
        if wanted and not self._outputs.issuperset([o["name"] for o in wanted]):
            return None
        return columns, rows


def _types(feature: Mapping[str, str], required: Collection[str]) -> dict[str, frozenset[type]]:
    """Return which types of values an input takes, by the datatype that a client gives."""
    number = feature["type"] in {"float64", "int64", "bool"}
    without = {_NONE} if feature["name"] in required else set()
    return {d: _VALUES[d][0] - without for d in (_NUMBERS if number else {"BYTES"})}


def _columns(body: Any, schema: Schema) -> tuple[dict[str, list[Any]], int]:
    if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
        raise RequestError(['the body must be {"inputs": [ … ]}, one tensor a column'])
    wanted = {f["name"]: f["type"] for f in schema.inputs}
    columns: dict[str, list[Any]] = {}
    problems: list[str] = []
    named: set[str] = set()
    for place, tensor in enumerate(body["inputs"]):
        if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
            problems.append(f'inputs[{place}] must be a tensor with a "name"')
            continue
        name = tensor["name"]
        found = list(_wrong(tensor, wanted, named))
        problems += [f'"{name}" {problem}' for problem in found]
        named.add(name)
        if not found:
            columns[name] = _values(tensor["data"], tensor["datatype"])
    if missing := [n for n in wanted if n not in named and n != schema.clock]:
        problems.append(f"missing inputs: {', '.join(missing)}")
    for name in schema.required:
        if None in columns.get(name, ()):
            place = columns[name].index(None)
            problems.append(f'"{name}" has null at {place}, where the model takes no missing value')
    problems += _lengths(columns)
    problems += _unknown_outputs(body, schema.meta)
    if problems:
        raise RequestError(problems, _size(body["inputs"]))
    return columns, len(next(iter(columns.values()), []))


def _wrong(tensor: Mapping[str, Any], wanted: Mapping[str, str], named: set[str]) -> Iterator[str]:
    """Yield what is wrong with one tensor, less its name."""
    name, datatype, data = tensor["name"], tensor.get("datatype"), tensor.get("data")
    if name not in wanted:
        yield f"is no input of this model; it has {', '.join(wanted)}"
        return
    if name in named:
        yield "is given twice"
        return
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        yield f"has datatype {datatype!r}; the protocol has {', '.join(sorted(DATATYPES))}"
        return
    if not isinstance(data, list):
        yield 'has no list as "data"'
        return
    data, shape = _values(data, datatype), tensor.get("shape")
    if shape not in ([len(data)], [len(data), 1]):
        yield f"has shape {shape} and {len(data)} values; use [{len(data)}]"
    number = wanted[name] in {"float64", "int64", "bool"}
    if (datatype not in _NUMBERS if number else datatype != "BYTES") and any(
        v is not None for v in data
    ):
        yield f"has datatype {datatype}; the model takes {DATATYPE[wanted[name]]}"
        return
    allowed, called = _VALUES[datatype]
    if not allowed.issuperset(map(type, data)):
        place = next(i for i, v in enumerate(data) if type(v) not in allowed)
        yield f"has {_short(data[place])} at {place}, which is not {called} ({datatype})"


def _values(data: list[Any], datatype: str) -> list[Any]:
    """Return the values of a tensor: of a column of one, each; 4 where 4.0 is a whole number."""
    if data and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    return _whole(data) if datatype in _INTEGERS and float in map(type, data) else data


def _whole(data: list[Any]) -> list[Any]:
    """Return numbers without a fraction as whole ones: JSON has one type for both."""
    return [
        int(v) if type(v) is float and v.is_integer() and abs(v) < _LARGEST else v for v in data
    ]


def _size(tensors: list[Any]) -> int:
    data = (t.get("data") for t in tensors if isinstance(t, Mapping))
    return max((len(d) for d in data if isinstance(d, list)), default=1)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _lengths(columns: Mapping[str, list[Any]]) -> list[str]:
    lengths: dict[int, str] = {}
    for name, data in columns.items():
        lengths.setdefault(len(data), name)
    if len(lengths) > 1:
        said = ", ".join(f'{n} in "{name}"' for n, name in sorted(lengths.items()))
        return [f"inputs differ in their number of rows: {said}"]
    return ["there are no rows"] if 0 in lengths else []


def _unknown_outputs(body: Mapping[str, Any], meta: Mapping[str, Any]) -> list[str]:
    if not isinstance(body.get("outputs") or [], list):
        return ['"outputs" must be a list of {"name": … }']
    there = [o["name"] for o in outputs(meta)]
    return [f'"{n}" is no output; there is {", ".join(there)}' for n in _asked(body, there)[1]]


def _asked(body: Mapping[str, Any], there: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the outputs a request wants (all, if it names none), and those that are unknown."""
    given = body.get("outputs") or []
    names = [o.get("name") if isinstance(o, Mapping) else o for o in given]
    known = [n for n in there if n in names] if names else list(there)
    return known, [str(n) for n in names if n not in there]


def answer(
    revision: Revision, predicted: Predictions, name: str, request: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Return the response, and the predictions as training profiled them."""
    found, logged = _tensors(revision.meta, predicted)
    wanted, _ = _asked(body, list(found))
    response = {
        "model_name": name,
        "model_version": revision.digest,
        "id": request,
        "parameters": {"digest": revision.digest, "revision": revision.number},
        "outputs": [found[n] for n in wanted],
    }
    return response, logged


def alike(one: Sequence[Any], two: Sequence[Any]) -> bool:
    """Tell whether two models say the same: equal texts, numbers that agree to 1 %."""
    if len(one) != len(two):
        return False
    pairs = zip(one, two, strict=True)
    return all(a == b or (not isinstance(a, str) and isclose(a, b, rel_tol=0.01)) for a, b in pairs)


def _tensors(
    meta: Mapping[str, Any], predicted: Predictions
) -> tuple[dict[str, dict[str, Any]], list[Any]]:
    values, width = predicted.values, predicted.width
    rows = len(values) // width
    if meta["task"] == "regression":
        return {"prediction": _tensor("prediction", "FP64", [rows], values)}, values
    classes = [str(c) for c in meta["classes"]]
    binary = meta["task"] == "binary"
    if binary:
        labels = [classes[p >= 0.5] for p in values]
    else:
        each = (values[start : start + width] for start in range(0, len(values), width))
        labels = [classes[row.index(max(row))] for row in each]
    shape = [rows] if binary else [rows, width]
    outputs = {
        "probability": _tensor("probability", "FP64", shape, values),
        "label": _tensor("label", "BYTES", [rows], labels),
    }
    return outputs, values if binary else labels


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}
