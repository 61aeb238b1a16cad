"""``training_job "tune"``: a sweep over the parameters of another type of training."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mlform.sdk import Code, Context, Fields, Inputs, Looking, Resource, ResourceError, did_you_mean
from mlform_core.training.arguments import (
    TRAINER,
    TableArguments,
    TableTraining,
    TrainingAttributes,
)
from mlform_core.training.folds import Folds, check

if TYPE_CHECKING:
    from mlform_core.training.choosing import Chosen

_GRID_MOST: Final = 10_000


class Range(Fields):
    """Values of one parameter: ``values``, or from ``low`` to ``high``, both included.

    ``log``: drawn evenly over orders of magnitude. ``step``: multiples of it above ``low``.
    ``whole``: whole numbers only.
    """

    values: list[Any] | None = Field(default=None, min_length=1)
    low: float | None = None
    high: float | None = None
    step: float | None = Field(default=None, gt=0)
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.values is None) == (self.low is None or self.high is None):
            raise ValueError("a parameter is searched among values, or from low to high")
        if self.values is not None and (self.low is not None or self.high is not None):
            raise ValueError("values says it all: low and high have nothing to add")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")
        if self.log and (self.step is not None or (self.low or 0) <= 0):
            raise ValueError("log needs low above 0, and no step")
        return self

    def listed(self) -> list[Any] | None:
        """Return all values there are, or ``None`` where they are not counted."""
        if self.values is not None:
            return self.values
        step = self.step or (1.0 if self.whole else None)
        if step is None or self.log or self.low is None or self.high is None:
            return None
        count = int((self.high - self.low) / step + 1e-9) + 1
        found = [self.low + i * step for i in range(count)]
        return [round(v) for v in found] if self.whole else found


class Pruning(Fields):
    """Give a trial up whose folds so far are worse than the median of the trials before.

    Not before ``after`` folds of it, nor before ``startup`` trials are done.
    """

    after: int = Field(default=1, ge=1)
    startup: int = Field(default=4, ge=1)


class TuneArguments(TableArguments):
    """What to search, and how.

    ``trainer`` is the type of training job that each trial is (``"sklearn"``, ``"xgboost"``,
    ``"lightgbm"``, ``"python"``), ``job`` what all trials have in common: arguments of that type.
    ``search`` has the parameters that differ: a name among ``params``, or an argument
    (``rounds``, ``estimator``). ``entry`` is the trainer's, if it has one.

    A trial is worth the mean of ``metric`` over ``folds`` of the training part. The best is
    trained once more, on all of it. ``sampler``: ``"grid"`` (every combination), ``"random"`` or
    ``"tpe"`` (``trials`` of them).
    """

    trainer: str
    job: dict[str, Any] = Field(default_factory=dict)
    entry: Code | None = None
    include: list[str] = Field(default_factory=list)
    search: dict[str, Range] = Field(min_length=1)
    metric: str
    folds: Folds = Folds()
    sampler: Literal["grid", "random", "tpe"] = "tpe"
    trials: int | None = Field(default=None, ge=1, le=10_000)
    prune: Pruning | None = None
    format: Literal["skops", "pickle"] = "skops"

    @property
    def patterns(self) -> Sequence[str]:
        """The files that the entry reads."""
        return self.include

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, name: str) -> str:
        from mlform_core.gate_rules import METRICS

        if name not in METRICS:
            known = ", ".join(METRICS)
            raise ValueError(f'"{name}" is no metric.{did_you_mean(name, METRICS)} Known: {known}.')
        return name

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.cross_validation is not None:
            raise ValueError("a sweep is validated over its folds: leave cross_validation out")
        if self.sampler != "grid":
            if self.trials is None:
                raise ValueError(f'sampler = "{self.sampler}" needs trials: how many')
            return self
        if self.trials is not None:
            raise ValueError("a grid has as many trials as combinations: leave trials out")
        endless = [n for n, r in self.search.items() if r.listed() is None]
        if endless:
            raise ValueError(f"{endless[0]}: a grid needs values, whole = true or a step")
        count = math.prod(len(r.listed() or []) for r in self.search.values())
        if count > _GRID_MOST:
            raise ValueError(f"the grid has {count:,} combinations; {_GRID_MOST:,} are allowed")
        return self

    def given(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of one trial as they would be written, without its data."""
        resource = trainer(self.trainer)
        fields = resource.arguments.model_fields
        found = dict(self.job)
        params = dict(found.get("params") or {})
        for name, value in point.items():
            if name in fields and name != "params":
                found[name] = value
            else:
                params[name] = value
        if params:
            found["params"] = params
        if "format" in fields:
            found.setdefault("format", self.format)
        if self.entry is not None:
            found["entry"] = self.entry
        shared = ("split", "target", "features", "exclude", "seed")
        return found | {n: getattr(self, n) for n in shared}

    def trial(self, point: Mapping[str, Any]) -> Any:
        """Return the arguments of one trial, checked. Raises ``ResourceError``."""
        try:
            return trainer(self.trainer).arguments.model_validate(
                {**self.given(point), "data": self.data, "metrics": self.metrics}
            )
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise ResourceError("Invalid trial", "\n".join(lines), argument="job") from error

    def grid(self) -> list[dict[str, Any]]:
        """Return every combination, the last parameter changing first."""
        values = [r.listed() or [] for r in self.search.values()]
        return [dict(zip(self.search, c, strict=True)) for c in itertools.product(*values)]

    def first(self) -> dict[str, Any]:
        """Return one point of the space, to check the rest with."""
        found = {}
        for name, r in self.search.items():
            listed = r.listed()
            low = r.low if r.low is not None else 0.0
            found[name] = listed[0] if listed else round(low) if r.whole else low
        return found


