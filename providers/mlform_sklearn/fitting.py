"""Fitting: threads, time, warnings, progress, and what goes wrong in it."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlform.sdk import Context, ResourceError

_STAGES = 10


def fit(ctx: Context, model: Any, X: Any, y: Any) -> None:  # noqa: N803 - scikit-learn's names
    """Fit ``model`` in place. The result is that of ``model.fit(X, y)``, told in stages."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.pipeline import Pipeline

    *front, last = [s for _, s in model.steps] if isinstance(model, Pipeline) else [model]
    forests = (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    plain = not (isinstance(model, Pipeline) and model.memory) and "passthrough" not in front
    if plain and type(last) in forests and _grows_in_stages(last):
        _fit_forest(ctx, last, _through(front, X, y), y)
    elif plain and type(last) in (GradientBoostingClassifier, GradientBoostingRegressor):
        total = last.n_estimators
        last.fit(_through(front, X, y), y, monitor=_Monitor(ctx, total))
    else:
        ctx.progress(0, None, "fitting")
        model.fit(X, y)
    ctx.checkpoint()


def _through(front: list[Any], X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's names
    for step in front:
        X = step.fit_transform(X, y)  # noqa: N806 - scikit-learn's names
    return X


def _fit_forest(ctx: Context, forest: Any, X: Any, y: Any) -> None:  # noqa: N803 - as above
    total = forest.n_estimators
    grown = 0
    forest.set_params(warm_start=True)
    try:
        for stage in range(1, _STAGES + 1):
            if (trees := total * stage // _STAGES) == grown:
                continue
            ctx.progress(grown, total, "trees")
            forest.set_params(n_estimators=trees)
            forest.fit(X, y)
            grown = trees
    finally:
        forest.set_params(n_estimators=total, warm_start=False)
    ctx.progress(total, total, "trees")


def _grows_in_stages(forest: Any) -> bool:
    """Tell whether stages give the very trees that one call gives, without a warning."""
    balanced = isinstance(getattr(forest, "class_weight", None), str)
    return not (forest.warm_start or forest.oob_score or balanced)


class _Monitor:
    """Called by gradient boosting after each tree."""

    def __init__(self, ctx: Context, total: int) -> None:
        self.ctx, self.total = ctx, total
        self.every = max(1, total // 100)

    def __call__(self, stage: int, estimator: Any, local: Any) -> bool:
        if (stage + 1) % self.every == 0:
            self.ctx.progress(stage + 1, self.total, "trees")
        return False


@contextmanager
def guarded(ctx: Context, threads: int, argument: str) -> Iterator[None]:
    """Run training code: limited in threads, its warnings logged, its errors explained.

    Linear algebra keeps to one thread whatever ``threads`` says: how its sums are divided shows
    in the last digits of the model.
    """
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # threads is for all estimators; those that have no use for it need not say so.
        warnings.filterwarnings("ignore", message="'n_jobs' has no effect")
        try:
            with threadpool_limits(limits={"blas": 1, "openmp": threads}):
                yield
        except ResourceError:
            raise
        except Exception as error:
            raise _explained(ctx.root, error, argument) from error
        finally:
            for text in dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught):
                ctx.log(text)


def _explained(root: Path, error: Exception, argument: str) -> ResourceError:
    from sklearn.utils._param_validation import InvalidParameterError

    if isinstance(error, InvalidParameterError):
        return ResourceError("Invalid parameter", str(error), argument=argument)
    detail = f"{type(error).__name__}: {error}"
    if "could not convert string to float" in detail:
        detail += '\nStrings need encoding: write encode = "auto", or a pipeline that does it.'
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(root)]
    if own and argument == "entry":
        where = Path(own[-1].filename).relative_to(root)
        detail += f"\nat {where}, line {own[-1].lineno}: {own[-1].line}"
    return ResourceError("Training failed", detail, argument=argument)
