"""``training_job "xgboost"``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context, Resource
from mlform_core.training.arguments import TrainingAttributes
from mlform_core.training.boosting import (
    Boosting,
    BoostingArguments,
    Rows,
    tell,
    with_objective,
)

if TYPE_CHECKING:
    from mlform_core.training.keeping import Task


class XGBoost(
    Boosting,
    Resource[BoostingArguments, TrainingAttributes],
    kind="training_job",
    type="xgboost",
    reusable=True,
):
    """Trains with XGBoost; the model is kept as its JSON, which runs no code on loading."""

    library, distribution = "xgboost", "xgboost-cpu"
    preload = ("pandas", "pyarrow.parquet", "xgboost")

    def distributions(self, new: BoostingArguments) -> Sequence[str]:
        """Name the library as it is installed: its wheel for processors or the one for all."""
        from importlib.metadata import PackageNotFoundError, version

        for name in ("xgboost-cpu", "xgboost"):
            try:
                version(name)
            except PackageNotFoundError:
                continue
            return (name, "pandas", "pyarrow")
        return ("xgboost-cpu", "pandas", "pyarrow")

    def boost(
        self,
        ctx: Context,
        new: BoostingArguments,
        task: Task,
        rows: Rows,
        history: list[dict[str, Any]],
    ) -> Any:
        """Grow the trees; add the metrics of each round to ``history``."""
        from mlform_core import native

        xgb = native.library("xgboost")
        params = with_objective(
            new,
            task,
            rows.classes,
            {"binary": "binary:logistic", "multiclass": "multi:softprob"},
            "reg:squarederror",
            ("binary:", "multi:", "rank:", "survival:"),
        )
        if task == "multiclass":
            params["num_class"] = rows.classes
        params |= {"seed": new.seed, "nthread": native.threads(), "validate_parameters": True}
        kinds = ["c" if i in rows.categorical else "q" for i in range(len(rows.names))]
        made = native.dmatrix(rows.values, rows.names, kinds, rows.y)
        watched = [(made, "train")]
        if rows.valid is not None:
            watched.append(
                (native.dmatrix(rows.valid[0], rows.names, kinds, rows.valid[1]), "valid")
            )

        class Telling(xgb.callback.TrainingCallback):  # type: ignore[name-defined,misc]
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                found = {
                    f"{where}-{name}": values[-1]
                    for where, metrics in evals_log.items()
                    for name, values in metrics.items()
                }
                tell(ctx, new, history, epoch + 1, found)
                return False

        calls = [Telling()]
        if new.early_stopping is not None:
            rounds = new.early_stopping.rounds
            calls.append(xgb.callback.EarlyStopping(rounds=rounds, save_best=False))
        with xgb.config_context(verbosity=1):
            booster = xgb.train(
                params, made, new.rounds, evals=watched, verbose_eval=False, callbacks=calls
            )
        if new.early_stopping is not None:
            best = booster.best_iteration + 1
            booster = booster[:best]
            booster.set_attr(best_iteration=None, best_score=None)
        return booster

    def rounds_of(self, booster: Any) -> int:
        """Return how many rounds a booster has."""
        return int(booster.num_boosted_rounds())
