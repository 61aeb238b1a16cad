"""A model that exists already, as the result of a training that is not run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Context, Imported, ResourceError
from mlform_core.training.arguments import TrainingAttributes
from mlform_core.training.choosing import choose
from mlform_sklearn.packages import is_nested
from mlform_sklearn.training import TrainingArguments

if TYPE_CHECKING:
    from mlform_core.models import Model

_SIMPLE: Final = (bool, int, float, str)
_PICKLES: Final = (".pkl", ".pickle", ".joblib")


def adopted(
    ctx: Context, id_: str, new: TrainingArguments | None
) -> Imported[TrainingAttributes] | None:
    """Read the model in a file; ``None`` if there is no file. Raises ``ResourceError``."""
    path = ctx.root / id_
    if not path.is_file():
        return None
    receipt = {**ctx.receipt, "imported": {"path": id_, "digest": ctx.file_digest(path)}}
    if _is_bundle(path):
        found = _from_bundle(ctx, path, new)
    elif new is None:
        detail = (
            f"{id_} is a model alone: which columns it takes, and of which types, is in the data "
            "that the block names. Apply those first, and import then."
        )
        raise ResourceError("Data not applied yet", detail)
    else:
        found = _from_estimator(ctx, path, new)
    attributes = found.attributes.model_copy(update={"receipt": receipt})
    return Imported(attributes, found.arguments)


def _is_bundle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "meta.json" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def _from_bundle(
    ctx: Context, path: Path, new: TrainingArguments | None
) -> Imported[TrainingAttributes]:
    from mlform_core import models

    allowed = new is not None and new.format == "pickle"
    model = models.load(path, allow_pickle=allowed)
    meta = model.meta
    told: dict[str, Any] = {"target": meta["target"], "format": meta["format"]}
    metrics: dict[str, dict[str, float | None]] = {}
    if new is None:
        told |= {"features": [f["name"] for f in meta["features"]], **_written(model.estimator)}
    else:
        told |= _differences(new, model)
        if told["target"] == new.target and "features" not in told:
            from mlform_core.training.keeping import measure

            metrics = measure(ctx, new, choose(new), model, {})
    kept = ctx.artifacts.put_file(path, models.MEDIA_TYPE)
    attributes = TrainingAttributes(
        model=kept.model_copy(update={"about": models.about(meta)}),
        task=meta["task"],
        target=meta["target"],
        features=meta["features"],
        rows=_rows(model),
        metrics=metrics,
        receipt={},
        seconds=0.0,
    )
    return Imported(attributes, told)


def _rows(model: Model) -> int:
    """Return how many rows a model was trained on, as the profile of one column has it."""
    return int(next((p["rows"] for p in model.reference.values() if "rows" in p), 0))


def _from_estimator(
    ctx: Context, path: Path, new: TrainingArguments
) -> Imported[TrainingAttributes]:
    from mlform_sklearn import job

    estimator = _loaded(path, new)
    chosen = choose(new)
    _check_features(estimator, [f["name"] for f in chosen.features], path.name)
    frame = chosen.read(ctx, chosen.training_part)
    try:
        attributes = job.keep(ctx, new, chosen, estimator, frame)
    except (ValueError, TypeError, AttributeError) as error:
        detail = f"{path.name} cannot predict the rows of {chosen.data.address}: {error}."
        raise ResourceError("Model does not fit the data", detail) from error
    return Imported(attributes, _differences_of(new, estimator))


def _loaded(path: Path, new: TrainingArguments) -> Any:
    from mlform_core import skops_files
    from mlform_core.bundles import BundleError

    if zipfile.is_zipfile(path):
        try:
            return skops_files.loads(skops_files.canonical(path.read_bytes()))
        except (BundleError, KeyError, ValueError, zipfile.BadZipFile) as error:
            detail = f"{path.name} is neither a bundle of mlform nor a skops file: {error}."
            raise ResourceError("Invalid model file", detail) from error
    if path.suffix not in _PICKLES:
        detail = (
            f"{path.name} is neither a bundle of mlform, nor a skops file, nor does its name end "
            f"in one of {', '.join(_PICKLES)}."
        )
        raise ResourceError("Invalid model file", detail)
    if new.format != "pickle":
        detail = (
            f"{path.name} is a pickle, which runs code of its maker when it is loaded. If you "
            'trust that maker, write format = "pickle"; else have the model written by skops.'
        )
        raise ResourceError("Pickle is not allowed", detail, argument="format")
    import joblib

    try:
        return joblib.load(path)
    except Exception as error:
        detail = f"{path.name} cannot be loaded: {type(error).__name__}: {error}."
        raise ResourceError("Invalid model file", detail) from error


def _check_features(estimator: Any, names: list[str], file: str) -> None:
    """Refuse a model that says it takes other columns than the block chooses."""
    known = getattr(estimator, "feature_names_in_", None)
    takes = None if known is None else [str(name) for name in known]
    if takes is None or takes == names:
        return
    missing = [n for n in takes if n not in names]
    more = [n for n in names if n not in takes]
    parts = [f"it takes {', '.join(missing)}, which the block leaves out"] if missing else []
    parts += [f"it does not take {', '.join(more)}"] if more else []
    parts = parts or [f"it takes them in the order {', '.join(takes)}"]
    detail = f"{file} was trained on other columns: {'; '.join(parts)}. Write `features`."
    raise ResourceError("Model does not fit the data", detail, argument="features")


def _differences(new: TrainingArguments, model: Model) -> dict[str, Any]:
    """Return what a bundle says of its training that is not what the block says."""
    takes = [f["name"] for f in model.meta["features"]]
    found = _differences_of(new, model.estimator)
    if model.meta["target"] == new.target and takes != [f["name"] for f in choose(new).features]:
        found["features"] = takes
    return found


def _differences_of(new: TrainingArguments, estimator: Any) -> dict[str, Any]:
    """Return the estimator and those parameters of it that are not what the block says."""
    from mlform_sklearn.building import found as class_at

    if new.estimator is None:
        return {}
    inner = _inner(estimator)
    same = type(inner) is class_at(new.estimator, "estimator")
    if not same:
        return _written(estimator)
    has: dict[str, Any] = inner.get_params(deep=False)
    other = {
        n: has[n]
        for n, v in new.params.items()
        if not is_nested(v) and isinstance(has.get(n), _SIMPLE) and has[n] != v
    }
    return {"params": {**new.params, **other}} if other else {}


def _inner(estimator: Any) -> Any:
    """Return the estimator without what ``encode = "auto"`` puts in front."""
    steps = getattr(estimator, "steps", None)
    if steps and [name for name, _ in steps] == ["encode", "model"]:
        return steps[-1][1]
    return estimator


def _written(estimator: Any) -> dict[str, Any]:
    """Return an estimator as a block would have it, with the parameters that are not defaults."""
    inner = _inner(estimator)
    if not hasattr(inner, "get_params"):
        return {}
    path = f"{type(inner).__module__}.{type(inner).__name__}"
    return {"estimator": _public(path), "params": _chosen(inner)}


def _chosen(estimator: Any) -> Mapping[str, Any]:
    try:
        defaults = type(estimator)().get_params(deep=False)
    except TypeError:
        defaults = {}
    return {
        n: v
        for n, v in estimator.get_params(deep=False).items()
        if isinstance(v, _SIMPLE)
        and v != defaults.get(n)
        and n not in {"random_state", "n_jobs", "categorical_features"}
    }


def _public(path: str) -> str:
    """Return the path that documentation gives a class: without private modules."""
    return ".".join(part for part in path.split(".") if not part.startswith("_"))
