"""What a gate looks at beside metrics and named slices: weak slices, robustness, costs, series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlform.sdk import Artifact, Context, ResourceError
from mlform_core.gate_costs import cost_checks, costs_of, machine
from mlform_core.gate_groups import Case
from mlform_core.gate_measure import Rows, measure
from mlform_core.gate_robustness import robustness_checks
from mlform_core.gate_rules import Check, facts_of
from mlform_core.gate_search import search_checks
from mlform_core.held_out import budget, looked
from mlform_core.metrics import Floats, Outcomes
from mlform_core.models import columns_of
from mlform_core.tables import SPLIT, read_table

if TYPE_CHECKING:
    from mlform_core.gate import EvaluationArguments
    from mlform_core.gate_conditions import Forecast


class Beyond:
    """The further checks of one verdict; ``record`` and ``costs`` have what they found."""

    def __init__(
        self,
        ctx: Context,
        new: EvaluationArguments,
        rows: Rows,
        candidate: Artifact,
        case: Case,
    ) -> None:
        self.ctx, self.new, self.rows, self.candidate, self.case = ctx, new, rows, candidate, case
        self.record: dict[str, Any] = {}
        self.costs: dict[str, float] = {}
        self.uses = 1

    def checks(self) -> Iterator[Check]:
        """Yield each check."""
        if self.new.search is not None:
            yield from self._searched()
        if self.new.robustness is not None:
            yield from self._disturbed()
        if self.new.costs is not None:
            rules, pickled = self.new.costs, self.new.allow_pickle
            self.costs = costs_of(self.ctx, self.candidate, rules, self.rows, allow_pickle=pickled)
            self.record["costs"] = {"machine": machine(), **self.costs}
            yield from cost_checks(self.costs, rules, self.case.candidate.rows)
        looks = looked(self.ctx, self.rows.data, self.rows.split, self.candidate.digest)
        self.uses = len(looks)
        self.record["held_out"] = {"uses": self.uses, "gates": sorted({g for g, _ in looks})}
        yield from budget(self.new.held_out, looks, self.case.candidate.rows)

    def _searched(self) -> list[Check]:
        rules = self.new.search
        assert rules is not None, "asked for"
        names = rules.columns
        if names is None:
            known = columns_of(self.candidate) or set()
            names = sorted(known - {str(self.candidate.about.get("target"))})
            if not names:
                detail = "The model does not say what it takes. Write search = { columns = […] }."
                raise ResourceError("Columns not known", detail, argument="search")
        frame = self.rows.read(self.ctx, names)
        kept = frame.loc[self.case.labelled].reset_index(drop=True)
        columns = {str(n): kept[n] for n in names}
        checks, found = search_checks(self.case.candidate, self.case.baseline, columns, rules)
        self.record["search"] = found
        return checks

    def _disturbed(self) -> list[Check]:
        rules = self.new.robustness
        assert rules is not None, "asked for"
        task = self.case.candidate.task
        for metric in rules.max_loss:
            facts = facts_of(metric)
            if task not in facts.tasks or facts.needs not in {None, "level"}:
                detail = f"{metric} is not compared here for a {task} model."
                raise ResourceError("Metric not defined", detail, argument="robustness")

        def predict(how: str, amount: float) -> Outcomes | str:
            try:
                found = measure(
                    self.ctx,
                    self.candidate,
                    self.rows,
                    "candidate",
                    allow_pickle=self.new.allow_pickle,
                    trouble=(how, amount),
                )
            except ResourceError as error:
                if error.summary != "Model cannot predict":
                    raise
                return f"the model refuses the rows: {error.detail}"
            return replace(found.outcomes, groups=self.case.candidate.groups)

        case, pickled = self.case, self.new.allow_pickle
        ours = measure(self.ctx, self.candidate, self.rows, "candidate", allow_pickle=pickled)
        clean = replace(ours.outcomes, groups=case.candidate.groups)
        checks, found = robustness_checks(
            clean, rules, predict, case.seed, self.new.threshold, case.checkpoint
        )
        self.record["robustness"] = found
        return checks


def lying(
    ctx: Context, new: EvaluationArguments, rows: Rows, kept: pd.DataFrame, target: str
) -> Callable[[Outcomes], Outcomes]:
    """Return what tells outcomes which rows belong together, and how hard each series is."""
    groups = None
    if new.grouped:
        keys = kept[new.grouped]
        numbers = keys.groupby(list(keys), sort=True, dropna=False).ngroup()
        groups = np.asarray(numbers.to_numpy(), dtype=np.intp)
    scale = None if new.forecast is None else _scale(ctx, new.forecast, rows, kept, target)
    return lambda outcomes: replace(outcomes, groups=groups, scale=scale)


def _scale(ctx: Context, rules: Forecast, rows: Rows, kept: pd.DataFrame, target: str) -> Floats:
    """Return for each row the mean absolute error of the naive forecast of its series."""
    parts: dict[str, int] = rows.data.attributes.get("splits") or {}
    if not parts.get(rules.train):
        names = ", ".join(parts) or "none"
        detail = f'{rows.data.address} has no rows in a part "{rules.train}". It has: {names}.'
        raise ResourceError("Split not found", detail, argument="forecast")
    errors = _naive(read_table(ctx, rows.data, [*rules.columns(), target, SPLIT]), rules, target)
    if rules.series:
        several = pd.MultiIndex.from_frame(kept[rules.series])
        index = several if len(rules.series) > 1 else several.get_level_values(0)
        means = errors.groupby(rules.series, dropna=False)[target].mean()
        found = means.reindex(index).to_numpy(dtype=np.float64)
    else:
        found = np.full(len(kept), float(errors[target].mean()))
    found = np.where(found > 0, found, np.nan)
    unknown = int(np.isnan(found).sum())
    if unknown == len(found):
        detail = (
            f"No series has values that lie {rules.season} steps apart in the part "
            f'"{rules.train}", or none ever changes: there is nothing to hold errors against.'
        )
        raise ResourceError("No naive forecast", detail, argument="forecast")
    if unknown:
        said = f"mase leaves out {unknown} of {len(found)} rows"
        ctx.log(f"{said}, of series without a naive forecast")
    return np.asarray(found)


def _naive(whole: pd.DataFrame, rules: Forecast, target: str) -> pd.DataFrame:
    """Return the absolute errors of the naive forecast on the training rows, under ``target``.

    A step is from one time of a series to the next in the whole table: a training part that was
    drawn by weeks, say, has gaps, and the row so many before is not what was a season ago.
    """
    whole = whole.dropna(subset=[rules.time])
    times = whole[rules.time]
    by = times.groupby([whole[n] for n in rules.series], dropna=False) if rules.series else times
    whole = whole.assign(_step=by.rank(method="dense").astype("int64"))
    past = whole[whole[SPLIT] == rules.train].dropna(subset=[target])
    past = past.assign(**{target: pd.to_numeric(past[target]).astype("float64")})
    known = past[[*rules.series, "_step", target]].drop_duplicates(
        [*rules.series, "_step"], keep="last"
    )
    before = known.assign(_step=known["_step"] + rules.season)
    both = past.merge(before, on=[*rules.series, "_step"], suffixes=("", "_before"))
    return both.assign(**{target: (both[target] - both[f"{target}_before"]).abs()})
