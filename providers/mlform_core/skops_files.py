"""Skops files in one canonical form, and which types they may hold.

``skops.io.dumps`` names objects by their address in memory, so two dumps of one model differ.
Here arrays are named by their content, and equal arrays are one. Whether other parts are one
object or equal ones depends on how the model was trained (in this process or several) and never
on what it says, so it is left out.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from mlform_core import trees
from mlform_core.bundles import BundleError, members, pack
from mlform_core.unpacking import opened

_NAME = re.compile(r"schema\.json|[0-9a-f]{64}\.(npy|npz|bin)")
_ARRAYS = re.compile(r"[A-Za-z0-9_]{1,64}\.npy")
# Beside scikit-learn's own estimators, which are inert until called on data. Functions are not
# trusted by package: numpy.load, called by a FunctionTransformer, would run what it reads. A
# partial is as safe as the function in it, which is checked too.
_CLASSES = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.linear_model._sgd_fast.EpsilonInsensitive",
        "sklearn.linear_model._sgd_fast.Hinge",
        "sklearn.linear_model._sgd_fast.SquaredHinge",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)
_CLASS_MODULES = (
    "sklearn._loss.",
    "sklearn.gaussian_process.kernels",
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._kd_tree",
)
_SPARSE = re.compile(r"scipy\.sparse\._(bsr|coo|csc|csr|dia)\.\1_(matrix|array)")
_FUNCTION_MODULES = (
    "sklearn.feature_selection._mutual_info",
    "sklearn.feature_selection._univariate_selection",
    "sklearn.metrics.pairwise",
)
_FUNCTIONS = frozenset({"sklearn.utils.validation.check_array"})


def dumps(model: Any) -> bytes:
    """Return ``model`` as a skops file in canonical form. Raises ``TypeError`` if it cannot be."""
    import skops.io

    return canonical(skops.io.dumps(model))


def loads(data: bytes) -> Any:
    """Load what ``dumps`` wrote. Raises ``BundleError`` on untrusted types and invalid files."""
    import skops.io

    parts = members(data, _NAME, "The model file")
    for name, content in parts.items():
        if name.endswith(".npz"):
            members(content, _ARRAYS, "A sparse matrix of the model file")
    try:
        types = skops.io.get_untrusted_types(data=data)
        model = None if untrusted(types) else skops.io.loads(data, trusted=types)
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError, MemoryError) as error:
        message = f"The model file is damaged: {type(error).__name__}: {error}"
        raise BundleError(message) from error
    if refused := untrusted(types):
        raise BundleError(f"The model file has types that are not trusted: {listed(refused)}")
    if wrong := trees.faults(model):
        raise BundleError(f"The model file has {' and '.join(wrong)}")
    return model


def untrusted_in(data: bytes) -> list[str]:
    """Return the types in a skops file that ``loads`` would refuse."""
    import skops.io

    return untrusted(skops.io.get_untrusted_types(data=data))


def untrusted(types: Sequence[str]) -> list[str]:
    """Return those of ``types`` (qualified names that skops does not trust) we do not trust."""
    return [name for name in types if not _trusted(name)]


def listed(names: Sequence[str]) -> str:
    """Return a few of the names for a message, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _trusted(name: str) -> bool:
    if name in _CLASSES or name in _FUNCTIONS or _SPARSE.fullmatch(name):
        return True
    module_name, _, attribute = name.rpartition(".")
    if not module_name.startswith("sklearn.") or ".tests" in module_name:
        return False
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError):
        return False
    # Where it is defined counts, not where a name for it can be found.
    home = getattr(found, "__module__", None) or ""
    if isinstance(found, type):
        from sklearn.base import BaseEstimator

        ours = home.startswith("sklearn.") and issubclass(found, BaseEstimator)
        return ours or home.startswith(_CLASS_MODULES)
    return callable(found) and home in _FUNCTION_MODULES


def canonical(data: bytes) -> bytes:
    """Return the skops file ``data`` in canonical form: equal models give equal bytes.

    Raises ``UnpackingError`` if it is made to do harm, ``zipfile.BadZipFile`` if it is no zip.
    """
    with opened(data, "The model file") as archive:
        schema = json.loads(archive.read("schema.json"))
        contents = {n: archive.read(n) for n in archive.namelist() if n != "schema.json"}
    # The release of skops that wrote it is no part of the model; the protocol is.
    schema.pop("_skops_version", None)
    files: dict[str, tuple[str, bytes]] = {}
    for name, content in contents.items():
        suffix = name.rpartition(".")[2]
        kept = _CANONICAL.get(suffix, bytes)(content)
        files[name] = (f"{hashlib.sha256(kept).hexdigest()}.{suffix}", kept)
    seen: Counter[str] = Counter()
    _rewrite(schema, files, seen)
    _share(schema, {name for name, times in seen.items() if times > 1}, {})
    out = dict(files.values())
    out["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    return pack(out)


def _canonical_npz(data: bytes) -> bytes:
    with opened(data, "A sparse matrix of the model file") as archive:
        return pack({name: archive.read(name) for name in archive.namelist()})


def _canonical_npy(data: bytes) -> bytes:
    """Return the array with zeros between the fields of its records, where there is no data."""
    import numpy as np

    array = np.load(BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    out = BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()


_CANONICAL = {"npz": _canonical_npz, "npy": _canonical_npy}


def _rewrite(node: Any, files: dict[str, tuple[str, bytes]], seen: Counter[str]) -> None:
    """Name files by content and count them, drop identities, and put sets in order."""
    if isinstance(node, list):
        for child in node:
            _rewrite(child, files, seen)
    if not isinstance(node, dict):
        return
    for child in node.values():
        _rewrite(child, files, seen)
    if "__loader__" not in node:
        return
    node.pop("__id__", None)
    if isinstance(node.get("file"), str):
        node["file"] = files[node["file"]][0]
        seen[node["file"]] += 1
    if node["__loader__"] == "SetNode":
        node["content"].sort(key=lambda n: json.dumps(n, sort_keys=True))


def _share(node: Any, shared: set[str], numbers: dict[str, int]) -> None:
    """Make arrays of equal content one, numbered by first appearance (0 means none to skops)."""
    if isinstance(node, list):
        for child in node:
            _share(child, shared, numbers)
    elif isinstance(node, dict):
        # A scalar and an array may have the same bytes: only arrays are shared.
        if node.get("__class__") == "ndarray" and node.get("file") in shared:
            node["__id__"] = numbers.setdefault(node["file"], len(numbers) + 1)
        for child in node.values():
            _share(child, shared, numbers)
