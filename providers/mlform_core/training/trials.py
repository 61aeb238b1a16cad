"""The trials of a sweep. Each fold of each has a key of its own, and is trained once for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context, ResourceError
from mlform.sdk.fields import FieldClass, field_classes
from mlform_core.training.tune import Range, TuneArguments, trainer

if TYPE_CHECKING:
    from mlform_core.training.choosing import Chosen


class Sweep:
    """One sweep. ``counts`` says how many trials were completed, pruned and failed.

    What a fold came to is remembered under everything it depends on: a larger grid, another
    metric, or a run after a kill take it again. Whether a trial is pruned is asked between folds
    and remembered nowhere, so a fold that is not needed is not trained, and never missing.
    """

    def __init__(self, ctx: Context, new: TuneArguments, chosen: Chosen) -> None:
        from mlform_core.training import keeping
        from mlform_core.training.folds import divided

        self.ctx, self.new, self.chosen = ctx, new, chosen
        self.trainer = trainer(new.trainer)
        self.frame = keeping.reading(ctx, chosen)
        self.folds = divided(ctx, new.folds, chosen, self.frame[new.target], new.seed)
        self.counts = {"complete": 0, "pruned": 0, "failed": 0, "folds_trained": 0}
        self.errors: list[ResourceError] = []

    def run(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the best point, and what became of each trial. Raises ``ResourceError``."""
        optuna, study = self._study()
        rows = [] if self.new.sampler != "grid" else self.new.grid()
        total = self.new.trials or len(rows)
        table: list[dict[str, Any]] = []
        for number in range(total):
            self.ctx.progress(number, total, "trials")
            if rows:
                study.enqueue_trial(_places(self.new.search, rows[number]))
            trial = study.ask()
            point = {n: _drawn(trial, n, r, places=bool(rows)) for n, r in self.new.search.items()}
            state, scores = self._try(optuna, trial, point)
            mean = sum(scores) / len(scores) if scores else None
            complete = state == "complete"
            study.tell(
                trial,
                mean if complete else None,
                state=None if complete else optuna.trial.TrialState[_STATES[state]],
            )
            self.counts[state] += 1
            table.append({"trial": number, "state": state, **_named(point), "folds": scores})
            table[-1][self.new.metric] = mean if complete else None
        if not self.counts["complete"]:
            if self.errors:
                raise self.errors[0]
            detail = f"{self.new.metric} is not defined in any fold of any trial."
            raise ResourceError("No trial came off", detail, argument="metric")
        best = study.best_trial.number
        return self._point(table[best]), table

    def told(self) -> str:
        """Say in words what was trained and what was taken again."""
        c = self.counts
        asked = f"{c['complete']} complete, {c['pruned']} pruned, {c['failed']} failed"
        return f"{asked}; {c['folds_trained']} folds were trained now."

    def _point(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {n: row[f"param.{n}"] for n in self.new.search}

    def _study(self) -> tuple[Any, Any]:
        try:
            import optuna
        except ImportError as error:
            detail = f"optuna cannot be imported ({error}). pip install 'mlform[tune]'."
            raise ResourceError("Library not installed", detail, argument="sampler") from error
        from mlform_core.gate_rules import METRICS

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        random = self.new.sampler == "random"
        made = optuna.samplers.RandomSampler if random else optuna.samplers.TPESampler
        prune = self.new.prune
        pruner = (
            optuna.pruners.NopPruner()
            if prune is None
            else optuna.pruners.MedianPruner(prune.startup, n_warmup_steps=prune.after - 1)
        )
        larger = METRICS[self.new.metric].larger_is_better
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                direction="maximize" if larger else "minimize",
                sampler=made(seed=self.new.seed),
                pruner=pruner,
            )
        return optuna, study

    def _try(self, optuna: Any, trial: Any, point: dict[str, Any]) -> tuple[str, list[float]]:
        """Return how a trial ended, and its scores fold by fold."""
        scores: list[float] = []
        for fold in range(len(self.folds)):
            try:
                score = self._fold(point, fold)
            except ResourceError as error:
                self.ctx.log(f"{point}: {error}")
                self.errors.append(error)
                return "failed", scores
            if score is None:
                return "failed", scores
            scores.append(score)
            trial.report(sum(scores) / len(scores), fold)
            if fold + 1 < len(self.folds) and trial.should_prune():
                return "pruned", scores
        return "complete", scores

    def _fold(self, point: dict[str, Any], fold: int) -> float | None:
        given = self.new.trial(point)
        classes = field_classes(self.trainer.arguments)
        counted = {n for n, c in classes.items() if c is FieldClass.SEMANTIC} - {"data"}
        columns = {f["name"] for f in self.chosen.features} | {self.new.target}
        columns |= {self.new.folds.column} if self.new.folds.column else set()
        columns |= {"_split"} if self.new.split is not None else set()
        what = {
            "trial": given.model_dump(mode="json", by_alias=True, include=counted),
            "trainer": [self.new.trainer, self.trainer.version],
            "data": self.new.data.digest_of(columns),
            "features": self.chosen.features,
            "code": self.ctx.receipt.get("code"),
            "include": {n: d for n, d in self.ctx.inputs.parts.items() if n in self._included()},
            "folds": self.new.folds.model_dump(mode="json"),
            "fold": fold,
        }
        kept = self.ctx.memo(what, lambda: self._measured(given, fold))
        found: dict[str, float | None] = json.loads(self.ctx.artifacts.read(kept.digest))
        if self.new.metric not in found:
            known = ", ".join(found)
            detail = f"{self.new.metric} is not defined for what is predicted. Defined are {known}."
            raise ResourceError("Invalid metric", detail, argument="metric")
        return found[self.new.metric]

    def _included(self) -> set[str]:
        from mlform.sdk import code

        return set(code.included(self.ctx, self.new.include))

    def _measured(self, given: Any, fold: int) -> bytes:
        """Train on all but one fold; return every metric on that one."""
        from mlform_core.gate_rules import metrics_of
        from mlform_core.training.validating import held_out

        train, held = self.folds[fold]
        within = _Within(self.ctx)
        fitted = self.trainer.fitted(within, given, self.frame.iloc[train].reset_index(drop=True))
        self.counts["folds_trained"] += 1
        names, rows = metrics_of(fitted.task), self.frame.iloc[held].reset_index(drop=True)
        values = held_out(fitted, self.chosen.features, names, self.new.target, rows)
        return json.dumps(values, sort_keys=True).encode()


class _Within:
    """The context of a trial: how far the sweep is, the sweep tells, and not each trial."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        self._ctx.checkpoint()


_STATES = {"pruned": "PRUNED", "failed": "FAIL"}


def _named(point: Mapping[str, Any]) -> dict[str, Any]:
    return {f"param.{name}": value for name, value in point.items()}


def _places(search: Mapping[str, Range], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point as the optimiser draws it: of values their place."""
    return {n: (r.listed() or []).index(point[n]) for n, r in search.items()}


def _drawn(trial: Any, name: str, r: Range, *, places: bool) -> Any:
    listed = r.listed() if places else r.values
    if listed is not None:
        # Its place and not the value, which may be anything.
        return listed[trial.suggest_categorical(name, list(range(len(listed))))]
    if r.whole:
        step = round(r.step or 1)
        return trial.suggest_int(name, round(r.low or 0), round(r.high or 0), step=step, log=r.log)
    return trial.suggest_float(name, r.low, r.high, step=r.step, log=r.log)
