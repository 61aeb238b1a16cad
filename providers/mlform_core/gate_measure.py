"""What a model predicts on the rows a gate looks at: measured once, judged as often as asked."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlform.sdk import Artifact, Context, Handle, ResourceError
from mlform_core.metrics import Floats, Outcomes
from mlform_core.models import Model, columns_of, load
from mlform_core.naming import absent, no_part
from mlform_core.tables import SPLIT, read_table

VERSION = 1
"""Raise it when equal models and data are measured differently."""
_CHUNK = 100_000


@dataclass(frozen=True)
class Rows:
    """The rows a gate looks at: a table, and which part of it."""

    data: Handle
    split: str | None

    def check(self) -> None:
        """Raise ``ResourceError`` if the table has no such part, or the part no rows."""
        splits: dict[str, int] = self.data.attributes.get("splits") or {}
        if self.split is None:
            return
        if detail := no_part(self.data, self.split):
            raise ResourceError("Unknown part", detail, argument="split")
        if splits[self.split] == 0:
            address = self.data.address
            detail = f'The part "{self.split}" of {address} has no rows to judge a model on.'
            raise ResourceError("Empty split", detail, argument="split")

    def has(self, columns: Sequence[str], argument: str, why: str) -> None:
        """Raise ``ResourceError`` for every column the table does not have."""
        if detail := absent(self.data, columns, why):
            raise ResourceError("Column not found", detail, argument=argument)

    def read(self, ctx: Context, columns: Sequence[str]) -> pd.DataFrame:
        """Return the columns of these rows, always in the same order."""
        frame: pd.DataFrame = read_table(ctx, self.data, list(columns), self.split)
        return frame


@dataclass(frozen=True)
class Measured:
    """Labels and predictions of one model on ``Rows``; ``labelled`` says which rows have a label.

    ``classes`` are the target's values, in the order of codes and of prediction columns; empty
    for regression. ``outcomes`` has only rows with a label.
    """

    target: str
    classes: tuple[Any, ...]
    labelled: npt.NDArray[np.bool_]
    outcomes: Outcomes
    stored: Artifact | None = None
    """The same in the artifact store: what ``unpack`` takes."""


def measure(
    ctx: Context,
    model: Artifact,
    rows: Rows,
    argument: str,
    *,
    allow_pickle: bool,
    trouble: tuple[str, float] | None = None,
) -> Measured:
    """Return what ``model`` predicts on ``rows``, computing it only if nobody has before.

    ``trouble``: what the inputs are disturbed by, and how much.
    """
    columns = columns_of(model)
    data = rows.data.digest if columns is None else rows.data.digest_of(columns | {SPLIT})
    what: dict[str, Any] = {
        "measure": model.digest,
        "data": data,
        "split": rows.split,
        "version": VERSION,
    }
    if trouble is not None:
        what["trouble"] = list(trouble)

    def make() -> bytes:
        return _pack(*_predict(ctx, model, rows, argument, trouble, allow_pickle=allow_pickle))

    made = ctx.memo(what, make)
    return replace(unpack(ctx.artifacts.read(made.digest)), stored=made)


def opened(ctx: Context, artifact: Artifact, argument: str, *, allow_pickle: bool) -> Model:
    """Load a model. Raises ``ResourceError``."""
    try:
        path = ctx.artifacts.path(artifact.digest)
    except KeyError:
        detail = f"The model {artifact.digest} is no longer in the artifact store."
        raise ResourceError("Model not found", detail, argument=argument) from None
    return load(path, allow_pickle=allow_pickle)


def _predict(
    ctx: Context,
    artifact: Artifact,
    rows: Rows,
    argument: str,
    trouble: tuple[str, float] | None,
    *,
    allow_pickle: bool,
) -> tuple[dict[str, Any], Floats, Floats]:
    model = opened(ctx, artifact, argument, allow_pickle=allow_pickle)
    meta = dict(model.meta)
    target, features = str(meta["target"]), [str(f["name"]) for f in meta["features"]]
    rows.has([target], "data", "the target of the model")
    rows.has(features, argument, "which the model needs")
    frame = rows.read(ctx, list(dict.fromkeys([*features, target])))
    given = frame[features]
    if trouble is not None:
        from mlform_core.gate_robustness import disturbed

        types = {str(f["name"]): str(f["type"]) for f in meta["features"]}
        given = disturbed(given, types, *trouble)
    predictions = _in_chunks(ctx, model, given, argument)
    if meta["task"] == "regression":
        classes: list[Any] = []
        labels = pd.to_numeric(frame[target]).to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        classes, labels = coded(frame[target], meta["classes"])
        predictions = _checked(meta, classes, predictions, rows)
    about = {"task": meta["task"], "target": target, "classes": classes}
    return about, labels, predictions


def _in_chunks(ctx: Context, model: Model, frame: pd.DataFrame, argument: str) -> Floats:
    parts = []
    for start in range(0, len(frame), _CHUNK):
        ctx.progress(start, len(frame), "predicting")
        chunk = frame.iloc[start : start + _CHUNK]
        try:
            parts.append(np.asarray(model.predict(chunk), dtype=np.float64))
        except ValueError as error:
            raise ResourceError("Model cannot predict", str(error), argument=argument) from error
    predictions = np.concatenate(parts)
    if bad := int((~np.isfinite(predictions)).reshape(len(frame), -1).any(axis=1).sum()):
        detail = f"The model predicts no finite number for {bad} of {len(frame)} rows."
        raise ResourceError("Model cannot predict", detail, argument=argument)
    return predictions


def coded(labels: pd.Series[Any], known: Sequence[Any]) -> tuple[list[Any], Floats]:
    """Return the classes, those the model does not know last, and each row's code or NaN."""
    codes, values = pd.factorize(labels)
    present = [v.item() if isinstance(v, np.generic) else v for v in values]
    unseen = sorted((v for v in present if v not in known), key=str)
    classes = [*known, *unseen]
    place = np.array([*(classes.index(v) for v in present), np.nan], dtype=np.float64)
    return classes, place[codes]


