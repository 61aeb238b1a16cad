"""What a model loses when its inputs are not what they should be: noise, gaps, unseen texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from mlform_core import compare
from mlform_core.compare import Pair
from mlform_core.gate_conditions import Robustness
from mlform_core.gate_rules import Check
from mlform_core.metrics import Outcomes

UNSEEN: Final = "(never seen)"
_TOLERANCE: Final = 1e-9


def disturbed(frame: pd.DataFrame, types: dict[str, str], how: str, amount: float) -> pd.DataFrame:
    """Return inputs with one kind of trouble; the same for equal inputs."""
    random = np.random.default_rng(compare.seed_of(how, f"{amount}", f"{len(frame)}"))
    found = frame.copy()
    for name, kind in types.items():
        column = frame[name]
        hit = random.random(len(frame)) < amount
        if how == "missing":
            found[name] = column.where(~hit)
        elif how == "unseen" and kind == "string":
            found[name] = column.mask(hit & column.notna().to_numpy(), UNSEEN)
        elif how == "noise" and kind in {"float64", "int64"}:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            shaken = values + random.normal(0, amount * float(np.nanstd(values)), len(values))
            found[name] = shaken if kind == "float64" else np.round(shaken)
    return found


def robustness_checks(
    clean: Outcomes,
    rules: Robustness,
    predict: Callable[[str, float], Outcomes | str],
    seed: str,
    threshold: float,
    checkpoint: Callable[[], None],
) -> tuple[list[Check], dict[str, Any]]:
    """Return a check for each disturbance and metric, and the numbers for the record.

    ``predict`` gives the outcomes under a disturbance, or why the model refused it.
    """
    checks: list[Check] = []
    record: dict[str, Any] = {}
    for how, amount in rules.amounts().items():
        found = predict(how, amount)
        if isinstance(found, str):
            record[how] = {"amount": amount, "refused": found}
            checks += [
                _check(metric, how, clean.rows, "fail", f"{metric}: with {how} {amount:g} {found}")
                for metric in rules.max_loss
            ]
            continue
        pairs = [Pair(m, found, clean, threshold) for m in rules.max_loss]
        gains = compare.paired_bootstrap(pairs, rules.alpha, compare.seed_of(seed, how), checkpoint)
        record[how] = {"amount": amount, "loses": {}}
        for pair, gain in zip(pairs, gains, strict=True):
            limit = rules.max_loss[pair.metric]
            known = math.isfinite(gain.low)
            good = known and -gain.low <= limit + _TOLERANCE
            record[how]["loses"][pair.metric] = -gain.estimate if known else None
            said = (
                f"{pair.metric} loses {-gain.estimate:.4f} (upper {1 - rules.alpha:.3g} bound "
                f"{-gain.low:.4f}) with {how} {amount:g}: {'≤' if good else '>'} max_loss {limit:g}"
                if known
                else f"{pair.metric}: too few rows of one class among {clean.rows} to compare"
            )
            check = _check(pair.metric, how, clean.rows, "pass" if good else "fail", said)
            numbers = {"gain": gain.estimate, "low": gain.low, "high": gain.high}
            update = {**numbers, "threshold": limit} if known else {"threshold": limit}
            checks.append(check.model_copy(update=update))
    return checks, record


def _check(metric: str, how: str, rows: int, outcome: Any, message: str) -> Check:
    return Check(
        check="robustness", metric=metric, slice=how, support=rows, outcome=outcome, message=message
    )
