"""The model artifact: one file with the fitted model, what it expects, and how its data looked.

A *bundle* is a zip of ``meta.json``, ``model.skops`` (or ``model.xgboost`` or ``model.lightgbm``,
which are these libraries' own text formats, or ``model.pickle``, where the spec allows it by name)
and ``reference.json``. Equal models give byte-identical bundles, in one process and
across processes.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlform.sdk import Artifact, ResourceError
from mlform_core import native, skops_files
from mlform_core.bundles import BundleError, members, pack
from mlform_core.columns import conform
from mlform_core.estimators import clear_gaps, settled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

MEDIA_TYPE = "application/vnd.mlform.model"
FILE_NAME = "model.mlform"

_MEMBER = re.compile(r"meta\.json|model\.(skops|pickle|xgboost|lightgbm)|reference\.json")
_META = {"format", "task", "target", "classes", "features", "framework", "framework_version"}


@dataclass(frozen=True)
class Model:
    """A fitted model with what it was trained on.

    ``meta``: ``format``, ``task`` ("binary", "multiclass", "regression"), ``target``, ``classes``
    (values of the target in the order of probabilities, or ``None``), ``features`` (``name`` and
    ``type`` of each column it needs), ``framework``, ``framework_version``. ``reference``: the
    profile of the training part's features, and of the predictions there (column "prediction").
    """

    meta: Mapping[str, Any]
    reference: Mapping[str, Any]
    estimator: Any

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the model's features in the types it was trained on.

        Raises ``ValueError`` naming each column that is missing or holds something else.
        """
        return conform(frame, self.meta["features"])

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return what the model says of each row of raw columns.

        Binary: the probability of the second of ``classes``. Multiclass: rows × classes.
        Regression: the value. Raises ``ValueError`` as ``conform`` does.
        """
        import numpy as np

        return np.asarray(predict(self.estimator, self.meta["task"], self.conform(frame)))

    def labels(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """Return the most probable class of each row (binary: at least 0.5), or the value."""
        import numpy as np

        predictions = self.predict(frame)
        if self.meta["task"] == "regression":
            return predictions
        classes = np.asarray(self.meta["classes"])
        if self.meta["task"] == "binary":
            return np.asarray(classes[(predictions >= 0.5).astype(np.intp)])
        return np.asarray(classes[predictions.argmax(axis=1)])


def predict(estimator: Any, task: str, conformed: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return predictions as ``Model.predict`` does, of rows that conform already."""
    import numpy as np

    if task == "regression":
        return np.asarray(estimator.predict(conformed), dtype=np.float64)
    probabilities = np.asarray(estimator.predict_proba(conformed), dtype=np.float64)
    return probabilities[:, 1] if task == "binary" else probabilities


