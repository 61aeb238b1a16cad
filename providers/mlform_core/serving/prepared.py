"""What is worked out of a model before it serves: how it runs, and what it must answer.

In the folder of a model beside the server lie ``model.mlform``, ``model.onnx`` if it runs as a
graph, and ``prepared.json``: rows, and what the model itself says of them. A worker answers these
rows before it serves, and does not serve if it answers otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mlform.sdk import ResourceError
from mlform_core.profiles import usual
from mlform_core.serving import settings
from mlform_core.serving.runtime import Columns, Hastened, Native, Onnx, Parts, Predictor

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mlform_core.models import Model

    Floats = npt.NDArray[np.float64]

ROWS: Final = 256
"""Rows drawn from what training saw; a few more have what is missing or was never seen."""
FORCED: Final = 'runtime has kind = "native"'
_EXACT: Final = 1e-12
"""How far the parts of a model may be from the model, for sums that are taken in another order."""
_NEVER_SEEN: Final = "never seen before"


@dataclass(frozen=True)
class Prepared:
    """How a model runs, and how near to the model itself it was."""

    runtime: Literal["onnx", "native"]
    why: str
    """Why not as a graph."""
    difference: float
    """The largest |answer − model| ÷ (1 + |model|) over the rows."""
    tolerance: float
    required: list[str]
    """Features without which the model does not predict."""
    graph: str
    """sha256 of the graph, "" if there is none."""
    rows: dict[str, list[Any]]
    expected: list[Any]


def prepare(
    folder: Path, digest: str, tolerance: float, *, graph: bool, allow_pickle: bool
) -> Prepared:
    """Find out how a model runs with answers within ``tolerance`` of its own; write that down.

    ``graph``: as an ONNX graph if that can be. Raises ``ResourceError`` if it cannot be loaded or
    does not predict.
    """
    from mlform_core.models import load

    model = load(settings.model(folder), allow_pickle=allow_pickle)
    native = Native(model)
    rows, required = _rows(model, native, digest)
    expected = native.predict(rows)
    found, data = _run(model, native, rows, expected, tolerance, graph=graph)
    settings.graph(folder).unlink(missing_ok=True)
    if data:
        settings.graph(folder).write_bytes(data)
    runtime, why, difference = found
    prepared = Prepared(
        runtime, why, difference, tolerance, required, _sha(data), rows, expected.tolist()
    )
    settings.prepared(folder).write_text(json.dumps(asdict(prepared)), encoding="utf-8")
    return prepared


def read(folder: Path) -> Prepared | None:
    """Return what was written down, if it was."""
    try:
        return Prepared(**json.loads(settings.prepared(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def needed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the features of a model, and those without which it does not predict."""
    found = read(folder)
    return ([], []) if found is None else (list(found.rows), found.required)


def opened(folder: Path, *, allow_pickle: bool) -> Predictor:
    """Load what predicts, and have it answer the rows. Raises ``ResourceError``."""
    import numpy as np

    from mlform_core.models import load, told

    prepared = read(folder)
    if prepared is None:
        raise ResourceError("Model not found", f"{folder} was not prepared.", argument="model")
    if prepared.runtime == "onnx":
        path = settings.graph(folder)
        data = path.read_bytes() if path.is_file() else b""
        if _sha(data) != prepared.graph:
            detail = f"The graph of the model at {path} is damaged."
            raise ResourceError("Model is damaged", detail, argument="model")
        meta, _ = told(settings.model(folder))
        predictor: Predictor = Onnx(data, meta["features"], meta["task"])
    else:
        predictor = hastened(load(settings.model(folder), allow_pickle=allow_pickle), prepared.rows)
    found = predictor.predict(prepared.rows)
    apart = difference(found, np.asarray(prepared.expected))
    if not apart <= prepared.tolerance:
        detail = (
            f"The worker's answers are up to {apart:.2g} from those of the model, where "
            f"{prepared.tolerance:g} is tolerated: other versions of what it needs are installed."
        )
        raise ResourceError("Answers differ from the model", detail, argument="model")
    return predictor


def hastened(model: Model, rows: Columns) -> Predictor:
    """Return the model, by its parts if these answer rows as it does, and refuse what it does."""
    native = Native(model)
    try:
        parts = Parts(model)
        apart = difference(parts.predict(rows), native.predict(rows))
    except Exception:  # noqa: BLE001 - a model is foreign code: it may raise anything
        return native
    one = {name: values[:1] for name, values in rows.items()}
    lax = any(predicted(parts, one | {n: [_NEVER_SEEN]}) for n in _refusing(model, rows))
    return native if lax or apart > _EXACT else Hastened(parts, native)


