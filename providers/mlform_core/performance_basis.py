"""What a monitor keeps of a model that begins to serve: how good it was, what estimates rest on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mlform.sdk import Artifact, Context, ResourceError
from mlform_core import performance_estimate, performance_losses
from mlform_core.gate_measure import Measured, Rows, unpack
from mlform_core.performance import PerformanceArguments
from mlform_core.performance_figures import Guess, by_labels
from mlform_core.performance_windows import Part, known_model

MEDIA_TYPE: Final = "application/vnd.mlform.losses"


def at_release(
    ctx: Context, rules: PerformanceArguments, serves: str, known: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the figures of a model on what its gate held out, and what estimates rest on.

    ``metrics`` and ``rows``; ``calibration`` of two classes, of numbers ``losses``, an artifact.
    What is ``known`` stays: the gate may have judged others since.
    """
    found: dict[str, Any] = dict(known or {"metrics": {}})
    wanted = [m for m in rules.metrics() if m not in found["metrics"]]
    complete = not wanted and (not rules.estimates or _rests(ctx, rules, serves, found))
    if rules.release is None or complete:
        return found
    gate = rules.release.attributes
    if gate.get("candidate") != serves or not gate.get("measured"):
        ctx.log(
            f"{rules.release.address} has judged another model since the one that serves was "
            "released: there is nothing to compare with until the next release"
        )
        return found
    measured = unpack(ctx.artifacts.read(rules.release.artifact_at("measured").digest))
    if not found["metrics"]:
        found["rows"] = measured.outcomes.rows
    for metric in wanted:
        figure = by_labels(metric, measured.outcomes, rules.threshold, f"{serves} release")
        found["metrics"] = {**found["metrics"], metric: figure}
    if rules.estimates and not _rests(ctx, rules, serves, found):
        if measured.outcomes.task == "binary":
            found["calibration"] = performance_estimate.calibration(measured.outcomes)
        else:
            found["losses"] = _learned(ctx, rules, serves, measured).model_dump(mode="json")
    return found


def _rests(
    ctx: Context, rules: PerformanceArguments, serves: str, found: Mapping[str, Any]
) -> bool:
    """Tell whether all is known that estimates of a model rest on."""
    if "losses" not in found:
        return "calibration" in found
    about = found["losses"]["about"]
    names = [f["name"] for f in _inputs(ctx, rules, serves)]
    return about["inputs"] == names and set(rules.estimated()) <= set(about["metrics"])


def _inputs(ctx: Context, rules: PerformanceArguments, model: str) -> list[dict[str, str]]:
    """Return the inputs that losses are learned from: those in the log, but no times.

    A time lies always beyond all that was learned from.
    """
    redacted = rules.target.attributes.get("redacted") or ()
    features = known_model(ctx, model)["features"]
    return [
        {"name": f["name"], "type": f["type"]}
        for f in features
        if f["name"] not in redacted and f["type"] != "timestamp"
    ]


def _learned(
    ctx: Context, rules: PerformanceArguments, serves: str, measured: Measured
) -> Artifact:
    """Learn the losses of the rows that the gate held out. Raises ``ResourceError``."""
    assert rules.release is not None, "checked"
    assert rules.data is not None, "checked"
    rows, inputs = Rows(rules.data, rules.split), _inputs(ctx, rules, serves)
    names = [f["name"] for f in inputs]
    rows.check()
    rows.has([*names, measured.target], "data", "which the model takes")
    frame = rows.read(ctx, [*names, measured.target])
    labels = pd.to_numeric(frame[measured.target], errors="coerce").to_numpy(np.float64)
    if not (
        len(labels) == len(measured.labelled)
        and np.array_equal(labels[measured.labelled], measured.outcomes.labels)
    ):
        part = "" if rules.split is None else f'the part "{rules.split}" of '
        detail = (
            f"{part}{rules.data.address} does not have the rows on which {rules.release.address} "
            "judged the model. Write the data and split of the gate."
        )
        raise ResourceError("Not the rows of the gate", detail, argument="data")
    ctx.log("learning how large errors are by the inputs")
    metrics = rules.estimated()
    learned = performance_losses.learn(
        frame.loc[measured.labelled, names], inputs, measured.outcomes, metrics
    )
    made = ctx.artifacts.put_bytes(learned.dumps(), MEDIA_TYPE)
    about = {"inputs": names, "metrics": metrics, "skill": dict(learned.skill)}
    return made.model_copy(update={"about": about})


def guess(
    ctx: Context, part: Part, rules: PerformanceArguments, known: Mapping[str, Any]
) -> Guess | None:
    """Return what can be said of rows without their labels; ``None`` where nothing is known."""
    predictions = np.asarray(part.predictions, dtype=np.float64)
    if "losses" in known:
        losses = _losses(ctx.artifacts.path(known["losses"]["digest"]))
        rows = pd.DataFrame({f["name"]: part.inputs[f["name"]] for f in losses.features})
        expected = losses.of(rows, predictions)
        return Guess(expected, lambda metric, some, _: performance_losses.estimate(metric, some))
    if "calibration" in known:
        believed = performance_estimate.Believed.of(predictions, known["calibration"])
        return Guess(
            believed,
            lambda metric, some, seed: performance_estimate.estimate(
                metric, some, rules.threshold, seed
            ),
        )
    return None


@lru_cache(maxsize=4)
def _losses(path: Path) -> performance_losses.Learned:
    """Load what was learned, once for all windows."""
    return performance_losses.loads(path.read_bytes())
