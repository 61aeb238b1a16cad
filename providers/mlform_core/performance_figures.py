"""The figures of a window with their standard errors, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlform.sdk import Context, ResourceError, counted
from mlform_core import performance_fairness, shares
from mlform_core.gate_rules import METRICS
from mlform_core.holm import holm
from mlform_core.monitoring import short
from mlform_core.performance import LEAST_LABELS
from mlform_core.performance_windows import known_model

if TYPE_CHECKING:
    import pandas as pd

    from mlform_core.gate_rules import FairnessRules
    from mlform_core.metrics import Outcomes
    from mlform_core.monitor_page import Series
    from mlform_core.performance import PerformanceArguments
    from mlform_core.performance_windows import Part, Span


@dataclass(frozen=True)
class Guess:
    """What can be said of rows without labels.

    ``of``: the rows, some of which are ``of.where(places)``. ``figure``: a metric of such rows,
    with a seed.
    """

    of: Any
    figure: Callable[[str, Any, str], dict[str, Any]]

    def seeded(self, seed: str) -> Callable[[str, Any, str], dict[str, Any]]:
        """Return ``figure`` with seeds that are this and what a figure is of."""
        return lambda metric, some, name: self.figure(metric, some, f"{seed} {name}")


def measured(
    ctx: Context,
    span: Span,
    model: str,
    rules: PerformanceArguments,
    released: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a window says of one model, as plain data.

    ``rows``, ``labelled``, ``statistics`` (each with ``metric``, ``slice``, ``value``, ``se``,
    ``low``, ``high``, ``rows``, and by labels an ``estimate`` where one is asked for) and
    ``groups``, by name the counts of label × decision.
    """
    import pandas as pd

    from mlform_core.performance_basis import guess

    part = span.parts[model]
    about: dict[str, Any] = {"rows": len(part.keys), "statistics": [], "groups": {}}
    if rules.labels is None:
        if len(part.keys) < LEAST_LABELS or (said := guess(ctx, part, rules, released)) is None:
            return {**about, "labelled": 0}
        figure = said.seeded(f"{model} {len(part.keys)}")
        found = _statistics(rules, pd.DataFrame(part.columns), said.of, figure)
        return {**about, "labelled": 0, "statistics": found}
    outcomes, columns, places = _outcomes(ctx, span, part, model, rules)
    about["labelled"] = outcomes.rows
    if outcomes.rows < LEAST_LABELS:
        return about
    seed = f"{model} {span.first} {span.rows}"

    def by_them(metric: str, some: Outcomes, name: str) -> dict[str, Any]:
        return by_labels(metric, some, rules.threshold, f"{seed} {name}")

    about["statistics"] = _statistics(rules, columns, outcomes, by_them)
    if rules.estimate and (said := guess(ctx, part.where(places), rules, released)) is not None:
        beside = _statistics(rules, columns, said.of, said.seeded(f"{seed} estimate"))
        for one, guessed in zip(about["statistics"], beside, strict=True):
            one["estimate"] = {n: guessed[n] for n in ("value", "se", "low", "high", "rows")}
    if rules.fairness is not None:
        about["groups"] = _groups(outcomes, columns, rules.fairness, rules.threshold)
    return about