def _checked(meta: dict[str, Any], classes: list[Any], predictions: Floats, rows: Rows) -> Floats:
    """Give classes the model does not know the probability 0; binary models cannot have any."""
    extra = len(classes) - len(meta["classes"])
    if not extra:
        return predictions
    if meta["task"] == "binary":
        unknown = ", ".join(repr(c) for c in classes[-extra:])
        known = " and ".join(repr(c) for c in meta["classes"])
        detail = (
            f'The target "{meta["target"]}" has the value {unknown} in {rows.data.address}, '
            f"but the model was trained to tell {known} apart."
        )
        raise ResourceError("Unknown target value", detail, argument="data")
    return np.column_stack([predictions, np.zeros((len(predictions), extra))])


def _pack(about: dict[str, Any], labels: Floats, predictions: Floats) -> bytes:
    """Return the measurement as bytes that depend on nothing else."""
    head = json.dumps(about, sort_keys=True).encode()
    file = io.BytesIO()
    for array in (np.frombuffer(head, dtype=np.uint8), labels, predictions):
        np.lib.format.write_array(file, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return file.getvalue()


def unpack(data: bytes) -> Measured:
    """Return what was measured, as it was stored."""
    file = io.BytesIO(data)
    head, labels, predictions = (
        np.lib.format.read_array(file, allow_pickle=False) for _ in range(3)
    )
    about = json.loads(head.tobytes())
    labelled = np.isfinite(labels)
    outcomes = Outcomes(about["task"], labels[labelled], predictions[labelled])
    return Measured(about["target"], tuple(about["classes"]), labelled, outcomes)


def align(candidate: Measured, baseline: Measured) -> tuple[Measured, Measured]:
    """Bring two measurements of the same rows to the same classes.

    Raises ``ResourceError`` if the models do not answer the same question.
    """
    ours, theirs = candidate.outcomes, baseline.outcomes
    if (candidate.target, ours.task) != (baseline.target, theirs.task):
        detail = (
            f'The candidate predicts "{candidate.target}" ({ours.task}), the baseline '
            f'"{baseline.target}" ({theirs.task}). Write baseline = null to start anew.'
        )
        raise ResourceError("Baseline of another kind", detail, argument="baseline")
    if candidate.classes == baseline.classes:
        return candidate, baseline
    if ours.task == "binary":
        names = [" and ".join(repr(c) for c in m.classes) for m in (candidate, baseline)]
        detail = (
            f"The candidate tells {names[0]} apart, the baseline {names[1]}. "
            "Write baseline = null to start anew."
        )
        raise ResourceError("Baseline of another kind", detail, argument="baseline")
    new = (c for c in baseline.classes if c not in candidate.classes)
    union = (*candidate.classes, *new)
    return _recoded(candidate, union), _recoded(baseline, union)


def _recoded(measured: Measured, classes: tuple[Any, ...]) -> Measured:
    place = np.array([classes.index(c) for c in measured.classes], dtype=np.intp)
    before = measured.outcomes
    predictions = np.zeros((before.rows, len(classes)))
    predictions[:, place] = before.predictions
    labels = place[before.labels.astype(np.intp)].astype(np.float64)
    outcomes = Outcomes(before.task, labels, predictions)
    return replace(measured, classes=classes, outcomes=outcomes)