def about(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model says of itself to those who plan with it: its signature."""
    return {
        "features": [f["name"] for f in meta["features"]],
        "types": {f["name"]: f["type"] for f in meta["features"]},
        "target": meta["target"],
        "task": meta["task"],
        "classes": meta["classes"],
    }


def columns_of(model: Artifact) -> set[str] | None:
    """Return the features and the target of a model, if it says them of itself."""
    if not {"features", "target"} <= model.about.keys():
        return None
    return {*model.about["features"], model.about["target"]}


def save(
    model: Any,
    meta: Mapping[str, Any],
    reference: Mapping[str, Any],
    folder: Path,
    pickle_allowed: bool = False,  # noqa: FBT001, FBT002 - the one thing said of a format
) -> Path:
    """Write a fitted model as a bundle into ``folder`` and return the file.

    Settings of threads and verbosity are not part of it. Raises ``ResourceError`` if the format
    cannot hold the model, or is pickle and not allowed.
    """
    if missing := _META - meta.keys():
        raise ValueError(f"meta lacks {sorted(missing)}")
    kind = meta["format"]
    if kind == "pickle" and not pickle_allowed:
        detail = "A pickle runs code when it is loaded, and nothing here allows that."
        raise ResourceError("Pickle is not allowed", detail, argument="format")
    with settled(model):
        if isinstance(model, native.Booster):
            content = model.dumps()
        else:
            content = _pickled(model) if kind == "pickle" else _skops(model)
    path = folder / FILE_NAME
    parts = {
        "meta.json": _json(meta),
        f"model.{kind}": content,
        "reference.json": _json(reference),
    }
    path.write_bytes(pack(parts))
    return path


def load(path: Path, *, allow_pickle: bool = False) -> Model:
    """Load a bundle.

    Nothing in it runs unless it is a pickle and ``allow_pickle`` says so. Raises
    ``ResourceError`` if the file is not a bundle, holds types that are not trusted, or is a
    pickle and that is not allowed.
    """
    try:
        parts = members(path, _MEMBER, "The model bundle")
        meta, reference = _meta(parts["meta.json"]), json.loads(parts["reference.json"])
        if meta["format"] == "pickle":
            return Model(meta, reference, _unpickled(parts["model.pickle"], allowed=allow_pickle))
        if meta["format"] in native.FORMATS:
            return Model(meta, reference, native.loads(parts[f"model.{meta['format']}"], meta))
        return Model(meta, reference, skops_files.loads(parts["model.skops"]))
    except (BundleError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ResourceError("Invalid model file", f"{error}.") from error
    except KeyError as error:
        detail = f"The bundle lacks {error.args[0]}."
        raise ResourceError("Invalid model file", detail) from error


def told(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a bundle says of its model: ``meta`` and ``reference``; loads no model.

    Raises ``BundleError`` or ``KeyError`` if the file is not a bundle.
    """
    only = ("meta.json", "reference.json")
    parts = members(path, _MEMBER, "The model bundle", only)
    return _meta(parts["meta.json"]), json.loads(parts["reference.json"])


def check(path: Path) -> None:
    """Raise ``ResourceError`` unless a file is a bundle; loads nothing that is in it."""
    try:
        parts = members(path, _MEMBER, "The model bundle")
        meta = _meta(parts["meta.json"])
    except KeyError as error:
        raise ResourceError("Invalid model file", f"{path.name} lacks {error.args[0]}.") from error
    except (BundleError, UnicodeDecodeError, json.JSONDecodeError) as error:
        detail = (
            f"{path.name} is no bundle of mlform: {error}. Import another file as a training_job "
            "first, which makes a bundle of it."
        )
        raise ResourceError("Invalid model file", detail) from error
    if f"model.{meta['format']}" not in parts or "reference.json" not in parts:
        detail = f"{path.name} lacks its model or its reference."
        raise ResourceError("Invalid model file", detail)


def _meta(data: bytes) -> dict[str, Any]:
    meta = json.loads(data)
    if not isinstance(meta, dict) or (missing := _META - meta.keys()):
        lacking = sorted(missing) if isinstance(meta, dict) else "everything"
        raise BundleError(f"meta.json lacks {lacking}")
    return meta


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _skops(model: Any) -> bytes:
    try:
        data = skops_files.dumps(model)
    except Exception as error:
        # skops calls the model's own __getstate__ and __reduce__, which may raise anything.
        detail = f"{type(model).__name__} cannot be written by skops: {error}. {_ADVICE}"
        raise ResourceError("Model not supported by skops", detail, argument="format") from error
    if refused := skops_files.untrusted_in(data):
        detail = f"The model holds {skops_files.listed(refused)}, not trusted on loading. {_ADVICE}"
        raise ResourceError("Model not supported by skops", detail, argument="format")
    return data


_ADVICE = (
    'Write format = "pickle" to allow a pickle, which runs code of its maker when it is loaded, '
    "or use types of scikit-learn, numpy and scipy only."
)


def _pickled(model: Any) -> bytes:
    try:
        # The first dump has traces of which equal strings were one object; a second has not.
        copy = pickle.loads(pickle.dumps(model, protocol=5))  # noqa: S301 - what we wrote just now
        clear_gaps(copy)
        return pickle.dumps(copy, protocol=5)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        detail = f"{type(model).__name__} cannot be pickled: {error}."
        raise ResourceError("Model cannot be pickled", detail, argument="format") from error


def _unpickled(data: bytes, *, allowed: bool) -> Any:
    if not allowed:
        detail = (
            "The model is a pickle, which runs code of its maker when it is loaded. "
            "Allow pickle by name where the model is used, or train it with "
            'format = "skops".'
        )
        raise ResourceError("Pickle is not allowed", detail)
    try:
        return pickle.loads(data)  # noqa: S301 - the spec allows it by name
    except Exception as error:
        detail = f"The pickle cannot be loaded: {type(error).__name__}: {error}."
        raise ResourceError("Invalid model file", detail) from error
