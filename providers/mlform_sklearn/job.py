"""One training: read, fit, measure, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlform.sdk import Context, ResourceError, code
from mlform_sklearn.building import build
from mlform_sklearn.encoding import encoded
from mlform_sklearn.fitting import fit, guarded
from mlform_sklearn.tables import Chosen, choose, labels
from mlform_sklearn.training import TrainingArguments, TrainingAttributes

if TYPE_CHECKING:
    import pandas as pd

Task: TypeAlias = Literal["binary", "multiclass", "regression"]

_DEFAULT_METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "accuracy", "brier"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("r2", "mae", "rmse"),
}


def train(ctx: Context, new: TrainingArguments) -> TrainingAttributes:
    """Fit what the arguments describe and put the model into the store."""
    from mlform_core.columns import conform

    started = time.monotonic()
    chosen = choose(new)
    make = _maker(ctx, new, chosen)
    ctx.progress(0, None, f'reading part "{chosen.training_part}"')
    frame = chosen.read(ctx, chosen.training_part)
    if frame.empty:
        detail = f'The part "{chosen.training_part}" of {chosen.data.address} has no rows.'
        raise ResourceError("Nothing to train on", detail, argument="split")
    raw = conform(frame, chosen.features)
    fit_started = time.monotonic()
    model = make(raw, frame[chosen.target])
    fit_seconds = time.monotonic() - fit_started
    made = keep(ctx, new, chosen, model, frame)
    receipt = _receipt(ctx, new, len(frame), fit_seconds)
    seconds = round(time.monotonic() - started, 3)
    return made.model_copy(update={"receipt": receipt, "seconds": seconds})


def keep(
    ctx: Context, new: TrainingArguments, chosen: Chosen, model: Any, frame: pd.DataFrame
) -> TrainingAttributes:
    """Measure a fitted model and put it into the store. ``frame``: the part it was trained on."""
    from mlform_core import models
    from mlform_core.columns import conform
    from mlform_core.profiles import profile

    raw = conform(frame, chosen.features)
    argument = _argument(new)
    task = _task(model, argument)
    meta = _meta(new, chosen, task, model)
    _in_one_thread(model)
    with guarded(ctx, 1, argument):
        predictions = models.predict(model, task, raw)
    ctx.progress(0, None, "profiling")
    reference = profile(_with_predictions(frame[list(raw.columns)], predictions, meta))
    file = models.save(model, meta, reference, ctx.workdir, new.format == "pickle")
    artifact = ctx.artifacts.put_file(file, models.MEDIA_TYPE)
    fitted = models.Model(meta, reference, model)
    metrics = measure(ctx, new, chosen, fitted, {chosen.training_part: (frame, predictions)})
    return TrainingAttributes(
        model=artifact.model_copy(update={"about": models.about(meta)}),
        task=task,
        target=new.target,
        features=chosen.features,
        rows=len(frame),
        metrics=metrics,
        receipt={},
        seconds=0.0,
    )


def remeasure(ctx: Context, new: TrainingArguments, old: TrainingAttributes) -> TrainingAttributes:
    """Measure the model of before with the metrics asked for now."""
    from mlform_core import models

    path = ctx.artifacts.path(old.model.digest)
    model = models.load(path, allow_pickle=new.format == "pickle")
    return old.model_copy(update={"metrics": measure(ctx, new, choose(new), model, {})})


def _in_one_thread(model: Any) -> None:
    """Have a fitted model predict in one thread.

    The sums of several come in any order, and their last digits would show in the reference.
    """
    params = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    if jobs := [n for n in params if n.rpartition("__")[2] == "n_jobs"]:
        model.set_params(**dict.fromkeys(jobs))


def _argument(new: TrainingArguments) -> str:
    return next(n for n in ("estimator", "pipeline", "entry") if getattr(new, n) is not None)


def _maker(
    ctx: Context, new: TrainingArguments, chosen: Chosen
) -> Callable[[pd.DataFrame, pd.Series[Any]], Any]:
    """Return what fits the model; all that can be wrong without data is found before."""
    argument = _argument(new)
    if new.entry is not None:
        own = code.load(ctx.root, new.entry)

        def by_entry(raw: pd.DataFrame, target: pd.Series[Any]) -> Any:
            # What the target is for, only the function knows: numbers stay what they are.
            classes = chosen.target_type in {"string", "bool", "int64"}
            y = labels(chosen, target, classes=classes)
            ctx.progress(0, None, "fitting")
            with guarded(ctx, new.threads, argument):
                model = own(raw, y, dict(new.params), new.seed)
            if not hasattr(model, "predict"):
                detail = (
                    f"{new.entry} returned {type(model).__name__}, which has no predict. "
                    "Return the fitted estimator."
                )
                raise ResourceError("Not an estimator", detail, argument="entry")
            return model

        return by_entry

    bare = build(new)
    classes = _classifies(bare, argument)
    model = encoded(bare, chosen.features) if new.encode == "auto" else bare

    def by_estimator(raw: pd.DataFrame, target: pd.Series[Any]) -> Any:
        y = labels(chosen, target, classes=classes)
        many = classes and len(set(y.tolist())) > 2
        _metric_names(new, "multiclass" if many else "binary" if classes else "regression")
        with guarded(ctx, new.threads, argument):
            fit(ctx, model, raw, y)
        return model

    return by_estimator


def _classifies(model: Any, argument: str) -> bool:
    """Tell a classifier from a regressor. Raises ``ResourceError`` if it is neither."""
    from sklearn.base import is_classifier, is_regressor

    name = type(model.steps[-1][1] if hasattr(model, "steps") else model).__name__
    if is_regressor(model):
        return False
    if not is_classifier(model):
        detail = f"{name} is neither a classifier nor a regressor."
        raise ResourceError("Not a predictor", detail, argument=argument)
    if not hasattr(model, "predict_proba"):
        detail = (
            f"{name}, with these parameters, gives no probabilities. Calibrate it: "
            'estimator = "sklearn.calibration.CalibratedClassifierCV", '
            f'params = {{ estimator = {{ estimator = "…{name}" }} }}.'
        )
        raise ResourceError("No probabilities", detail, argument=argument)
    return True


def _task(model: Any, argument: str) -> Task:
    if not _classifies(model, argument):
        return "regression"
    return "binary" if len(model.classes_) == 2 else "multiclass"


def _meta(new: TrainingArguments, chosen: Chosen, task: Task, model: Any) -> dict[str, Any]:
    import sklearn

    classes = None if task == "regression" else model.classes_.tolist()
    return {
        "format": new.format,
        "task": task,
        "target": new.target,
        "classes": classes,
        "features": chosen.features,
        "framework": "scikit-learn",
        "framework_version": sklearn.__version__,
    }


def _with_predictions(
    frame: pd.DataFrame, predictions: Any, meta: Mapping[str, Any]
) -> pd.DataFrame:
    """Add the column "prediction": probability (binary), most probable class, or value."""
    import numpy as np

    if meta["task"] == "multiclass":
        names = np.array([str(c) for c in meta["classes"]], dtype=object)
        predictions = names[predictions.argmax(axis=1)]
    return frame.assign(prediction=predictions)


def measure(
    ctx: Context,
    new: TrainingArguments,
    chosen: Chosen,
    model: Any,
    known: Mapping[str, tuple[pd.DataFrame, Any]],
) -> dict[str, dict[str, float | None]]:
    """Return the metrics of each part; of parts in ``known``, without predicting again."""
    names = _metric_names(new, model.meta["task"])
    out: dict[str, dict[str, float | None]] = {}
    for part in chosen.parts:
        ctx.progress(len(out), len(chosen.parts), f'measuring part "{part}"')
        frame, predictions = known.get(part, (None, None))
        if frame is None:
            frame = chosen.read(ctx, part)
            predictions = model.predict(frame)
        out[part] = _metrics(names, model.meta, frame[chosen.target], predictions)
    return out


def _metric_names(new: TrainingArguments, task: Task) -> Sequence[str]:
    from mlform_core.gate_rules import metrics_of

    if new.metrics is None:
        return _DEFAULT_METRICS[task]
    defined = metrics_of(task)
    if wrong := [name for name in new.metrics if name not in defined]:
        detail = f"{', '.join(wrong)}: not defined for {task}. Defined are {', '.join(defined)}."
        raise ResourceError("Invalid metrics", detail, argument="metrics")
    return new.metrics


def _metrics(
    names: Sequence[str], meta: Mapping[str, Any], target: pd.Series[Any], predictions: Any
) -> dict[str, float | None]:
    """Measure on the rows with a label that the model knows; ``None`` is "not defined there"."""
    import math

    import numpy as np
    import pandas as pd

    from mlform_core.metrics import Outcomes, value

    if meta["task"] == "regression":
        y = target.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        places = {c: float(i) for i, c in enumerate(meta["classes"])}
        y = pd.Series(target).map(places).to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(y)
    outcomes = Outcomes(meta["task"], y[known], predictions[known])
    values = {name: value(name, outcomes) for name in names}
    return {name: v if math.isfinite(v) else None for name, v in values.items()}


def _receipt(ctx: Context, new: TrainingArguments, rows: int, fit_seconds: float) -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    from mlform_sklearn.packages import distributions

    packages = {*distributions(new), "numpy", "pandas", "scipy", "skops"}
    return {
        **ctx.receipt,
        "data": {"address": new.data.address, "digest": new.data.digest, "split": new.split},
        "rows": rows,
        "model": new.entry or new.estimator or [s.estimator for s in new.pipeline or []],
        "params": new.params,
        "seed": new.seed,
        "threads": new.threads,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in sorted(packages)},
        "fit_seconds": round(fit_seconds, 3),
    }
