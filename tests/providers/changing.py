"""What is changed of every type of dataset, and where it is carried out: in this process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.engine.world import Inline

from mlform.execute import Result, Task
from mlform.testing.changes import Changed

CODE = """
from pathlib import Path

import pandas as pd

def rows(part=None, more=0):
    frame = pd.read_csv(Path(__file__).with_name("d.csv"))
    return frame.assign(y=frame["y"] + more)

def again(part=None, more=0):
    return rows(part, more).iloc[:80]

def token(more=0):
    return {"one": 1, "two": 2}

def build(frame, other=None, more=0):
    return frame[["x", "y"]] * 2 + more

def double(frame, other=None, more=0):
    return frame[["x", "y"]] * 3 + more

def counted(frame, more=0):
    return {"rows": len(frame) + more}

def counted_again(frame, more=0):
    return {"rows": len(frame) + more, "columns": frame.shape[1]}

def counted_by(model, frame, more=0):
    whole = frame.assign(id=0, g="a", t=pd.Timestamp("2024-01-01"))
    return {"rows": len(frame) + more, "mean": model.predict(whole).mean()}

def fit(job):
    from sklearn.linear_model import Ridge
    X, y = job.read()
    return Ridge().fit(X, y)

def fit_more(job):
    return fit(job)

def fit_rows(X, y, params, seed):
    from sklearn.linear_model import Ridge
    return Ridge().fit(X, y)
"""
SPLIT = '{ by = "hash", on = ["id"], parts = { train = 0.6, holdout = 0.4 } }'
TOLD = {"owner": '"team"', "description": '"what it is"'}
DATASET: Mapping[str, Changed] = {
    "key": '["id"]',
    "columns": '["id", "g", "t", "x", "y"]',
    "time": '"t"',
    "window": '{ last = "25d", until = "2024-01-27", column = "t" }',
    "split": SPLIT,
    "schema": '{ x = "int64" }',
    "expect": "{ rows_min = 2 }",
    **TOLD,
}
PINNED: Mapping[str, Changed] = {"version": '{ mode = "pin" }'}


class Roomy(Inline):
    """Runs stages here, each with an empty working folder."""

    def run(self, task: Task, on_message: Any, stop: threading.Event) -> Result:
        folder = Path(task.context["workdir"])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return super().run(task, on_message, stop)
