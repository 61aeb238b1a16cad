"""Where a stage runs: a process for each attempt, here or as a job of an engine."""

from mlform.execute.attempt import new_id, succeeded
from mlform.execute.call import found_data
from mlform.execute.engine import RefusedError, UnreachableError
from mlform.execute.executors import Executors
from mlform.execute.local import LocalExecutor
from mlform.execute.machine import capacity, gpus
from mlform.execute.task import (
    MOST_AHEAD,
    Executor,
    Failure,
    LogLine,
    Message,
    Method,
    Partial,
    ProgressNote,
    Result,
    Submitted,
    Task,
)

__all__ = [
    "MOST_AHEAD",
    "Executor",
    "Executors",
    "Failure",
    "LocalExecutor",
    "LogLine",
    "Message",
    "Method",
    "Partial",
    "ProgressNote",
    "RefusedError",
    "Result",
    "Submitted",
    "Task",
    "UnreachableError",
    "capacity",
    "found_data",
    "gpus",
    "new_id",
    "succeeded",
]
