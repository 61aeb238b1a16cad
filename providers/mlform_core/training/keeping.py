"""A fitted model into the store: measured, profiled, described."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlform.sdk import Artifact, Context, Handle, ResourceError
from mlform_core.training.arguments import TableArguments, TrainingAttributes
from mlform_core.training.choosing import Chosen, choose

if TYPE_CHECKING:
    import pandas as pd

Task: TypeAlias = Literal["binary", "multiclass", "regression"]

_DEFAULT_METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "accuracy", "brier"),
    "multiclass": ("accuracy", "log_loss"),
    "regression": ("r2", "mae", "rmse"),
}


@dataclass(frozen=True)
class Fitted:
    """A fitted model, and what the file it goes into must say of it.

    ``estimator`` has ``predict`` (regression) or ``predict_proba``; ``classes`` are the values of
    the target in the order of its probabilities. ``history`` has the metrics of each round.
    """

    estimator: Any
    task: Task
    classes: list[Any] | None
    format: str
    framework: str
    framework_version: str
    about: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()


def reading(ctx: Context, chosen: Chosen, part: str | None = None) -> pd.DataFrame:
    """Read the rows of one part, by default those to train on. Raises ``ResourceError``."""
    name = part or chosen.training_part
    ctx.progress(0, None, f'reading part "{name}"')
    frame = chosen.read(ctx, name)
    if frame.empty:
        detail = f'The part "{name}" of {chosen.data.address} has no rows.'
        raise ResourceError("Nothing to train on", detail, argument="split")
    return frame


def keep(
    ctx: Context,
    new: TableArguments,
    chosen: Chosen,
    fitted: Fitted,
    frame: pd.DataFrame,
    guard: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> TrainingAttributes:
    """Measure a fitted model and put it into the store. ``frame``: the part it was trained on.

    ``guard`` is entered around the first prediction, which may go wrong in foreign code.
    """
    from mlform_core import models
    from mlform_core.columns import conform
    from mlform_core.profiles import profile

    raw = conform(frame, chosen.features)
    meta = {
        **fitted.about,
        "format": fitted.format,
        "task": fitted.task,
        "target": new.target,
        "classes": fitted.classes,
        "features": chosen.features,
        "framework": fitted.framework,
        "framework_version": fitted.framework_version,
        **_transformed(new.data),
    }
    with guard():
        predictions = models.predict(fitted.estimator, fitted.task, raw)
    ctx.progress(0, None, "profiling")
    reference = profile(_with_predictions(frame[list(raw.columns)], predictions, meta))
    file = models.save(fitted.estimator, meta, reference, ctx.workdir, new.pickle_allowed)
    artifact = ctx.artifacts.put_file(file, models.MEDIA_TYPE)
    model = models.Model(meta, reference, fitted.estimator)
    metrics = measure(ctx, new, chosen, model, {chosen.training_part: (frame, predictions)})
    return TrainingAttributes(
        model=artifact.model_copy(update={"about": models.about(meta)}),
        task=fitted.task,
        target=new.target,
        features=chosen.features,
        rows=len(frame),
        metrics=metrics,
        receipt={},
        seconds=0.0,
        history=_history(ctx, fitted.history),
    )


def _transformed(data: Handle) -> dict[str, str]:
    """Return by which transform the features were made, if that is served as well.

    A deployment makes the features of this model by it, or by one that makes the same.
    """
    transform = data.attributes.get("transform")
    return {"transform": transform["about"]["id"]} if transform else {}


def _history(ctx: Context, rounds: Sequence[Mapping[str, Any]]) -> Artifact | None:
    if not rounds:
        return None
    lines = "".join(json.dumps(it, sort_keys=True) + "\n" for it in rounds)
    return ctx.artifacts.put_bytes(lines.encode(), "application/x-ndjson")


def described(
    ctx: Context, new: TableArguments, made: TrainingAttributes, told: Mapping[str, Any]
) -> TrainingAttributes:
    """Add the receipt, the time it took and the model card. ``told``: what the type says."""
    from mlform_core.training.card import card

    receipt = {
        **ctx.receipt,
        "data": {"address": new.data.address, "digest": new.data.digest, "split": new.split},
        "rows": made.rows,
        "seed": new.seed,
        **told,
    }
    done = made.model_copy(update={"receipt": receipt})
    text = card(ctx, new, done).encode()
    return done.model_copy(update={"card": ctx.artifacts.put_bytes(text, "text/markdown")})


def versions(packages: Sequence[str]) -> dict[str, Any]:
    """Return the versions of Python and of packages, for a receipt."""
    import platform
    from importlib.metadata import version

    names = sorted({*packages, "numpy", "pandas"})
    return {"python": platform.python_version(), "versions": {n: version(n) for n in names}}


def remeasure(ctx: Context, new: TableArguments, old: TrainingAttributes) -> TrainingAttributes:
    """Measure the model of before with the metrics asked for now."""
    from mlform_core import models

    path = ctx.artifacts.path(old.model.digest)
    model = models.load(path, allow_pickle=new.pickle_allowed)
    return old.model_copy(update={"metrics": measure(ctx, new, choose(new), model, {})})


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
    new: TableArguments,
    chosen: Chosen,
    model: Any,
    known: Mapping[str, tuple[pd.DataFrame, Any]],
) -> dict[str, dict[str, float | None]]:
    """Return the metrics of each part; of parts in ``known``, without predicting again."""
    names = metric_names(new, model.meta["task"])
    out: dict[str, dict[str, float | None]] = {}
    for part in chosen.parts:
        ctx.progress(len(out), len(chosen.parts), f'measuring part "{part}"')
        frame, predictions = known.get(part, (None, None))
        if frame is None:
            frame = chosen.read(ctx, part)
            predictions = model.predict(frame)
        out[part] = values_of(names, model.meta, frame[chosen.target], predictions)
    return out


def metric_names(new: TableArguments, task: Task) -> Sequence[str]:
    """Return the metrics to measure. Raises ``ResourceError`` on one not defined for a task."""
    from mlform_core.gate_rules import metrics_of

    if new.metrics is None:
        return _DEFAULT_METRICS[task]
    defined = metrics_of(task)
    if wrong := [name for name in new.metrics if name not in defined]:
        detail = f"{', '.join(wrong)}: not defined for {task}. Defined are {', '.join(defined)}."
        raise ResourceError("Invalid metrics", detail, argument="metrics")
    return new.metrics


def values_of(
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
