"""``training_job "python"``: training by a function of the project's own."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from mlform.sdk import Code, Context, Handle, Resource, ResourceError, code
from mlform_core.training.arguments import TableArguments, TableTraining, TrainingAttributes

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mlform_core.training.choosing import Chosen
    from mlform_core.training.keeping import Fitted, Task

_IMPORTS: Final = (
    "what the entry makes depends on its code; import a fitted scikit-learn model as a "
    'training_job "sklearn"'
)


class PythonArguments(TableArguments):
    """What to call, and with what.

    ``entry`` is the user's function ``train(job) -> model``; ``job`` is a
    ``mlform_core.training.python.Job``. ``inputs`` are more tables, by name. ``include`` names
    files that the entry reads: a change in them trains anew.

    ``task`` says what the target is; without it a classifier's classes or the type of the target
    does. ``format = "pickle"`` allows a model that skops cannot hold; a pickle runs code of its
    maker when it is loaded.
    """

    entry: Code
    inputs: dict[str, Handle] = Field(default_factory=dict)
    include: list[str] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    task: Literal["binary", "multiclass", "regression"] | None = None
    format: Literal["skops", "pickle"] = "skops"

    @property
    def patterns(self) -> Sequence[str]:
        """The files that the entry reads."""
        return self.include


class Python(
    TableTraining,
    Resource[PythonArguments, TrainingAttributes],
    kind="training_job",
    type="python",
    reusable=True,
):
    """Trains by calling the user's function, which may report, keep checkpoints and go on."""

    preload = ("pandas", "pyarrow.parquet", "skops.io")
    imports = _IMPORTS

    def distributions(self, new: PythonArguments) -> Sequence[str]:
        """Name what reads tables and writes models; the code's own imports count by its closure."""
        return ("pandas", "pyarrow", "skops")

    def train(self, ctx: Context, new: PythonArguments) -> TrainingAttributes:
        """Call the entry, measure what it returns, save it; then forget the checkpoints."""
        from mlform_core.training import keeping
        from mlform_core.training.choosing import choose

        started = time.monotonic()
        chosen = choose(new)
        job = Job(ctx, new, chosen)
        fitted = _fitted(ctx, new, job)
        frame = keeping.reading(ctx, chosen)
        made = keeping.keep(ctx, new, chosen, fitted, frame)
        told = {
            "model": new.entry,
            "params": new.params,
            **keeping.versions(self.distributions(new)),
        }
        made = made.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
        done = keeping.described(ctx, new, made, told)
        job.forget()
        return done

    def fitted(self, ctx: Context, new: PythonArguments, frame: pd.DataFrame) -> Fitted:
        """Call the entry with some rows of the table in place of its training part."""
        from mlform_core.training.choosing import choose

        return _fitted(ctx, new, Job(ctx, new, choose(new), frame))


