"""Whether two models of one training say the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from mlform.sdk import Context, Difference, differences
from mlform_core.training.arguments import TableArguments, TrainingAttributes
from mlform_core.training.choosing import choose

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ROWS: Final = 5000
"""The rows of the probe set: the first of the first part that was not trained on."""
TOLERANCE: Final = 0.01
"""How far predictions may be apart on average (probabilities; of values, in their standard
deviations), and each metric, absolutely or relatively."""


def compare(
    ctx: Context, given: TableArguments, one: TrainingAttributes, two: TrainingAttributes
) -> list[Difference]:
    """Compare what two models predict on a probe set, and their metrics."""
    found = [d for d in differences(one, two) if d.what != "model"]
    if one.model.digest != two.model.digest:
        found.append(_predictions(ctx, given, one, two))
    for part in sorted({*one.metrics, *two.metrics}):
        before, after = one.metrics.get(part, {}), two.metrics.get(part, {})
        for name in sorted({*before, *after}):
            a, b = before.get(name), after.get(name)
            if a != b:
                near = a is not None and b is not None and _near(a, b)
                text = f"{_shown(a)} → {_shown(b)}"
                found.append(Difference(f"metrics.{part}.{name}", text, within=near))
    return found


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _predictions(
    ctx: Context, given: TableArguments, one: TrainingAttributes, two: TrainingAttributes
) -> Difference:
    import numpy as np

    from mlform_core import models

    chosen = choose(given)
    others = [part for part in chosen.parts if part != chosen.training_part]
    part = others[0] if others else chosen.training_part
    rows = chosen.read(ctx, part).head(ROWS)
    pickled = given.pickle_allowed
    before, after = (
        models.load(ctx.artifacts.path(it.model.digest), allow_pickle=pickled).predict(rows)
        for it in (one, two)
    )
    where = f'predictions on {len(rows):,} rows of part "{part}"'
    if before.shape != after.shape:
        return Difference("model", f"{where} are of other classes")
    apart = _apart(before, after, values=one.task == "regression")
    text = f"{where} differ by {apart.mean():.3g} on average, {apart.max(initial=0.0):.3g} at most"
    within = bool(np.all(np.isfinite(apart)) and apart.mean() <= TOLERANCE)
    return Difference("model", text, within=within)


def _apart(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], *, values: bool
) -> npt.NDArray[np.float64]:
    """Return how far apart predictions are; values in units of their standard deviation."""
    import numpy as np

    apart: npt.NDArray[np.float64] = np.abs(before - after)
    spread = float(before.std()) if values else 1.0
    return apart / spread if spread > 0 else apart
