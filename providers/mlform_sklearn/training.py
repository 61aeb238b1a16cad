"""``training_job "sklearn"``: fit an estimator on one part of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Code,
    Context,
    Difference,
    Handle,
    Imported,
    Inputs,
    Looking,
    Metadata,
    Operational,
    Resource,
    Stored,
    Volatile,
    code,
)

# An import path: at least a module and a name in it.
_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"


class Step(Arguments):
    """One step of a pipeline: a transformer, or at the end the estimator.

    ``name`` is what ``params`` of the whole pipeline call it (``model__alpha``); without one it
    is the class's name in lower case.
    """

    estimator: str = Field(pattern=_PATH)
    params: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z]\w*$")


class TrainingArguments(Arguments):
    """What to fit, on what.

    ``data`` is a dataset or feature view; ``split`` the part of it to train on, or null for all
    rows. Without ``features`` all columns are, but for the target, the key, the time column and
    those in ``exclude``.

    Exactly one of: ``estimator``, an import path (``"sklearn.linear_model.Ridge"``);
    ``pipeline``, a list of steps; ``entry``, the user's function
    ``fit(X, y, params, seed) -> fitted estimator``. A value in ``params`` that is itself
    ``{ estimator = "…", params = {…} }`` becomes that estimator. ``seed`` goes to every
    ``random_state`` that ``params`` does not give.

    ``encode = "auto"`` puts in front what the estimator needs to take raw columns, and keeps it
    in the model: categories for histogram gradient boosting, one-hot for the others (unknown
    values are ignored), the median for missing numbers where the estimator takes none. An
    ``entry`` gets the raw columns and encodes them itself.

    ``include`` names files that the entry reads: paths, globs and folders in the spec's folder. A
    change in them trains anew.

    ``format = "pickle"`` allows a model that skops cannot hold; a pickle runs code of its maker
    when it is loaded. ``threads`` changes how fast, never what comes out: linear algebra stays
    on one thread, because its sums depend on how they are divided.
    """

    data: Handle
    split: str | None = "train"
    target: str
    features: list[str] | None = None
    exclude: list[str] = Field(default_factory=list)
    estimator: str | None = Field(default=None, pattern=_PATH)
    pipeline: list[Step] | None = Field(default=None, min_length=1)
    entry: Code | None = None
    include: list[str] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, lt=2**32)
    encode: Literal["auto", "none"] = "auto"
    metrics: Operational[list[str] | None] = None
    format: Literal["skops", "pickle"] = "skops"
    threads: Operational[int] = Field(default=1, ge=1)
    owner: Metadata[str | None] = None
    description: Metadata[str | None] = None

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: list[str] | None) -> list[str] | None:
        from mlform_core.gate_rules import METRICS, suggestion

        problems = [
            f'"{name}" is no metric.{suggestion(name, METRICS)} Known: {", ".join(METRICS)}.'
            for name in names or []
            if name not in METRICS
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return names

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("estimator", "pipeline", "entry")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"exactly one of estimator, pipeline and entry is wanted, not {found}")
        if self.features is not None and self.exclude:
            raise ValueError("features says which columns to take, so exclude has nothing to add")
        if self.include and self.entry is None:
            raise ValueError("include names files that an entry reads, and there is no entry")
        if self.target in (self.features or []):
            raise ValueError(f'the target "{self.target}" is among the features')
        return self


class TrainingAttributes(Attributes):
    """The fitted model and how it came to be.

    ``features``: ``name`` and ``type`` of each column the model needs. ``metrics``: by part of
    the data, then by metric; no judgement hangs on them (a gate measures anew).
    """

    model: Artifact
    task: Literal["binary", "multiclass", "regression"]
    target: str
    features: list[dict[str, str]]
    rows: int
    metrics: Volatile[dict[str, dict[str, float | None]]]
    receipt: Volatile[dict[str, Any]]
    seconds: Volatile[float]


class Training(
    Resource[TrainingArguments, TrainingAttributes],
    kind="training_job",
    type="sklearn",
    reusable=True,
):
    """Fits a scikit-learn estimator, or one of any package that keeps its conventions."""

    preload = ("pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.pipeline", "skops.io")

    def inputs(self, ctx: Looking, new: TrainingArguments) -> Inputs:
        """Look at the files that ``entry`` reads; tell at once of columns that are not there."""
        from mlform_sklearn.tables import choose

        choose(new)
        return Inputs(code.included(ctx, new.include))

    def uses(self, new: TrainingArguments) -> Mapping[str, Collection[str]]:
        """Take the features and the target, and which rows are in which part."""
        from mlform_sklearn.tables import choose

        chosen = choose(new)
        columns = {*(f["name"] for f in chosen.features), chosen.target}
        return {new.data.address: columns if new.split is None else columns | {"_split"}}

    def distributions(self, new: TrainingArguments) -> Sequence[str]:
        """Name the packages of the estimators, and what reads tables and writes models."""
        from mlform_sklearn.packages import distributions

        return sorted({*distributions(new), "pandas", "pyarrow", "skops"})

    def compare(
        self,
        ctx: Context,
        given: TrainingArguments,
        one: TrainingAttributes,
        two: TrainingAttributes,
    ) -> Sequence[Difference]:
        """Compare what the models predict on rows they were not trained on, and their metrics."""
        from mlform_sklearn import comparing

        return comparing.compare(ctx, given, one, two)

    def apply(
        self,
        ctx: Context,
        new: TrainingArguments,
        old: Stored[TrainingArguments, TrainingAttributes] | None,
    ) -> TrainingAttributes:
        """Fit; on an operational change alone keep what was fitted, and measure if asked to."""
        from mlform_sklearn import job

        if old is None or ctx.doing not in {"update", "decide"}:
            code.check_included(ctx, new.include, ctx.inputs.parts)
            return job.train(ctx, new)
        if new.metrics == old.arguments.metrics:
            return old.attributes
        return job.remeasure(ctx, new, old.attributes)

    def import_(
        self,
        ctx: Context,
        id: str,  # noqa: A002 - as the SDK has it
        new: TrainingArguments | None,
    ) -> Imported[TrainingAttributes] | None:
        """Take a fitted model out of a file: a bundle of mlform, a skops file, or a pickle.

        A pickle only if the block allows it by name (``format = "pickle"``): loading one runs
        code of its maker. A bundle has all that is needed; any other file must be tried on the
        data of the block. Nothing is fitted.
        """
        from mlform_sklearn import adopting

        return adopting.adopted(ctx, id, new)

    def read(
        self, ctx: Looking, old: Stored[TrainingArguments, TrainingAttributes]
    ) -> TrainingAttributes | None:
        """Look whether the model is still in the store."""
        return old.attributes if old.attributes.model.digest in ctx.artifacts else None
