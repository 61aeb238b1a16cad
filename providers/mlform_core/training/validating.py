"""Training again for each fold, and measuring what it held out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context
from mlform_core.training.arguments import TableArguments
from mlform_core.training.choosing import choose

if TYPE_CHECKING:
    from mlform_core.training.keeping import Fitted, Task


def held_out(
    fitted: Fitted, features: list[dict[str, str]], names: list[str], target: str, rows: Any
) -> dict[str, float | None]:
    """Return metrics of a fitted model on rows it was not trained on."""
    from mlform_core.models import Model
    from mlform_core.training.keeping import values_of

    meta = {"task": fitted.task, "classes": fitted.classes, "features": features}
    predictions = Model(meta, {}, fitted.estimator).predict(rows)
    return values_of(names, meta, rows[target], predictions)


def cross_validated(
    ctx: Context,
    new: TableArguments,
    fit: Callable[[Context, Any, Any], Fitted],
    task: Task,
) -> dict[str, float | None]:
    """Return the mean and the standard deviation of each metric over the folds."""
    import numpy as np

    from mlform_core.training import keeping
    from mlform_core.training.folds import divided

    assert new.cross_validation is not None, "asked only where there are folds"
    chosen = choose(new)
    frame = keeping.reading(ctx, chosen)
    folds = divided(ctx, new.cross_validation, chosen, frame[new.target], new.seed)
    names = list(keeping.metric_names(new, task))
    found = []
    for number, (train, held) in enumerate(folds):
        ctx.progress(number, len(folds), "folds")
        made = fit(ctx, new, frame.iloc[train].reset_index(drop=True))
        rows = frame.iloc[held].reset_index(drop=True)
        found.append(held_out(made, chosen.features, names, new.target, rows))
    told: dict[str, float | None] = {}
    for name in names:
        values = [v for it in found if (v := it[name]) is not None]
        told[name] = float(np.mean(values)) if values else None
        told[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return told
