"""How far current data have moved from a reference profile: effect sizes, and evidence.

An effect alone cries wolf in small windows, a p-value alone in large ones (PSI > 0.2 fires in every
drift-free check of 200 rows; p < 0.05 in over a third at any size). An alarm wants both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Counts = npt.NDArray[np.float64]

Method = Literal["psi", "js", "ks"]
MISSING: Final = "(missing)"
OTHER: Final = "(other)"


@dataclass(frozen=True)
class Shift:
    """One column, then and now.

    ``value`` is the effect size of the method, less what chance alone gives; ``p`` the chance of
    the counts seen if nothing moved (chi-squared).
    """

    column: str
    method: Method
    value: float
    p: float
    rows: int


def shift(reference: Mapping[str, Any], name: str, values: pd.Series[Any], method: Method) -> Shift:
    """Compare a column with its reference profile.

    psi: population stability index over the reference's quantile bins; js: Jensen–Shannon
    distance (base 2); ks: largest difference of the distribution functions at the bin edges. Psi
    and the squared js are reduced by their mean under no change, (k-1)(1/n + 1/m) for psi.
    """
    before, now = counts(reference, values)
    n, m = float(before.sum()), float(now.sum())
    if n == 0 or m == 0:
        return Shift(name, method, 0.0, 1.0, int(m))
    value = {"psi": _psi, "js": _js, "ks": _ks}[method](before, now)
    return Shift(name, method, value, chi_squared_p(before, now), int(m))


def counts(reference: Mapping[str, Any], values: pd.Series[Any]) -> tuple[Counts, Counts]:
    """Return the counts of both sides over the same bins; missing values are a bin of their own."""
    import numpy as np

    from mlform_core.profiles import binned

    if reference["kind"] == "numeric":
        import pandas as pd

        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        there = numbers[np.isfinite(numbers)]
        current = binned(there, np.asarray(reference["edges"], dtype=np.float64))
        before = [*reference["counts"], reference["missing"]]
        now = [*current.tolist(), len(numbers) - len(there)]
    else:
        texts = values.dropna().astype(str).value_counts()
        known = reference["counts"]
        found = {str(v): int(n) for v, n in texts.items()}
        before = [*known.values(), reference["other"], reference["missing"]]
        others = sum(n for v, n in found.items() if v not in known)
        now = [*(found.get(v, 0) for v in known), others, len(values) - sum(found.values())]
    left, right = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    used = (left + right) > 0
    return _together(left[used], right[used])


def _together(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Put rare bins of the reference into one: expected counts under 5 prove nothing."""
    import numpy as np

    total, m = before.sum(), now.sum()
    rare = before * m / max(total, 1.0) < 5
    if rare.sum() < 2:
        return before, now
    left = np.append(before[~rare], before[rare].sum())
    right = np.append(now[~rare], now[rare].sum())
    return left, right


def _shares(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    k = len(before)
    return (before + 0.5) / (before.sum() + 0.5 * k), (now + 0.5) / (now.sum() + 0.5 * k)


def _psi(before: Counts, now: Counts) -> float:
    import numpy as np

    p, q = _shares(before, now)
    raw = float(np.sum((q - p) * np.log(q / p)))
    chance = (len(before) - 1) * (1 / before.sum() + 1 / now.sum())
    return max(raw - float(chance), 0.0)


def _js(before: Counts, now: Counts) -> float:
    import numpy as np

    p, q = _shares(before, now)
    middle = (p + q) / 2
    divergence = float(np.sum(p * np.log2(p / middle)) + np.sum(q * np.log2(q / middle))) / 2
    chance = (len(before) - 1) * (1 / before.sum() + 1 / now.sum()) / (8 * math.log(2))
    return math.sqrt(max(divergence - float(chance), 0.0))


def _ks(before: Counts, now: Counts) -> float:
    import numpy as np

    left, right = np.cumsum(before) / before.sum(), np.cumsum(now) / now.sum()
    return float(np.max(np.abs(left - right)))


def chi_squared_p(before: Counts, now: Counts) -> float:
    """Return the p-value of the two-sample chi-squared test of homogeneity."""
    import numpy as np

    n, m = before.sum(), now.sum()
    both = before + now
    expected = both * (m / (n + m))
    others = both * (n / (n + m))
    statistic = float(np.sum((now - expected) ** 2 / expected + (before - others) ** 2 / others))
    return chi_squared_tail(statistic, len(before) - 1)


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """Return P(X > statistic) for a chi-squared variable: the regularised upper gamma function.

    By its series or its continued fraction (Numerical Recipes, 3rd edition, §6.2).
    """
    if freedom <= 0 or statistic <= 0:
        return 1.0
    a, x = freedom / 2, statistic / 2
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a)) if x < 700 else 0.0
    if x < a + 1:
        term = total = 1 / a
        step = a
        while abs(term) > abs(total) * 1e-16:
            step += 1
            term *= x / step
            total += term
        return max(1 - total * scale, 0.0)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    fraction = d
    for i in range(1, 500):
        factor = -i * (i - a)
        b += 2
        d = factor * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + factor / c
        c = c if abs(c) > tiny else tiny
        delta = d * c
        fraction *= delta
        if abs(delta - 1) < 1e-15:
            break
    return min(scale * fraction, 1.0)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing several columns at once (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted = [1.0] * len(ps)
    worst = 0.0
    for rank, at in enumerate(order):
        worst = max(worst, min(1.0, ps[at] * (len(ps) - rank)))
        adjusted[at] = worst
    return adjusted
