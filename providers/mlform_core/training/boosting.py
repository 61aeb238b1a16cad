"""Boosted trees, round by round: what the types for XGBoost and LightGBM have in common."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlform.sdk import Context, Fields, Operational, ResourceError
from mlform_core.naming import no_part, refuse
from mlform_core.training.arguments import TableArguments, TableTraining, TrainingAttributes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlform_core.training.choosing import Chosen
    from mlform_core.training.keeping import Fitted, Task

_THREADS: Final = frozenset(
    {"nthread", "n_jobs", "num_threads", "num_thread", "nthreads", "thread_count"}
)
_TWO: Final = 2
_SEEDS: Final = frozenset({"seed", "random_state", "random_seed"})
_ROUNDS: Final = frozenset(
    {"n_estimators", "num_boost_round", "num_iterations", "num_round", "num_rounds", "n_iter"}
)
_IMPORTS: Final = "a model of this library holds no data it was trained on; train it here"


class EarlyStopping(Fields):
    """Stop when ``rounds`` rounds in a row made nothing better, and keep the best round.

    What is better is told on rows that are not trained on: those of the part ``split``, or
    without one a ``share`` of the training part, drawn by the seed. With several metrics among
    ``params`` the last one counts.
    """

    rounds: int = Field(ge=1)
    split: str | None = None
    share: float = Field(default=0.1, gt=0, lt=1)


class BoostingArguments(TableArguments):
    """What to boost, and for how long.

    ``params`` are those of the library, by its own names; ``rounds`` how many trees are grown for
    each class at most. Text and truth are told apart, numbers are predicted, unless ``task`` says
    otherwise (``"binary"``, ``"multiclass"``, ``"regression"``); the objective follows, unless
    ``params`` has one. String columns are categories, missing values stay missing; a category
    that training never saw counts as missing.

    Threads follow ``resources { cpu }`` and never change what comes out.
    """

    params: dict[str, Any] = Field(default_factory=dict)
    rounds: int = Field(default=100, ge=1)
    task: str | None = Field(default=None, pattern="^(binary|multiclass|regression)$")
    early_stopping: EarlyStopping | None = None
    progress_every: Operational[int] = Field(default=1, ge=1)

    @field_validator("early_stopping")
    @classmethod
    def _stops_by(cls, value: EarlyStopping | None, info: ValidationInfo) -> EarlyStopping | None:
        if value is not None and value.split is not None and "data" in info.data:
            refuse(no_part(info.data["data"], value.split))
        return value

    @model_validator(mode="after")
    def _ours(self) -> Self:
        for names, instead in (
            (_THREADS, "resources { cpu = … }"),
            (_SEEDS, "seed"),
            (_ROUNDS, "rounds"),
        ):
            if found := sorted(names & self.params.keys()):
                raise ValueError(f"{found[0]} is no parameter here: write {instead}")
        stop = self.early_stopping
        if stop is not None and stop.split is not None and stop.split == self.split:
            raise ValueError(f'early_stopping.split = "{stop.split}" is the part trained on')
        return self


@dataclass(frozen=True)
class Rows:
    """What is trained on, as the library takes it. ``valid`` is looked at to stop early."""

    values: npt.NDArray[np.float64]
    y: npt.NDArray[Any]
    valid: tuple[npt.NDArray[np.float64], npt.NDArray[Any]] | None
    names: list[str]
    categorical: list[int]
    classes: int


class Boosting(TableTraining):
    """What the two libraries have in common."""

    library: ClassVar[str]
    distribution: ClassVar[str]
    imports = _IMPORTS

    def distributions(self, new: BoostingArguments) -> Sequence[str]:
        """Name the library, and what reads tables."""
        return (self.distribution, "pandas", "pyarrow")

    def train(self, ctx: Context, new: BoostingArguments) -> TrainingAttributes:
        """Read, boost, measure, save."""
        from mlform_core import native
        from mlform_core.training import keeping
        from mlform_core.training.choosing import choose

        started = time.monotonic()
        chosen = choose(new)
        native.library(self.library)
        frame = keeping.reading(ctx, chosen)
        fitted = self.fitted(ctx, new, frame)
        made = keeping.keep(ctx, new, chosen, fitted, frame)
        told = {
            "model": f"{self.library}: {fitted.about['best_rounds']} of {new.rounds} rounds",
            "params": new.params,
            "threads": native.threads(),
            **keeping.versions([self.distribution]),
        }
        made = made.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
        return keeping.described(ctx, new, made, told)

    def fitted(self, ctx: Context, new: BoostingArguments, frame: pd.DataFrame) -> Fitted:
        """Boost on some rows of the table."""
        import numpy as np

        from mlform_core import native
        from mlform_core.columns import conform
        from mlform_core.training.choosing import choose
        from mlform_core.training.keeping import Fitted

        chosen = choose(new)
        task, y, classes = _target(new, chosen, frame)
        if new.task is None and classes is None and len(np.unique(y)) == _TWO:
            ctx.log(
                f'"{new.target}" has two values and is predicted as a number, since it is '
                f'{chosen.target_type}; task = "binary" tells them apart'
            )
        raw = conform(frame, chosen.features)
        categories = _categories(chosen, raw)
        values = native.matrix(raw, categories)
        valid = None
        if new.early_stopping is not None:
            values, y, valid = _held(ctx, new, chosen, categories, classes, values, y)
        names = [f["name"] for f in chosen.features]
        places = [i for i, name in enumerate(names) if name in categories]
        rows = Rows(values, y, valid, names, places, len(classes or []))
        history: list[dict[str, Any]] = []
        with _explaining(ctx, new):
            booster = self.boost(ctx, new, task, rows, history)
        made = {"xgboost": native.XGBoost, "lightgbm": native.LightGBM}[self.library](
            booster, categories, classes
        )
        about = {"categories": categories, "best_rounds": self.rounds_of(booster)}
        return Fitted(made, task, classes, self.library, self.library, made.version, about, history)

    def boost(
        self,
        ctx: Context,
        new: BoostingArguments,
        task: Task,
        rows: Rows,
        history: list[dict[str, Any]],
    ) -> Any:
        """Grow the trees; add the metrics of each round to ``history``."""
        raise NotImplementedError

    def rounds_of(self, booster: Any) -> int:
        """Return how many rounds a booster has."""
        raise NotImplementedError


def tell(
    ctx: Context,
    new: BoostingArguments,
    history: list[dict[str, Any]],
    done: int,
    found: Mapping[str, float],
) -> None:
    """Keep the metrics of a round, and show them. A checkpoint."""
    history.append({"round": done, **{n: float(v) for n, v in found.items() if v - v == 0}})
    if done % new.progress_every == 0 or done == new.rounds:
        note = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        ctx.progress(done, new.rounds, note)


def with_objective(
    new: BoostingArguments,
    task: Task,
    classes: int,
    of_classes: Mapping[str, str],
    of_values: str,
    not_of_values: Sequence[str],
) -> dict[str, Any]:
    """Return the parameters with an objective that gives what the task needs."""
    wanted = of_classes.get(task, of_values)
    params = dict(new.params)
    given = params.setdefault("objective", wanted)
    bad = given != wanted if task != "regression" else str(given).startswith(tuple(not_of_values))
    if bad:
        what = f"{classes} classes" if classes else "values"
        detail = (
            f'objective = "{given}" does not predict {what} of "{new.target}" as gates and '
            f'serving need them; "{wanted}" does. For another task write task = "…".'
        )
        raise ResourceError("Invalid parameter", detail, argument="params")
    return params


def _target(
    new: BoostingArguments, chosen: Chosen, frame: pd.DataFrame
) -> tuple[Task, npt.NDArray[Any], list[Any] | None]:
    """Return the task, the target as numbers and its classes. Raises ``ResourceError``."""
    import numpy as np

    from mlform_core.training.choosing import labels

    classify = (
        chosen.target_type in {"string", "bool"} if new.task is None else (new.task != "regression")
    )
    y = labels(chosen, frame[new.target], classes=classify)
    if not classify:
        return "regression", y, None
    classes, codes = np.unique(y, return_inverse=True)
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    if new.task not in {None, task}:
        detail = f'"{new.target}" has {len(classes)} values, and task = "{new.task}".'
        raise ResourceError("Another task", detail, argument="task")
    return task, codes.astype(np.float64), classes.tolist()


def _categories(chosen: Chosen, raw: pd.DataFrame) -> dict[str, list[str]]:
    return {
        f["name"]: sorted(raw[f["name"]].dropna().unique().tolist())
        for f in chosen.features
        if f["type"] == "string"
    }


def _held(
    ctx: Context,
    new: BoostingArguments,
    chosen: Chosen,
    categories: Mapping[str, Sequence[str]],
    classes: list[Any] | None,
    values: Any,
    y: Any,
) -> tuple[Any, Any, tuple[Any, Any]]:
    """Return rows and targets to train on, and those to tell by when to stop."""
    import numpy as np

    from mlform_core import native
    from mlform_core.columns import conform
    from mlform_core.training import keeping
    from mlform_core.training.choosing import labels

    stop = new.early_stopping
    assert stop is not None, "asked only where there is an early stop"
    if stop.split is None:
        drawn = np.random.default_rng(new.seed).random(len(y)) < stop.share
        if not drawn.any() or drawn.all():
            detail = f"{len(y):,} rows are too few to hold {stop.share:g} of them back."
            raise ResourceError("Nothing to stop by", detail, argument="early_stopping")
        return values[~drawn], y[~drawn], (values[drawn], y[drawn])
    if stop.split not in chosen.parts:
        there = ", ".join(chosen.parts)
        detail = f'{chosen.data.address} has no part "{stop.split}" with rows; it has {there}.'
        raise ResourceError("Unknown part", detail, argument="early_stopping")
    frame = keeping.reading(ctx, chosen, stop.split)
    target = labels(chosen, frame[new.target], classes=classes is not None)
    if classes is not None:
        unknown = sorted({str(v) for v in target.tolist()} - {str(c) for c in classes})
        if unknown:
            detail = (
                f'"{new.target}" is {unknown[0]} in part "{stop.split}", and never in training.'
            )
            raise ResourceError("Unknown target value", detail, argument="early_stopping")
        places = {c: float(i) for i, c in enumerate(classes)}
        target = np.array([places[v] for v in target.tolist()])
    return values, y, (native.matrix(conform(frame, chosen.features), categories), target)


@contextmanager
def _explaining(ctx: Context, new: BoostingArguments) -> Iterator[None]:
    """Make errors of what the libraries only warn of, and ours of theirs."""

    class Heard(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.texts: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.texts.append(record.getMessage())

    heard = Heard()
    logger = logging.Logger("boosting")  # noqa: LOG001 - of this call alone
    logger.addHandler(heard)
    if (lgb := sys.modules.get("lightgbm")) is not None:
        lgb.register_logger(logger)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except ResourceError:
            raise
        except Exception as error:
            if type(error).__name__ not in {"XGBoostError", "LightGBMError", "ValueError"}:
                raise
            lines = [x for x in str(error).splitlines() if x and not x.startswith("Stack trace")]
            detail = f"{lines[0] if lines else type(error).__name__} (params = {new.params})"
            raise ResourceError("Training failed", detail, argument="params") from error
    said = [str(w.message).strip() for w in caught] + heard.texts
    unknown = [t for t in said if "are not used" in t or "Unknown parameter" in t]
    if unknown:
        raise ResourceError("Unknown parameter", _parameters(unknown), argument="params")
    for text in dict.fromkeys(said):
        ctx.log(text)


def _parameters(said: Sequence[str]) -> str:
    names: list[str] = []
    for text in said:
        names += re.findall(r"Unknown parameter: (\w+)", text) or re.findall(r'"(\w+)"', text)
    quoted = ", ".join(f'"{name}"' for name in dict.fromkeys(names))
    return f"The library has no parameter {quoted}."
