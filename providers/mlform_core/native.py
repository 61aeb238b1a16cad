"""Models of XGBoost and LightGBM in the formats of these libraries, which run no code on loading.

A booster takes the conformed columns as they are: numbers as floats, missing ones as NaN, strings
as the places of their categories in the order that training found them. A category that training
never saw is missing.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from mlform.sdk import ResourceError
from mlform_core.bundles import BundleError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Conformed: TypeAlias = pd.DataFrame | dict[str, npt.NDArray[Any]]
    """Conformed rows: a frame, or (a few) as columns by name, which takes a fraction."""

FORMATS: Final = ("xgboost", "lightgbm")


class Booster:
    """A trained booster with the interface of an estimator.

    ``categories`` has the values of each string column in order; ``classes_`` those of the
    target, ``None`` for regression.
    """

    format: ClassVar[str]
    framework: ClassVar[str]

    def __init__(
        self, booster: Any, categories: Mapping[str, Sequence[str]], classes: list[Any] | None
    ) -> None:
        self.booster, self.categories, self.classes_ = booster, dict(categories), classes
        self._places: dict[str, dict[str, int]] | None = None

    @property
    def version(self) -> str:
        """The version of the library."""
        return str(sys.modules[self.format].__version__)

    def predict(self, conformed: Conformed) -> Floats:
        """Return the value of each row."""
        return self._raw(self._matrix(conformed))

    def predict_proba(self, conformed: Conformed) -> Floats:
        """Return a probability for each row and class."""
        import numpy as np

        found = self._raw(self._matrix(conformed))
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found

    def _matrix(self, conformed: Conformed) -> Floats:
        import numpy as np

        if not isinstance(conformed, dict):
            return matrix(conformed, self.categories)
        if self._places is None:
            listed = self.categories.items()
            self._places = {n: {v: place for place, v in enumerate(vs)} for n, vs in listed}
        columns = [
            [self._places[name].get(v, np.nan) for v in values] if name in self._places else values
            for name, values in conformed.items()
        ]
        return np.column_stack(columns).astype(np.float64, copy=False)

    def _raw(self, values: Floats) -> Floats:
        raise NotImplementedError

    def dumps(self) -> bytes:
        """Return the model in the library's own format: equal models give equal bytes."""
        raise NotImplementedError


class XGBoost(Booster):
    """A model of XGBoost, kept as its JSON."""

    format = framework = "xgboost"

    def _raw(self, values: Floats) -> Floats:
        import numpy as np

        made = dmatrix(values, self.booster.feature_names, self.booster.feature_types)
        return np.asarray(self.booster.predict(made), dtype=np.float64)

    def dumps(self) -> bytes:
        """Return the JSON that XGBoost writes."""
        return bytes(self.booster.save_raw(raw_format="json"))


class LightGBM(Booster):
    """A model of LightGBM, kept as its text."""

    format = framework = "lightgbm"

    def _raw(self, values: Floats) -> Floats:
        import numpy as np

        return np.asarray(self.booster.predict(values, num_threads=threads()), dtype=np.float64)

    def dumps(self) -> bytes:
        """Return the text that LightGBM writes, without what is no part of the model."""
        text = self.booster.model_to_string(num_iteration=-1)
        return re.sub(r"(?m)^\[(num_threads|verbosity): -?\d+\]$", r"[\1: 1]", text).encode()


def threads() -> int:
    """Return how many threads this stage may use: what its ``resources`` declare, else one."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "1")))
    except ValueError:
        return 1


def library(name: str) -> Any:
    """Import ``xgboost`` or ``lightgbm``. Raises ``ResourceError`` saying what to install."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        detail = f"{name} cannot be imported ({error}). pip install 'mlform[{name}]'."
        raise ResourceError("Library not installed", detail) from error


def matrix(conformed: pd.DataFrame, categories: Mapping[str, Sequence[str]]) -> Floats:
    """Return conformed rows as floats; a string is the place of its category, else missing."""
    import numpy as np
    import pandas as pd

    out = np.empty(conformed.shape, dtype=np.float64)
    for place, name in enumerate(conformed.columns):
        column = conformed[name]
        if name in categories:
            codes = pd.Index(list(categories[name]), dtype=object).get_indexer(
                pd.Index(column, dtype=object)
            )
            out[:, place] = np.where(codes < 0, np.nan, codes)
        else:
            out[:, place] = column.to_numpy(dtype=np.float64)
    return out


def dmatrix(values: Floats, names: Any, types: Any, label: Any = None) -> Any:
    """Return what XGBoost trains on and predicts."""
    made = library("xgboost").DMatrix
    return made(
        values,
        label=label,
        feature_names=names,
        feature_types=types,
        nthread=threads(),
        enable_categorical=True,
    )


def wrapped(model: Any) -> Booster | None:
    """Return a booster, or what wraps one in scikit-learn's way, as ours; ``None`` for all else."""
    kind = type(model)
    if isinstance(model, Booster):
        return model
    top = kind.__module__.partition(".")[0]
    if top not in FORMATS:
        return None
    inner = model
    if top == "xgboost" and hasattr(model, "get_booster"):
        inner = model.get_booster()
    elif top == "lightgbm" and hasattr(model, "booster_"):
        inner = model.booster_
    classes = getattr(model, "classes_", None)
    found = None if classes is None else classes.tolist()
    return (XGBoost if top == "xgboost" else LightGBM)(inner, {}, found)


