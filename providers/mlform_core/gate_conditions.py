"""What a gate can require beside metrics: that nothing weak is found, robustness, costs; series."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator, model_validator

from mlform.sdk import Arguments
from mlform_core.gate_rules import known_metrics

SHAKEN: Final = ("noise", "missing", "unseen")
COSTS: Final = ("size_mb", "p50_ms", "p99_ms", "per_million")


class Costs(Arguments):
    """The most that a model may cost: its size, its time for one row, its price.

    The times are those of the model's own library, asked for one row after the other in the
    process that judges, on the machine that judges: serving may be faster (an ONNX graph), and
    adds the way there. ``per_million`` is what a million such rows cost at ``price_per_hour``.
    """

    size_mb: float | None = Field(default=None, gt=0)
    p50_ms: float | None = Field(default=None, gt=0)
    p99_ms: float | None = Field(default=None, gt=0)
    per_million: float | None = Field(default=None, gt=0)
    price_per_hour: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _priced(self) -> Costs:
        if self.per_million is not None and self.price_per_hour is None:
            raise ValueError("per_million needs price_per_hour: what an hour of a worker costs")
        return self

    @property
    def timed(self) -> bool:
        """Whether the model must be run for it."""
        return any(it is not None for it in (self.p50_ms, self.p99_ms, self.per_million))


class Robustness(Arguments):
    """How much worse a model may become on inputs that are not what they should be.

    ``noise``: to each number so many of its standard deviations are added, at random. ``missing``:
    so large a share of all values is missing. ``unseen``: so large a share of all texts is one that
    training never saw. Each by itself, on the same rows, drawn with a fixed seed. The gate passes
    if the upper one-sided ``1 - alpha`` confidence bound of what each metric loses is at most
    ``max_loss``.
    """

    noise: float | None = Field(default=None, gt=0)
    missing: float | None = Field(default=None, gt=0, le=1)
    unseen: float | None = Field(default=None, gt=0, le=1)
    max_loss: dict[str, float] = Field(min_length=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)

    @field_validator("max_loss")
    @classmethod
    def _metrics(cls, value: dict[str, float]) -> dict[str, float]:
        known_metrics(value)
        return value

    @model_validator(mode="after")
    def _something(self) -> Robustness:
        if not self.amounts():
            raise ValueError(f"nothing is disturbed: write {' or '.join(SHAKEN)}")
        return self

    def amounts(self) -> dict[str, float]:
        """Return how much of what is disturbed."""
        return {n: amount for n in SHAKEN if (amount := getattr(self, n)) is not None}


class Search(Arguments):
    """A search for slices that nobody named, in which the candidate lost against the baseline.

    All slices by one column, and by up to ``depth`` together, are tried; numbers are cut at their
    quartiles. In each, the loss of a row (log loss, or the squared error) of the candidate is held
    against that of the baseline. A slice is found where the mean difference is above
    ``max_regress`` and its one-sided p-value, adjusted by Holm over all slices tried, is under
    ``alpha``; of slices within each other that with the most evidence is told. Without a baseline
    nothing fails, and the slices with the largest loss are told.
    """

    columns: list[str] | None = Field(default=None, min_length=1)
    """By default what the model takes."""
    depth: int = Field(default=2, ge=1, le=3)
    max_regress: float = Field(default=0.0, ge=0)
    min_support: int = Field(default=200, ge=30)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    most: int = Field(default=10, ge=1)
    """How many slices are told."""


class Forecast(Arguments):
    """How a series lies in the table, for ``mase``: the error in ratio to a naive forecast's.

    That says what was ``season`` steps before; its mean absolute error is taken on the part
    ``train``, for each of ``series`` by itself (Hyndman and Koehler, 2006). A step is from one time
    of a series to its next in the whole table.
    """

    time: str
    series: list[str] = Field(default_factory=list)
    season: int = Field(default=1, ge=1)
    train: str = "train"

    def columns(self) -> list[str]:
        """Return every column named."""
        return [self.time, *self.series]
