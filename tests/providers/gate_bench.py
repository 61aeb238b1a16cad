"""Tables and models that gates are tried on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from mlform.sdk import Handle, Stored
from mlform.sdk.testing import FakeContext
from mlform_core import models, tables
from mlform_core.gate import Evaluation, EvaluationArguments

TYPES = {"f": "float64", "i": "int64", "b": "bool"}


class Bench:
    """A spec's worth of handles: tables and models in one artifact store."""

    def __init__(self, base: Path) -> None:
        self.ctx = FakeContext(base)
        self.base = base

    def table(self, frame: pd.DataFrame, address: str = "feature_view.cells") -> Handle:
        artifact = tables.write_table(self.ctx, frame)
        splits = frame["_split"].value_counts().to_dict() if "_split" in frame else {}
        columns = {n: TYPES.get(d.kind, "string") for n, d in frame.dtypes.items() if n != "_split"}
        attributes = {
            "partitions": {"all": artifact.model_dump(mode="json")},
            "columns": columns,
            "rows": len(frame),
            "splits": splits,
            "time": None,
            "key": [],
        }
        return Handle(address=address, digest=artifact.digest, attributes=attributes)

    def model(self, fitted, frame, features, target, task, address="training_job.cells") -> Handle:
        classes = None if task == "regression" else fitted.classes_.tolist()
        meta = {
            "format": "skops",
            "task": task,
            "target": target,
            "classes": classes,
            "features": [{"name": n, "type": TYPES[frame[n].dtype.kind]} for n in features],
            "framework": "scikit-learn",
            "framework_version": sklearn.__version__,
        }
        name = hashlib.sha256(repr((address, features, fitted.get_params())).encode()).hexdigest()
        folder = self.base / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        path = models.save(fitted, meta, {}, folder, pickle_allowed=False)
        artifact = self.ctx.artifacts.put_file(path, "application/vnd.mlform.model")
        return Handle(address=address, attribute="model", digest=artifact.digest, artifact=artifact)

    def apply(self, old=None, **written):
        new = EvaluationArguments.model_validate(written)
        return Stored(new, Evaluation().apply(self.ctx, new, old))


def cells() -> pd.DataFrame:
    """Breast cancer: every second row is held out; ``site`` and ``sex`` are made up."""
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [c.replace(" ", "_") for c in frame.columns]
    frame["site"] = np.where(np.arange(len(frame)) % 7 < 3, "north", "south")
    frame["sex"] = np.where(frame["mean_texture"] > 19, "x", "y")
    frame["_split"] = np.where(np.arange(len(frame)) % 2 == 0, "train", "holdout")
    return frame


FRAME = cells()
STRONG = ["mean_radius", "mean_texture", "mean_concavity", "worst_smoothness"]
WEAK = ["mean_smoothness", "mean_symmetry"]


def logistic(features, **parameters):
    train = FRAME[FRAME["_split"] == "train"]
    return LogisticRegression(max_iter=5000, **parameters).fit(train[features], train["target"])