def _statistics(
    rules: PerformanceArguments,
    columns: pd.DataFrame,
    rows: Any,
    figure: Callable[[str, Any, str], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return each figure of all rows, then of slices; ``rows.where(places)`` are some of them."""
    from mlform_core.gate_groups import slices

    found = [{"metric": m, "slice": None, **figure(m, rows, "")} for m in rules.metrics()]
    if rules.slices is None:
        return found
    return found + [
        {"metric": metric, "slice": name, **figure(metric, rows.where(places), name)}
        for name, places in slices(columns, rules.slices.by)
        if len(places) >= rules.slices.min_support
        for metric in rules.slices.metrics()
    ]


def _outcomes(
    ctx: Context, span: Span, part: Part, model: str, rules: PerformanceArguments
) -> tuple[Outcomes, pd.DataFrame, list[int]]:
    """Return the rows of a model that have a label, with the columns of slices and groups.

    And their places in ``part``.
    """
    import numpy as np
    import pandas as pd

    from mlform_core.gate_measure import coded
    from mlform_core.metrics import Outcomes

    meta = known_model(ctx, model)
    rows = [(at, span.labels[k]) for at, k in enumerate(part.keys) if k in span.labels]
    labels = pd.Series([row[""] for _, row in rows], dtype=object)
    said = [part.predictions[at] for at, _ in rows]
    columns = pd.DataFrame(
        {n: [r.get(n, part.columns[n][at]) for at, r in rows] for n in rules.columns()},
        index=range(len(rows)),
    ).infer_objects()
    if meta["task"] == "regression":
        numbers = pd.to_numeric(labels, errors="coerce").to_numpy(dtype=np.float64)
        predictions = np.asarray(said, dtype=np.float64)
    else:
        classes = list(meta["classes"])
        numbers = coded(labels, classes)[1]
        numbers[numbers >= len(classes)] = np.nan
        if meta["task"] == "binary":
            predictions = np.asarray(said, dtype=np.float64)
        else:
            place = {str(c): i for i, c in enumerate(classes)}
            predictions = np.eye(len(classes))[[place[s] for s in said]].reshape(len(said), -1)
    usable = np.isfinite(numbers)
    if strange := int((~usable).sum()):
        ctx.log(f"no value of the target that {model[:19]} knows: {counted(strange, 'label')}")
    outcomes = Outcomes(meta["task"], numbers, predictions).where(usable)
    places = [at for (at, _), keep in zip(rows, usable, strict=True) if keep]
    return outcomes, columns.loc[usable].reset_index(drop=True), places


def by_labels(metric: str, outcomes: Outcomes, threshold: float, seed: str) -> dict[str, Any]:
    """Return a metric with its standard error and bounds, by the methods of gates."""
    from mlform_core import compare
    from mlform_core.metrics import value

    pair = compare.Pair(metric, outcomes, None, threshold)
    if metric == "roc_auc":
        gain = compare.delong(outcomes, None, 0.05)
    else:
        (gain,) = compare.paired_bootstrap([pair], 0.05, compare.seed_of(seed, metric))
    ends = sorted((pair.sign * gain.low, pair.sign * gain.high))
    found = figure(value(metric, outcomes, threshold), gain.se, (ends[0], ends[1]), outcomes.rows)
    beside = {"chance": gain.chance, "of": gain.of, "tail": gain.tail if gain.doubt else 0.0}
    return found | {n: short(v) for n, v in beside.items() if v}


def figure(value: float, se: float, ends: tuple[float, float], rows: int) -> dict[str, Any]:
    """Return a value with its standard error and 90 % bounds; ``None`` where undefined."""
    found = {"value": value, "se": se, "low": ends[0], "high": ends[1]}
    return {n: short(v) if math.isfinite(v) else None for n, v in found.items()} | {"rows": rows}


def _groups(
    outcomes: Outcomes, columns: pd.DataFrame, rules: FairnessRules, threshold: float
) -> dict[str, Any]:
    import numpy as np

    from mlform_core.gate_groups import grouped

    codes, names = grouped(columns[rules.attribute])
    cut = threshold if rules.threshold is None else rules.threshold
    cells = codes * 4 + (outcomes.labels == 1) * 2 + (outcomes.predictions >= cut)
    counts = np.bincount(cells, minlength=4 * len(names)).reshape(-1, 4)
    return {name: counts[i].tolist() for i, name in enumerate(names)}


def judge(
    window: Mapping[str, Any], rules: PerformanceArguments, released: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the bounds that a window breaks beyond chance, the surest first (Holm)."""
    asked = [*_bounded(window, rules, released), *performance_fairness.unfair(window, rules)]
    adjusted = holm([found["p"] for found in asked])
    findings = [
        {**{n: short(v) for n, v in found.items()}, "p_adjusted": short(p)}
        for found, p in zip(asked, adjusted, strict=True)
        if p < rules.alarm.fdr
    ]
    return sorted(findings, key=lambda f: (f["p_adjusted"], f["check"]))


def _bounded(
    window: Mapping[str, Any], rules: PerformanceArguments, released: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found = []
    for it in window["statistics"]:
        if it["value"] is None or it["se"] is None:
            continue
        metric, part = it["metric"], it["slice"]
        named = metric if part is None else f"{metric} of {part}"
        known = released.get("metrics", {}).get(metric) if part is None else None
        for bound, limit in _limits(rules, metric, part).items():
            larger = METRICS[metric].larger_is_better
            value, se, at = it["value"], it["se"], limit
            more: dict[str, Any] = {}
            if bound == "max_regress":
                if known is None or known["value"] is None or known["se"] is None:
                    continue
                at = known["value"] - limit if larger else known["value"] + limit
                se, more = math.hypot(se, known["se"]), {"released": known["value"]}
            low = larger if bound == "max_regress" else bound == "min"
            above = value - it.get("chance", 0.0)
            p = shares.tail(value - at if low else at - above, se)
            if "of" in it and bound != "max_regress":
                ends = (value, it["of"], at) if low else (1 - value, it["of"], 1 - at)
                p = shares.p_below(*ends)
            found.append(
                {
                    "check": f"{bound} {named}",
                    "column": named,
                    "value": value,
                    "threshold": at,
                    "sign": "<" if low else ">",
                    "p": p,
                    **more,
                }
            )
    return found


def _limits(rules: PerformanceArguments, metric: str, part: str | None) -> dict[str, float]:
    if part is None:
        rule = rules.require.get(metric)
        return {} if rule is None else rule.model_dump(exclude_none=True)
    if rules.slices is None:
        return {}
    bounds = {"min": rules.slices.min.get(metric), "max": rules.slices.max.get(metric)}
    return {n: v for n, v in bounds.items() if v is not None}


def series(
    windows: Sequence[Mapping[str, Any]],
    rules: PerformanceArguments,
    released: Mapping[str, Any],
) -> list[Series]:
    """Return each figure over the windows, with what it is held to."""
    from mlform_core.monitor_page import Series

    names = dict.fromkeys((s["metric"], s["slice"]) for w in windows for s in w["statistics"])
    made = []
    for metric, part in names:
        found: list[Mapping[str, Any]] = [
            next((s for s in w["statistics"] if (s["metric"], s["slice"]) == (metric, part)), {})
            for w in windows
        ]
        limits = _limits(rules, metric, part)
        known = released.get("metrics", {}).get(metric) or {}
        if (lost := limits.pop("max_regress", None)) is not None and known.get("value") is not None:
            sign = -1 if METRICS[metric].larger_is_better else 1
            limits["released"] = known["value"] + sign * lost
        bounds = [
            None if s.get("low") is None else (float(s["low"]), float(s["high"])) for s in found
        ]
        name = metric if part is None else f"{metric} of {part}"
        numbers, held = [s.get("value") for s in found], list(limits.values())
        beside = [_ends(s.get("estimate")) for s in found]
        made.append(Series(name, numbers, held, bounds, beside))
    return [*made, *performance_fairness.series(windows, rules)]


def _ends(guess: Mapping[str, Any] | None) -> tuple[float, float, float] | None:
    """Return what was estimated with its bounds; ``None`` where it is undefined."""
    if guess is None or None in {guess["value"], guess["low"], guess["high"]}:
        return None
    return guess["value"], guess["low"], guess["high"]


def borne_out(windows: Sequence[Mapping[str, Any]]) -> str:
    """Say how often what was estimated has come: labels lay within its bounds; "" of none."""
    pairs = [(s, s["estimate"]) for w in windows for s in w["statistics"] if s.get("estimate")]
    known = [(s, e) for s, e in pairs if None not in {s["value"], e["low"], e["high"]}]
    if not known:
        return ""
    within = sum(e["low"] <= s["value"] <= e["high"] for s, e in known)
    return f"{within} of {len(known)} figures by labels lay in the 90 % bounds of their estimate"


def doubted(windows: Sequence[Mapping[str, Any]]) -> str:
    """Say in how many windows bounds hold less often than they say; "" of none."""
    from mlform_core.compare import HEAVY_TAIL

    heavy = sum(any("tail" in s for s in w["statistics"]) for w in windows)
    return f"{HEAVY_TAIL} ({heavy} of {counted(len(windows), 'window')})" if heavy else ""


def describe(findings: Sequence[Mapping[str, Any]], *, estimated: bool) -> str:
    """Say in a sentence what was found."""
    said = [
        f"{f['column']} {f['value']:.3f} {f['sign']} {f['threshold']:.3f}"
        + (f" ({f['released']:.3f} at release)" if "released" in f else "")
        for f in findings[:3]
    ]
    more = f" and {len(findings) - 3} more" if len(findings) > 3 else ""
    how = "estimated performance" if estimated else "performance"
    return f"{how}: {', '.join(said)}{more}"


def uncalibrated(error: float, most: float) -> ResourceError:
    """Return the refusal to estimate from probabilities that mean nothing."""
    detail = (
        f"Even calibrated, its probabilities are {error:.3f} from what came on the rows of the "
        f"gate (expected calibration error; at most {most:g}): an estimate would rest on nothing."
    )
    return ResourceError("Model is not calibrated", detail, argument="labels")
