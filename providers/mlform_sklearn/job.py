"""One training: read, fit, measure, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context, ResourceError, code
from mlform_core.training import keeping
from mlform_core.training.arguments import TrainingAttributes
from mlform_core.training.choosing import Chosen, choose, labels
from mlform_core.training.keeping import Fitted, Task, metric_names
from mlform_sklearn.building import build
from mlform_sklearn.encoding import encoded
from mlform_sklearn.fitting import fit, guarded
from mlform_sklearn.packages import distributions
from mlform_sklearn.training import TrainingArguments

if TYPE_CHECKING:
    import pandas as pd


def train(ctx: Context, new: TrainingArguments) -> TrainingAttributes:
    """Fit what the arguments describe and put the model into the store."""
    started = time.monotonic()
    chosen = choose(new)
    make = maker(ctx, new, chosen)
    frame = keeping.reading(ctx, chosen)
    fit_started = time.monotonic()
    model = make(frame)
    fit_seconds = time.monotonic() - fit_started
    made = keep(ctx, new, chosen, model, frame)
    packages = [*distributions(new), "scipy", "skops"]
    told = {
        "model": new.entry or new.estimator or [s.estimator for s in new.pipeline or []],
        "params": new.params,
        "threads": new.threads,
        "fit_seconds": round(fit_seconds, 3),
        **keeping.versions(packages),
    }
    made = made.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
    return keeping.described(ctx, new, made, told)


def keep(
    ctx: Context, new: TrainingArguments, chosen: Chosen, model: Any, frame: pd.DataFrame
) -> TrainingAttributes:
    """Measure a fitted model and put it into the store. ``frame``: the part it was trained on."""
    fitted, guard = fitted_of(new, model), partial(guarded, ctx, 1, _argument(new))
    return keeping.keep(ctx, new, chosen, fitted, frame, guard)


def fitted_of(new: TrainingArguments, model: Any) -> Fitted:
    """Return what is to be said of a fitted estimator. Raises ``ResourceError``."""
    import sklearn

    task = _task(model, _argument(new))
    _in_one_thread(model)
    classes = None if task == "regression" else model.classes_.tolist()
    return Fitted(model, task, classes, new.format, "scikit-learn", sklearn.__version__)


def _in_one_thread(model: Any) -> None:
    """Have a fitted model predict in one thread.

    The sums of several come in any order, and their last digits would show in the reference.
    """
    params = model.get_params(deep=True) if hasattr(model, "get_params") else {}
    if jobs := [n for n in params if n.rpartition("__")[2] == "n_jobs"]:
        model.set_params(**dict.fromkeys(jobs))


def _argument(new: TrainingArguments) -> str:
    return next(n for n in ("estimator", "pipeline", "entry") if getattr(new, n) is not None)


def maker(ctx: Context, new: TrainingArguments, chosen: Chosen) -> Callable[[pd.DataFrame], Any]:
    """Return what fits the model; all that can be wrong without data is found before."""
    from mlform_core.columns import conform

    argument = _argument(new)
    if new.entry is not None:
        own = code.load(ctx.root, new.entry)

        def by_entry(frame: pd.DataFrame) -> Any:
            raw, target = conform(frame, chosen.features), frame[chosen.target]
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

    def by_estimator(frame: pd.DataFrame) -> Any:
        raw, target = conform(frame, chosen.features), frame[chosen.target]
        y = labels(chosen, target, classes=classes)
        many = classes and len(set(y.tolist())) > 2
        metric_names(new, "multiclass" if many else "binary" if classes else "regression")
        with guarded(ctx, new.threads, argument):
            fit(ctx, model, raw, y)
        return model

    return by_estimator


def _classifies(model: Any, argument: str) -> bool:
    """Tell a classifier from a regressor. Raises ``ResourceError`` if it is neither."""
    from sklearn.base import is_classifier, is_regressor

    last = model.steps[-1][1] if hasattr(model, "steps") else model
    name = type(last).__name__
    if is_regressor(model):
        return False
    if not is_classifier(model):
        detail = f"{name} is neither a classifier nor a regressor."
        raise ResourceError("Not a predictor", detail, argument=argument)
    # What stacks others by default does it by logistic regression, and says so once it is fitted.
    stacks = getattr(last, "final_estimator", last) is None
    if not hasattr(model, "predict_proba") and (not stacks or hasattr(last, "classes_")):
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