class Job:
    """What an entry is given. ``params`` and ``seed`` are those of the block."""

    def __init__(
        self,
        ctx: Context,
        new: PythonArguments,
        chosen: Chosen,
        given: pd.DataFrame | None = None,
    ) -> None:
        from mlform_core.training.checkpoints import Checkpoints

        self._ctx, self._new, self._chosen, self._given = ctx, new, chosen, given
        self.params: dict[str, Any] = dict(new.params)
        self.seed: int = new.seed
        self.history: list[dict[str, Any]] = []
        self._checkpoints = None if given is not None else Checkpoints(ctx)

    @property
    def parts(self) -> list[str]:
        """The names of the parts of the table that have rows, that to train on first."""
        return [self._chosen.training_part] if self._given is not None else [*self._chosen.parts]

    @property
    def target_type(self) -> str:
        """The type of the target's column, as contracts name it."""
        return self._chosen.target_type

    @property
    def folder(self) -> Path:
        """An empty folder for this run alone: a place for files."""
        return self._ctx.workdir

    def read(self, part: str | None = None) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
        """Return the features and the target of one part, by default that to train on.

        Numbers are float64, times seconds since 1970 UTC, strings objects, missing is NaN: as
        the model will get them when it is measured and served.
        """
        from mlform_core.columns import conform
        from mlform_core.training import keeping
        from mlform_core.training.choosing import labels

        if part is not None and part not in self.parts:
            detail = f'There is no part "{part}" with rows here; there are {", ".join(self.parts)}.'
            raise ResourceError("Unknown part", detail, argument="entry")
        frame = self._given
        if frame is None:
            frame = keeping.reading(self._ctx, self._chosen, part)
        task, kind = self._new.task, self._chosen.target_type
        classes = kind in {"string", "bool", "int64"} if task is None else task != "regression"
        y = labels(self._chosen, frame[self._chosen.target], classes=classes)
        return conform(frame, self._chosen.features), y

    def table(self, name: str) -> pd.DataFrame:
        """Return one of the tables in ``inputs``, whole."""
        from mlform_core.tables import read_table

        if name not in self._new.inputs:
            there = ", ".join(self._new.inputs) or "none"
            raise ResourceError(
                "Unknown table", f'inputs has no "{name}"; it has {there}.', argument="inputs"
            )
        frame: pd.DataFrame = read_table(self._ctx, self._new.inputs[name])
        return frame

    def report(self, step: int, total: int | None = None, **metrics: float) -> None:
        """Say how far the work is, with metrics. Stops here if the user asked for it."""
        found = {name: float(value) for name, value in metrics.items()}
        self.history.append({"step": step, **{n: v for n, v in found.items() if v - v == 0}})
        note = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        self._ctx.progress(step, total, note)

    def log(self, text: str) -> None:
        """Tell the user one line."""
        self._ctx.log(text)

    def resume(self) -> tuple[int, Path] | None:
        """Return the step of the last checkpoint of this very key and the folder it is in.

        ``None`` if there is nothing to go on with. Data, code or parameters that changed are
        another key: then it begins anew.
        """
        found = None if self._checkpoints is None else self._checkpoints.last()
        if found is None:
            return None
        self.history = [dict(it) for it in found.history]
        self._ctx.log(f"Going on after step {found.step}, from a checkpoint.")
        return found.step, found.folder

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """Give an empty folder to write the state of the training into.

        It counts once the block has ended: a kill in between leaves the one before.
        """
        if self._checkpoints is None:  # a trial of a sweep is short, and has no home of its own
            yield self._ctx.workdir
            return
        with self._checkpoints.writing(step, self.history) as folder:
            yield folder

    def forget(self) -> None:
        """Remove the checkpoints: the engine does when the model is saved."""
        if self._checkpoints is not None:
            self._checkpoints.forget()


def _fitted(ctx: Context, new: PythonArguments, job: Job) -> Fitted:
    own = code.load(ctx.root, new.entry)
    try:
        model = own(job)
    except ResourceError:
        raise
    except Exception as error:
        raise _explained(ctx, error) from error
    return _judged(new, job, model)


def _judged(new: PythonArguments, job: Job, model: Any) -> Fitted:
    from importlib.metadata import PackageNotFoundError, version

    from mlform_core import native
    from mlform_core.training.keeping import Fitted

    if (told := native.wrapped(model)) is not None:
        model = told
    elif not hasattr(model, "predict"):
        detail = (
            f"{new.entry} returned {type(model).__name__}, which has no predict. Return a fitted "
            "estimator, or a Booster of XGBoost or LightGBM."
        )
        raise ResourceError("Not an estimator", detail, argument="entry")
    task, classes = _task(new, job, model)
    if isinstance(model, native.Booster):
        model.classes_ = classes
        return Fitted(
            model, task, classes, model.format, model.framework, model.version, {}, job.history
        )
    framework = type(model).__module__.partition(".")[0]
    framework = {"sklearn": "scikit-learn"}.get(framework, framework)
    try:
        release = version(framework)
    except PackageNotFoundError:
        release = ""
    return Fitted(model, task, classes, new.format, framework, release, {}, job.history)


def _task(new: PythonArguments, job: Job, model: Any) -> tuple[Task, list[Any] | None]:
    import numpy as np

    classes = getattr(model, "classes_", None)
    if new.task == "regression":
        return "regression", None
    if classes is None:
        told = new.task or {"bool": "binary", "string": "multiclass"}.get(job.target_type)
        if told is None:
            return "regression", None
        classes = np.unique(job.read()[1])
    if not hasattr(model, "predict_proba"):
        detail = (
            f"{new.entry} returned {type(model).__name__}, which gives no probabilities of "
            'classes: it needs predict_proba. If the target is a value, write task = "regression".'
        )
        raise ResourceError("No probabilities", detail, argument="entry")
    found = np.asarray(classes).tolist()
    task: Task = "binary" if len(found) == 2 else "multiclass"
    if new.task not in {None, task}:
        detail = f'The model tells {len(found)} classes apart, and task = "{new.task}".'
        raise ResourceError("Another task", detail, argument="task")
    return task, found


def _explained(ctx: Context, error: Exception) -> ResourceError:
    detail = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(ctx.root)]
    if own:
        where = Path(own[-1].filename).relative_to(ctx.root)
        detail += f"\nat {where}, line {own[-1].lineno}: {own[-1].line}"
    return ResourceError("Training failed", detail, argument="entry")
