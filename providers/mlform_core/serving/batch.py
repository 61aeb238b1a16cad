"""Micro-batching: what arrives while the model computes is predicted together next.

A call of scikit-learn costs milliseconds whether it is of one row or a hundred, so under load
this multiplies throughput, and alone a request waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlform_core.serving.protocol import RequestError
from mlform_core.serving.revision import Revision

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MOST_ROWS: Final = 4096
"""Rows predicted at once, unless one request alone has more."""
_MOST_WAITING: Final = 2048


class OverloadedError(Exception):
    """Too many requests wait already."""


class PredictionError(Exception):
    """The model failed on rows that were well formed."""


@dataclass(frozen=True, eq=False)
class Job:
    """The rows of one request, and the revision that was current when it came."""

    revision: Revision
    columns: Mapping[str, list[Any]]
    rows: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[npt.NDArray[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer", self.loop.create_future())


class Batcher:
    """Predicts in a thread of its own."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._held: Job | None = None
        self._thread = threading.Thread(target=self._run, name="predict", daemon=True)
        self._thread.start()

    async def predict(
        self, revision: Revision, columns: Mapping[str, list[Any]], rows: int
    ) -> npt.NDArray[np.float64]:
        """Return the model's predictions of the rows.

        Raises ``RequestError`` if the rows are at fault, ``PredictionError`` if the model is, and
        ``OverloadedError`` at once if too many wait.
        """
        if self._jobs.qsize() >= _MOST_WAITING:
            raise OverloadedError
        job = Job(revision, columns, rows, asyncio.get_running_loop())
        self._jobs.put(job)
        return await job.answer

    def close(self) -> None:
        """Predict what waits, and end."""
        self._jobs.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while jobs := self._next():
            _settle(jobs)

    def _next(self) -> list[Job]:
        """Return what is to be predicted together; nothing at the end."""
        first = self._held or self._jobs.get()
        self._held = None
        if first is None:
            return []
        jobs, rows = [first], first.rows
        while rows < _MOST_ROWS:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            if job.revision is not first.revision or rows + job.rows > _MOST_ROWS:
                self._held = job
                break
            jobs.append(job)
            rows += job.rows
        return jobs


def _settle(jobs: Sequence[Job]) -> None:
    waiting = [j for j in jobs if not j.answer.cancelled()]
    if not waiting:
        return
    try:
        found = _predict(waiting)
    except Exception as error:  # noqa: BLE001 - a model is foreign code: it may raise anything
        if len(waiting) > 1:  # so that one request's bad rows are not the others' fault
            for job in waiting:
                _settle([job])
        else:
            _hand_over(waiting, [_blame(error, waiting[0].rows)])
        return
    _hand_over(waiting, found)


def _predict(jobs: Sequence[Job]) -> list[npt.NDArray[np.float64]]:
    import pandas as pd

    revision = jobs[0].revision
    columns = {
        f["name"]: [v for job in jobs for v in job.columns[f["name"]]]
        for f in revision.model.meta["features"]
    }
    predicted = revision.model.predict(pd.DataFrame(columns))
    found, start = [], 0
    for job in jobs:
        found.append(predicted[start : start + job.rows])
        start += job.rows
    return found


def _blame(error: Exception, rows: int) -> Exception:
    if isinstance(error, ValueError):
        return RequestError(str(error).splitlines(), rows)
    traceback.print_exception(error, file=sys.stderr)
    return PredictionError(f"{type(error).__name__}: {error}")


def _hand_over(jobs: Sequence[Job], results: Sequence[Any]) -> None:
    def give() -> None:
        for job, result in zip(jobs, results, strict=True):
            if job.answer.done():
                continue
            if isinstance(result, Exception):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)

    # The loop is closed if the server ended without waiting for these.
    with contextlib.suppress(RuntimeError):
        jobs[0].loop.call_soon_threadsafe(give)
