"""What every training on a table takes and gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Context,
    Difference,
    Handle,
    Inputs,
    Looking,
    Metadata,
    Operational,
    Stored,
    Volatile,
    code,
    did_you_mean,
)
from mlform_core.naming import PartOfData, absent, refuse
from mlform_core.training.folds import Folds, check

if TYPE_CHECKING:
    from mlform_core.training.keeping import Fitted

TRAINER: Final = "trainer"
"""The part of a sweep's inputs that says which type of training its trials are."""


class TableArguments(Arguments):
    """On what to train.

    ``data`` is a dataset or feature view; ``split`` the part of it to train on, or null for all
    rows. Without ``features`` all columns are, but for the target, the key, the time column and
    those in ``exclude``.

    ``cross_validation`` trains once more for each fold of the training part and measures what it
    held out: ``metrics`` gets a part ``"folds"`` with the mean and, as ``METRIC_sd``, the standard
    deviation over the folds. It changes no model.

    ``leaks``: what to do where rows of other parts are in the training part too, or one column
    all but gives the target away: ``"warn"``, ``"error"``, or ``"off"``, not to look.
    """

    data: Handle
    split: PartOfData = Field(default="train", validate_default=True)
    target: str
    features: list[str] | None = None
    exclude: list[str] = Field(default_factory=list)
    seed: int = Field(default=0, ge=0, lt=2**32)
    metrics: Operational[list[str] | None] = None
    cross_validation: Operational[Folds | None] = None
    leaks: Operational[Literal["warn", "error", "off"]] = "warn"
    owner: Metadata[str | None] = None
    description: Metadata[str | None] = None

    @property
    def pickle_allowed(self) -> bool:
        """Whether the model may be a pickle."""
        return getattr(self, "format", "") == "pickle"

    @property
    def patterns(self) -> Sequence[str]:
        """Which files code reads beside itself, if there is any code."""
        return ()

    @field_validator("target", "features", "exclude")
    @classmethod
    def _there(cls, value: Any, info: ValidationInfo) -> Any:
        if "data" in info.data:
            refuse(absent(info.data["data"], [value] if isinstance(value, str) else value or ()))
        return value

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: list[str] | None) -> list[str] | None:
        from mlform_core.gate_rules import METRICS

        problems = [
            f'"{name}" is no metric.{did_you_mean(name, METRICS)} Known: {", ".join(METRICS)}.'
            for name in names or []
            if name not in METRICS
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return names

    @model_validator(mode="after")
    def _target_apart(self) -> Self:
        if self.features is not None and self.exclude:
            raise ValueError("features says which columns to take, so exclude has nothing to add")
        if self.target in (self.features or []):
            raise ValueError(f'the target "{self.target}" is among the features')
        return self


class TrainingAttributes(Attributes):
    """The fitted model and how it came to be.

    ``features``: ``name`` and ``type`` of each column the model needs. ``metrics``: by part of
    the data, then by metric; no judgement hangs on them (a gate measures anew). ``history``: the
    metrics of each round or step while it was trained, as JSON lines. ``trials``: of a sweep, a
    table of all trials. ``card``: a model card in Markdown. ``leaks``: ``rows`` that each other
    part shares with the training part (``exact``, ``labelled`` with the target too, ``near``, all
    ``of`` them), ``columns`` that tell the target alone, and ``hints`` in words; null if nobody
    looked.
    """

    model: Artifact
    task: Literal["binary", "multiclass", "regression"]
    target: str
    features: list[dict[str, str]]
    rows: int
    metrics: Volatile[dict[str, dict[str, float | None]]]
    receipt: Volatile[dict[str, Any]]
    seconds: Volatile[float]
    history: Volatile[Artifact | None] = None
    trials: Volatile[list[dict[str, Any]] | None] = None
    card: Volatile[Artifact | None] = None
    leaks: Volatile[dict[str, Any] | None] = None


class TableTraining:
    """What every type of training on a table does alike. Put it before ``Resource``."""

    def inputs(self, ctx: Looking, new: Any) -> Inputs:
        """Look at the files that code reads; tell at once of columns that are not there."""
        from mlform_core.training.choosing import choose

        check(new.cross_validation, choose(new))
        return Inputs(code.included(ctx, new.patterns))

    def uses(self, new: Any) -> Mapping[str, Collection[str]]:
        """Take the features and the target, and which rows are in which part."""
        from mlform_core.training.choosing import choose

        chosen = choose(new)
        columns = {*(f["name"] for f in chosen.features), chosen.target}
        for folds in (new.cross_validation, getattr(new, "folds", None)):
            columns |= {folds.column} if folds is not None and folds.column else set()
        return {new.data.address: columns if new.split is None else columns | {"_split"}}

    def compare(
        self, ctx: Context, given: Any, one: TrainingAttributes, two: TrainingAttributes
    ) -> Sequence[Difference]:
        """Compare what the models predict on rows they were not trained on, and their metrics."""
        from mlform_core.training import comparing

        return comparing.compare(ctx, given, one, two)

    def apply(
        self, ctx: Context, new: Any, old: Stored[Any, TrainingAttributes] | None
    ) -> TrainingAttributes:
        """Fit; on an operational change alone keep what was fitted, and measure if asked to."""
        from mlform_core.training import keeping, leaks

        if old is None or ctx.doing not in {"update", "decide"}:
            planned = {n: d for n, d in ctx.inputs.parts.items() if n != TRAINER}
            code.check_included(ctx, new.patterns, planned)
            # To stop costs less before the fit; to warn must not read before train checks names.
            found = leaks.guarded(ctx, new) if new.leaks == "error" else None
            made = self.train(ctx, new)
            found = leaks.guarded(ctx, new) if new.leaks == "warn" else found
            made = made.model_copy(update={"leaks": found})
            return self._validated(ctx, new, made)
        given, made = old.arguments, old.attributes
        if new.leaks != given.leaks:
            made = made.model_copy(update={"leaks": leaks.guarded(ctx, new)})
        if (new.metrics, new.cross_validation) == (given.metrics, given.cross_validation):
            return made
        return self._validated(ctx, new, keeping.remeasure(ctx, new, made))

    def _validated(self, ctx: Context, new: Any, made: TrainingAttributes) -> TrainingAttributes:
        if new.cross_validation is None:
            return made
        from mlform_core.training.validating import cross_validated

        found = cross_validated(ctx, new, self.fitted, made.task)
        return made.model_copy(update={"metrics": {**made.metrics, "folds": found}})

    def fitted(self, ctx: Context, new: Any, frame: Any) -> Fitted:
        """Train on some rows of the table, without keeping the model."""
        raise NotImplementedError

    def train(self, ctx: Context, new: Any) -> TrainingAttributes:
        """Read, fit, measure, save."""
        raise NotImplementedError

    def read(self, ctx: Looking, old: Stored[Any, TrainingAttributes]) -> TrainingAttributes | None:
        """Look whether the model is still in the store."""
        return old.attributes if old.attributes.model.digest in ctx.artifacts else None
