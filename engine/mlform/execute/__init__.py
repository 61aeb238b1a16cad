"""Where a stage runs: a fresh process for each attempt, out of a warm one."""

from mlform.execute.call import found_data
from mlform.execute.local import LocalExecutor
from mlform.execute.task import (
    Executor,
    Failure,
    LogLine,
    Message,
    Method,
    Partial,
    ProgressNote,
    Result,
    Task,
)

__all__ = [
    "Executor",
    "Failure",
    "LocalExecutor",
    "LogLine",
    "Message",
    "Method",
    "Partial",
    "ProgressNote",
    "Result",
    "Task",
    "found_data",
]