def difference(found: Floats, expected: Floats) -> float:
    """Return the largest |found − expected| ÷ (1 + |expected|); NaN is never near."""
    import numpy as np

    if found.shape != expected.shape:
        return float("inf")
    apart = np.abs(found - expected) / (1 + np.abs(expected))
    return float(np.where(np.isnan(apart), np.inf, apart).max(initial=0.0))


def _rows(model: Model, native: Native, digest: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Return rows that the model predicts, and the features without which it does not."""
    import numpy as np

    features = model.meta["features"]
    typical = {f["name"]: [usual(model.reference.get(f["name"]), f)] for f in features}
    try:
        found = native.predict(typical)
    except Exception as error:
        # A model is foreign code: it may raise anything.
        detail = f"{digest} cannot predict a typical row: {type(error).__name__}: {error}"
        raise ResourceError("Model does not predict", detail, argument="model") from error
    if len(found) != 1 or not np.isfinite(found).all():
        detail = f"{digest} predicts {found.tolist()} for one typical row."
        raise ResourceError("Model does not predict", detail, argument="model")
    drawn = {
        f["name"]: _drawn(model.reference.get(f["name"]), f, n) for n, f in enumerate(features)
    }
    changes: list[tuple[str, str | None]] = [(f["name"], None) for f in features]
    changes += [(f["name"], _NEVER_SEEN) for f in features if f["type"] == "string"]
    borne = _borne(native, typical, changes)
    kept = [typical | {name: [value]} for name, value in borne]
    start = [drawn] if predicted(native, drawn) else [typical]
    rows = {n: [v for part in (*start, *kept) for v in part[n]] for n in typical}
    there = set(borne)
    return rows, [f["name"] for f in features if (f["name"], None) not in there]


def _borne(
    native: Native, typical: Columns, changes: Sequence[tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    """Return those changes of a typical row with which the model predicts it."""
    if not changes:
        return []
    many = {name: [*values] * len(changes) for name, values in typical.items()}
    for place, (name, value) in enumerate(changes):
        many[name][place] = value
    if predicted(native, many):
        return list(changes)
    if len(changes) == 1:
        return []
    half = len(changes) // 2
    first, second = changes[:half], changes[half:]
    return _borne(native, typical, first) + _borne(native, typical, second)


def predicted(predictor: Predictor, columns: Columns) -> bool:
    """Tell whether there is a finite prediction of every row."""
    import numpy as np

    try:
        return bool(np.isfinite(predictor.predict(columns)).all())
    except Exception:  # noqa: BLE001 - a model is foreign code: it may raise anything
        return False


def _drawn(profile: Any, feature: Mapping[str, str], place: int) -> list[Any]:
    """Draw values from what training saw of a feature: another order for each, always the same."""
    import random

    kind = feature["type"]
    values = _seen(profile, kind)
    if not values:
        return [usual(profile, feature)] * ROWS
    chance = random.Random(place)  # noqa: S311 - repeatable on purpose
    return chance.choices(values, k=ROWS)


def _seen(profile: Any, kind: str) -> Sequence[Any]:
    if not isinstance(profile, Mapping) or kind == "timestamp":
        return []
    if kind == "bool":
        return [False, True]
    if kind == "string":
        return list(profile.get("counts", {}))
    numbers = [*profile.get("edges", ()), profile.get("min"), profile.get("max")]
    return [int(n) if kind == "int64" else n for n in numbers if n is not None]


def _run(
    model: Model,
    native: Native,
    rows: Columns,
    expected: Floats,
    tolerance: float,
    *,
    graph: bool,
) -> tuple[tuple[Literal["onnx", "native"], str, float], bytes]:
    """Return how the model runs, why not as a graph, how near it is; and the graph."""
    from mlform_core.serving.convert import NotConvertedError, converted

    why = FORCED
    if graph:
        try:
            data = converted(model)
            runner = Onnx(data, model.meta["features"], model.meta["task"])
            apart = difference(runner.predict(rows), expected)
        except NotConvertedError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - the graph is foreign code, too
            why = f"onnxruntime: {type(error).__name__}: {error}"
        else:
            odd = next(_refusing(model, rows), None)
            if apart <= tolerance and odd is None:
                return ("onnx", "", apart), data
            if odd is not None:
                why = f'the model refuses texts of "{odd}" that it has not seen'
            else:
                why = f"the answers of a graph are up to {apart:.2g} from those of the model"
    return ("native", why, difference(native.predict(rows), expected)), b""


def _refusing(model: Model, rows: Columns) -> Iterator[str]:
    """Yield the features of which the model refuses texts that it has not seen."""
    for feature in model.meta["features"]:
        name = feature["name"]
        if feature["type"] == "string" and _NEVER_SEEN not in rows[name]:
            yield name


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if data else ""
