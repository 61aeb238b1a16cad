"""``training_job "lightgbm"``."""

from __future__ import annotations

from collections.abc import Callable
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


class LightGBM(
    Boosting,
    Resource[BoostingArguments, TrainingAttributes],
    kind="training_job",
    type="lightgbm",
    reusable=True,
):
    """Trains with LightGBM; the model is kept as its text, which runs no code on loading."""

    library = distribution = "lightgbm"
    preload = ("pandas", "pyarrow.parquet", "lightgbm")

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

        lgb = native.library("lightgbm")
        params = with_objective(
            new,
            task,
            rows.classes,
            {"binary": "binary", "multiclass": "multiclass"},
            "regression",
            ("binary", "multiclass", "cross_entropy", "lambdarank", "rank_xendcg"),
        )
        if task == "multiclass":
            params["num_class"] = rows.classes
        params |= {"seed": new.seed, "num_threads": native.threads()}
        params |= {"deterministic": True, "force_row_wise": True}
        params.setdefault("verbosity", 0)
        # LightGBM refuses some characters in names: columns are told by their places.
        names = [f"f{i}" for i in range(len(rows.names))]
        own = {"feature_name": names, "categorical_feature": rows.categorical}
        made = lgb.Dataset(rows.values, rows.y, free_raw_data=False, **own)
        watched, labels = [made], ["train"]
        if rows.valid is not None:
            watched.append(lgb.Dataset(*rows.valid, reference=made, **own))
            labels.append("valid")

        def telling(env: Any) -> None:
            found = {f"{where}-{name}": v for where, name, v, *_ in env.evaluation_result_list}
            tell(ctx, new, history, env.iteration + 1, found)

        calls: list[Any] = [telling]
        if new.early_stopping is not None:
            calls.append(_stopping(lgb, new.early_stopping.rounds))
        booster = lgb.train(
            params, made, new.rounds, valid_sets=watched, valid_names=labels, callbacks=calls
        )
        best = booster.best_iteration if new.early_stopping is not None else 0
        text = booster.model_to_string(num_iteration=best if best > 0 else -1)
        return lgb.Booster(model_str=text)

    def rounds_of(self, booster: Any) -> int:
        """Return how many rounds a booster has."""
        return int(booster.current_iteration())


def _stopping(lgb: Any, rounds: int) -> Callable[[Any], None]:
    """Return LightGBM's own early stopping, shown the metrics of the validation rows alone."""
    inner = lgb.early_stopping(rounds, verbose=False)

    def stop(env: Any) -> None:
        only = [r for r in env.evaluation_result_list if r[0] == "valid"][-1:]
        same = ("model", "params", "iteration", "begin_iteration", "end_iteration")
        told = {name: getattr(env, name) for name in same}
        inner(type(env)(**told, evaluation_result_list=only))

    stop.order = inner.order  # type: ignore[attr-defined]
    return stop
