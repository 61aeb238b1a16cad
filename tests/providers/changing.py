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
