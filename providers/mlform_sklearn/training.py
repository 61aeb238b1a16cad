"""``training_job "sklearn"``: fit an estimator on one part of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from mlform.sdk import Arguments, Code, Context, Imported, Operational, Resource
from mlform_core.training.arguments import TableArguments, TableTraining, TrainingAttributes

if TYPE_CHECKING:
    import pandas as pd

    from mlform_core.training.keeping import Fitted

# An import path: at least a module and a name in it.
_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"
_PATHS = ["sklearn.linear_model.LogisticRegression"]


class Step(Arguments):
    """One step of a pipeline: a transformer, or at the end the estimator.

    ``name`` is what ``params`` of the whole pipeline call it (``model__alpha``); without one it
    is the class's name in lower case.
    """

    estimator: str = Field(pattern=_PATH, examples=_PATHS)
    params: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z]\w*$")


class TrainingArguments(TableArguments):
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
    values are ignored), the median for missing numbers where the estimator takes none. What
    begins with a column transformer, and an ``entry``, get the raw columns and encode them.

    ``include`` names files that the entry reads: paths, globs and folders in the spec's folder. A
    change in them trains anew.

    ``format = "pickle"`` allows a model that skops cannot hold; a pickle runs code of its maker
    when it is loaded. ``threads`` changes how fast, never what comes out: linear algebra stays
    on one thread, because its sums depend on how they are divided.
    """

    estimator: str | None = Field(default=None, pattern=_PATH, examples=_PATHS)
    pipeline: list[Step] | None = Field(default=None, min_length=1)
    entry: Code | None = None
    include: list[str] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    encode: Literal["auto", "none"] = "auto"
    format: Literal["skops", "pickle"] = "skops"
    threads: Operational[int] = Field(default=1, ge=1)

    @property
    def patterns(self) -> Sequence[str]:
        """The files that the entry reads."""
        return self.include

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("estimator", "pipeline", "entry")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"exactly one of estimator, pipeline and entry is wanted, not {found}")
        if self.include and self.entry is None:
            raise ValueError("include names files that an entry reads, and there is no entry")
        return self


class Training(
    TableTraining,
    Resource[TrainingArguments, TrainingAttributes],
    kind="training_job",
    type="sklearn",
    reusable=True,
):
    """Fits a scikit-learn estimator, or one of any package that keeps its conventions."""

    preload = ("pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.pipeline", "skops.io")

    def distributions(self, new: TrainingArguments) -> Sequence[str]:
        """Name the packages of the estimators, and what reads tables and writes models."""
        from mlform_sklearn.packages import distributions

        return sorted({*distributions(new), "pandas", "pyarrow", "skops"})

    def check(self, new: TrainingArguments) -> None:
        """Tell of estimators and parameters that are not there, by the source of their packages."""
        from mlform_sklearn.written import refuse

        refuse(new)

    def train(self, ctx: Context, new: TrainingArguments) -> TrainingAttributes:
        """Read, fit, measure, save."""
        from mlform_sklearn import job

        return job.train(ctx, new)

    def fitted(self, ctx: Context, new: TrainingArguments, frame: pd.DataFrame) -> Fitted:
        """Fit on some rows of the table: one trial of a sweep."""
        from mlform_core.training.choosing import choose
        from mlform_sklearn import job

        return job.fitted_of(new, job.maker(ctx, new, choose(new))(frame))

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