def loads(data: bytes, meta: Mapping[str, Any]) -> Booster:
    """Load what ``Booster.dumps`` wrote. Raises ``BundleError`` on what is damaged or made up."""
    name = meta["format"]
    lib = library(name)
    categories, count = meta.get("categories") or {}, len(meta["features"])
    try:
        if name == "xgboost":
            _check_xgboost(json.loads(data), count)
            booster = lib.Booster({"nthread": threads()}, model_file=bytearray(data))
            return XGBoost(booster, categories, meta["classes"])
        text = data.decode()
        _check_lightgbm(text, count)
        booster = lib.Booster(model_str=text)
        return LightGBM(booster, categories, meta["classes"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"The model of {name} is damaged: {error}") from error
    except Exception as error:
        if type(error).__name__ not in {"XGBoostError", "LightGBMError"}:
            raise
        raise BundleError(f"The model of {name} is damaged: {error}") from error


def _check_xgboost(model: Any, count: int) -> None:
    """Follow every index: the library follows them without looking."""
    import numpy as np

    if int(model["learner"]["learner_model_param"]["num_feature"]) != count:
        raise ValueError("it is for another number of features")
    booster = model["learner"]["gradient_booster"]
    if booster.get("name") == "gblinear":
        return
    held = booster["model"] if "model" in booster else booster["gbtree"]["model"]
    for tree in held["trees"]:
        left, right, used = (
            np.asarray(tree[n], dtype=np.int64)
            for n in ("left_children", "right_children", "split_indices")
        )
        _check_tree(left, right, used, left != -1, count)


def _check_tree(left: Any, right: Any, used: Any, inner: Any, count: int) -> None:
    import numpy as np

    if not len(left) == len(right) == len(used):
        raise ValueError("a tree whose nodes do not form one")
    own = np.flatnonzero(inner)
    for side in (left, right):
        children = side[inner]
        if (children <= own).any() or (children >= len(left)).any():
            raise ValueError("a tree whose nodes do not form one")
    if inner.any() and (used[inner].min() < 0 or used[inner].max() >= count):
        raise ValueError("a tree that splits on a feature it does not have")


def _check_lightgbm(text: str, count: int) -> None:
    """Follow every index, and hold every length to what is said of it.

    On a text that is not whole the library does not fail: it ends the process.
    """
    most = re.search(r"(?m)^max_feature_idx=(\d+)$", text)
    sizes = re.search(r"(?m)^tree_sizes=([\d ]+)$", text)
    if most is None or int(most.group(1)) + 1 != count:
        raise ValueError("it is for another number of features")
    at = text.find("Tree=0\n")
    if sizes is None or at < 0:
        raise ValueError("it has no trees")
    for number, size in enumerate(map(int, sizes.group(1).split())):
        block = text[at : at + size]
        if not block.startswith(f"Tree={number}\n"):
            raise ValueError("its trees are not where it says")
        _check_block(dict(line.split("=", 1) for line in block.splitlines() if "=" in line), count)
        at += size
    if not text[at:].startswith("end of trees\n"):
        raise ValueError("its trees do not end where it says")


_OF_LEAVES: Final = ("leaf_value", "leaf_weight", "leaf_count")
_OF_NODES: Final = (
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "internal_value",
    "internal_weight",
    "internal_count",
)


def _check_block(told: Mapping[str, str], count: int) -> None:
    import numpy as np

    leaves, kinds = int(told["num_leaves"]), int(told["num_cat"])
    lengths = dict.fromkeys(_OF_LEAVES, leaves) | dict.fromkeys(_OF_NODES, leaves - 1)
    if leaves < 1 or (leaves == 1 and "leaf_value" not in told):
        raise ValueError("a tree without a leaf")
    for name, length in lengths.items():
        if leaves > 1 and len(told[name].split()) != length:
            raise ValueError(f"a tree with another number of {name} than it has nodes")
    if leaves == 1:
        return
    left, right, used, decisions = (
        np.array(told[n].split(), dtype=np.int64)
        for n in ("left_child", "right_child", "split_feature", "decision_type")
    )
    for side in (left, right):
        # A child below zero is a leaf, numbered from -1 down.
        inner = side >= 0
        late = side[inner] <= np.flatnonzero(inner)
        if late.any() or (side >= leaves - 1).any() or (side < -leaves).any():
            raise ValueError("a tree whose nodes do not form one")
    if used.min() < 0 or used.max() >= count:
        raise ValueError("a tree that splits on a feature it does not have")
    chosen = np.array(told["threshold"].split(), dtype=np.float64)[(decisions & 1) == 1]
    if not chosen.size and not kinds:
        return
    bounds, bits = (
        np.array(told[n].split(), dtype=np.int64) for n in ("cat_boundaries", "cat_threshold")
    )
    rising = len(bounds) == kinds + 1 and bounds[0] == 0 and (np.diff(bounds) >= 0).all()
    if not rising or bounds[-1] != len(bits) or chosen.min() < 0 or chosen.max() >= kinds:
        raise ValueError("a tree whose categories do not exist")