def trainer(name: str) -> Any:
    """Return the type of training job. Raises ``ResourceError`` if nobody offers it."""
    for entry in sorted(entry_points(group="mlform.providers"), key=lambda e: e.name != name):
        provider = entry.load()
        found = provider(provider.settings()).resource("training_job", name)
        if found is not None and name != "tune" and hasattr(found, "fitted"):
            return found
    detail = (
        f'No installed provider has a training_job "{name}" that a sweep can train. There are '
        "sklearn, xgboost, lightgbm and python."
    )
    raise ResourceError("Unknown trainer", detail, argument="trainer")


class Tune(
    TableTraining,
    Resource[TuneArguments, TrainingAttributes],
    kind="training_job",
    type="tune",
    reusable=True,
):
    """Searches the parameters of another type of training; the best trial's model comes out."""

    preload = ("pandas", "pyarrow.parquet", "sklearn.model_selection", "optuna")
    imports = "a sweep is what its trials make of its data; import the best as its trainer's type"

    def inputs(self, ctx: Looking, new: TuneArguments) -> Inputs:
        """Check one trial and the columns of the folds, and say which trainer it is."""
        from mlform_core.training.choosing import choose

        new.trial(new.first())
        check(new.folds, choose(new))
        found = super().inputs(ctx, new)
        version = f"{new.trainer} {trainer(new.trainer).version}"
        return Inputs({**found.parts, TRAINER: version})

    def distributions(self, new: TuneArguments) -> Sequence[str]:
        """Name what the trainer names, and the optimiser."""
        own = trainer(new.trainer).distributions(new.trial(new.first()))
        return sorted({*own, "optuna", "scikit-learn", "pandas", "pyarrow"})

    def train(self, ctx: Context, new: TuneArguments) -> TrainingAttributes:
        """Try, choose, and train the best on all rows."""
        from mlform_core.training.choosing import choose
        from mlform_core.training.trials import Sweep

        started = time.monotonic()
        chosen: Chosen = choose(new)
        sweep = Sweep(ctx, new, chosen)
        best, table = sweep.run()
        ctx.log(f"Best of {len(table)} trials: {best}. {sweep.told()}")
        made: TrainingAttributes = trainer(new.trainer).train(ctx, new.trial(best))
        receipt = {**made.receipt, "sweep": {"trials": len(table), "best": best, **sweep.counts}}
        seconds = round(time.monotonic() - started, 3)
        return made.model_copy(update={"receipt": receipt, "seconds": seconds, "trials": table})
