"""Worker processes that predict, and micro-batching: what arrives while they compute goes together.

A call of scikit-learn costs milliseconds whether it is of one row or a hundred, so under load
this multiplies throughput, and alone a request waits for nobody. Predicting changes nothing: what
a worker had when it died goes to another, so its death fails no request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import orjson

from mlform.sdk import ResourceError
from mlform_core.serving.protocol import RequestError
from mlform_core.serving.worker import LENGTH, PREDICTED, REFUSED, UNABLE, VIEWED

_MOST_ROWS: Final = 4096
"""Rows predicted at once, unless one request alone has more."""
_MOST_WAITING: Final = 2048
_TRIES: Final = 3
"""Workers that one request may take with it before it is given up."""
_LINGER: Final = 0.1
"""The share of a call's time for which a request waits for others."""
_LONGEST_LINGER: Final = 0.002
_WORTH_SECONDS: Final = 0.004
_GRACE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_THREADS: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Predictions(NamedTuple):
    """The predictions of some rows, one after another, and how many numbers each is.

    ``features``: what a feature view made of the rows, where one did.
    """

    values: list[float]
    width: int
    features: dict[str, list[Any]] | None = None


class OverloadedError(Exception):
    """Too many requests wait already."""


class PredictionError(Exception):
    """The model failed on rows that were well formed."""


class UnableError(Exception):
    """There is no answer to rows that were well formed now; there may be one later."""


@dataclass(eq=False, slots=True)
class Job:
    """The rows of one request."""

    columns: Mapping[str, list[Any]]
    rows: int
    answer: asyncio.Future[Predictions]
    tries: int = 0


class _Link(asyncio.Protocol):
    """The server's end of the socket to one worker."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.jobs: Sequence[Job] = ()
        self.since = 0.0
        """When the rows under way were sent."""
        self.ready: asyncio.Future[None] = pool.loop.create_future()
        self.over: asyncio.Future[None] = pool.loop.create_future()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < LENGTH.size:
            return
        end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) >= end:
            frame = bytes(memoryview(self._buffer)[LENGTH.size : end])
            del self._buffer[:end]
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def send(self, jobs: Sequence[Job], names: Sequence[str]) -> None:
        assert self._transport is not None
        self.jobs, self.since = jobs, self.pool.loop.time()
        if len(jobs) == 1:
            columns: Mapping[str, list[Any]] = jobs[0].columns
        else:
            columns = {n: [v for job in jobs for v in job.columns[n]] for n in names}
        data = orjson.dumps(columns)
        self._transport.write(LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take(self, frame: bytes) -> None:
        if not self.ready.done():
            said = orjson.loads(frame)
            if not said:
                self.ready.set_result(None)
                return
            error = ResourceError(said["summary"], said["detail"], argument=said["argument"])
            self.ready.set_exception(error)
            return
        jobs, self.jobs = self.jobs, ()
        self.pool.answered(self, jobs, frame)


class Pool:
    """Workers with one model. ``restarts`` counts those that died and came again."""

    def __init__(
        self,
        folder: Path,
        view: Path | None,
        inputs: Sequence[str],
        size: int,
        timeout: float,
        *,
        pickle: bool,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.folder, self.timeout, self.restarts = folder, timeout, 0
        self.batches = self.batched = 0
        """Batches predicted, and the rows in them."""
        self.busy = 0.0
        """Seconds that all workers together have computed."""
        self.looked: Counter[tuple[str, str]] = Counter()
        """Rows by input that was looked up, and what came of it."""
        self._view, self._names, self._size, self._pickle = view, inputs, size, pickle
        self._waiting: deque[Job] = deque()
        self._idle: list[_Link] = []
        self._busy: set[_Link] = set()
        self._scheduled = self._closing = False
        self._company, self._linger = 1, 0.0
        """How many went together last, and how long the first of them waits for as many."""
        self._lingering: asyncio.TimerHandle | None = None
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> int:
        """How many workers are ready."""
        return len(self._idle) + len(self._busy)

    @property
    def waiting(self) -> int:
        """How many requests no worker has yet."""
        return len(self._waiting)

    async def start(self) -> None:
        """Start the workers. Raises ``ResourceError`` if one cannot serve."""
        first = [self.loop.create_future() for _ in range(self._size)]
        self._keepers = [self.loop.create_task(self._keep(ready)) for ready in first]
        try:
            await asyncio.gather(*first)
        except BaseException:
            await self.close()
            raise

    async def predict(self, columns: Mapping[str, list[Any]], rows: int) -> Predictions:
        """Return the model's predictions of the rows.

        Raises ``RequestError`` if the rows are at fault, ``PredictionError`` if the model or its
        view is, ``UnableError`` if neither is, and ``OverloadedError`` at once if too many wait.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise OverloadedError
        job = Job(columns, rows, self.loop.create_future())
        self._waiting.append(job)
        self._arrange()
        return await job.answer

    async def close(self) -> None:
        """Answer those who wait, and end the workers, whatever they compute for nobody."""
        self._closing = True
        under_way = (job for link in self._busy for job in link.jobs)
        wanted = [j.answer for j in (*self._waiting, *under_way) if not j.answer.done()]
        if wanted:
            await asyncio.wait(wanted, timeout=self.timeout)
        for link in (*self._idle, *self._busy):
            link.close()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        while self._waiting:
            _fail(self._waiting.popleft(), PredictionError("the server ends"))

    def answered(self, link: _Link, jobs: Sequence[Job], frame: bytes) -> None:
        """Hand out what a worker answered, and give it what waits."""
        self._busy.discard(link)
        self._idle.append(link)
        taken = self.loop.time() - link.since
        self.busy += taken
        # A short call is not worth waiting for: timers count in milliseconds.
        self._company = len(jobs) + len(self._waiting) if taken > _WORTH_SECONDS else 1
        self._linger = min(_LINGER * taken, _LONGEST_LINGER)
        kind, content = frame[:1], memoryview(frame)[1:]
        if kind == PREDICTED:
            self._hand_out(jobs, content)
        elif kind == VIEWED:
            end = LENGTH.size + LENGTH.unpack_from(content)[0]
            features, looked = orjson.loads(content[end:])
            self.looked.update({(name, outcome): n for name, outcome, n in looked})
            self._hand_out(jobs, content[LENGTH.size : end], features)
        elif len(jobs) > 1:
            self._again(jobs)  # one request's bad rows are not the others' fault
        else:
            said = bytes(content).decode(errors="replace")
            for job in jobs:
                _fail(job, _error(kind, said, job.rows))
        if self._waiting:
            self._arrange()

    def _hand_out(
        self,
        jobs: Sequence[Job],
        content: memoryview,
        features: Mapping[str, list[Any]] | None = None,
    ) -> None:
        width = LENGTH.unpack_from(content)[0]
        values: list[Any] = content[LENGTH.size :].cast("d").tolist()
        self.batches += 1
        self.batched += len(values) // width
        start = 0
        for job in jobs:
            end = start + job.rows * width
            if not job.answer.done():
                first, last = start // width, end // width
                own = None if features is None else {n: v[first:last] for n, v in features.items()}
                job.answer.set_result(Predictions(values[start:end], width, own))
            start = end

    def _arrange(self) -> None:
        """See to it that what waits is dispatched, alone or in company.

        Clients that were answered together come back together: those who wait for one another
        for a fraction of a call share the next, where they would else wait for a whole one.
        """
        if len(self._waiting) >= self._company:
            self._schedule()
        elif self._lingering is None:
            self._lingering = self.loop.call_later(self._linger, self._schedule)

    def _schedule(self) -> None:
        """Dispatch once all that has come in by now is read, so that it goes together."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._waiting and self._idle:
            if jobs := self._next():
                link = self._idle.pop()
                self._busy.add(link)
                link.send(jobs, self._names)

    def _next(self) -> list[Job]:
        """Return what is to be predicted together: what was tried before goes alone."""
        jobs: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting[0]
            if job.answer.done():
                self._waiting.popleft()
                continue
            if jobs and (job.tries or rows + job.rows > _MOST_ROWS):
                break
            jobs.append(self._waiting.popleft())
            rows += job.rows
            if job.tries:
                break
        return jobs

    def _again(self, jobs: Sequence[Job]) -> None:
        for job in reversed(jobs):
            job.tries += 1
            if job.tries >= _TRIES:
                _fail(job, PredictionError(f"{_TRIES} workers died of it"))
            else:
                self._waiting.appendleft(job)
        self._schedule()

    async def _keep(self, first: asyncio.Future[None]) -> None:
        """Have one worker run, and another whenever it dies."""
        pause = 0.0
        while True:
            began = self.loop.time()
            try:
                ended = await self._lived(first)
            except (ResourceError, OSError) as error:  # no process to be had now, say
                ended = error
            if self._closing:
                return
            if not first.done():
                told = ResourceError("Server did not start", f"A worker: {ended}.")
                first.set_exception(ended if isinstance(ended, ResourceError) else told)
                return
            self.restarts += 1
            sys.stderr.write(f"A worker: {ended}\n")
            # What lasted may come again at once; what dies at its start must not spin.
            quick = self.loop.time() - began < _LONGEST_PAUSE
            pause = min(max(2 * pause, 0.1), _LONGEST_PAUSE) if quick else 0.0
            await asyncio.sleep(pause)

    async def _lived(self, first: asyncio.Future[None]) -> Exception | str:
        """Have one worker run; return how it ended. ``ResourceError``, ``OSError``."""
        link, process = await self._started()
        try:
            await self._serving(link, process, first)
        finally:
            link.close()
            await _ended(process)
        return f"process {process.pid} ended with {process.returncode}"

    async def _started(self) -> tuple[_Link, asyncio.subprocess.Process]:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as unless_started:
            unless_started.enter_context(ours)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mlform_core.serving.worker"),
                *(str(self.folder), str(theirs.fileno()), str(self._view or "")),
                *(["pickle"] if self._pickle else []),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=_THREADS | os.environ,
            )
            unless_started.pop_all()
        _, link = await self.loop.create_connection(lambda: _Link(self), sock=ours)
        return link, process

    async def _serving(
        self, link: _Link, process: asyncio.subprocess.Process, first: asyncio.Future[None]
    ) -> None:
        """Return when the worker is no more. Raises ``ResourceError`` if it cannot serve."""
        await asyncio.wait((link.ready, link.over), return_when=asyncio.FIRST_COMPLETED)
        if not link.ready.done():
            return
        link.ready.result()
        self._idle.append(link)
        if not first.done():
            first.set_result(None)
        self._schedule()
        try:
            while not link.over.done():
                await asyncio.wait((link.over,), timeout=_GRACE_SECONDS)
                if link.jobs and self.loop.time() - link.since > self.timeout + _GRACE_SECONDS:
                    process.kill()  # those who asked have been told that it took too long
        finally:
            if link in self._idle:
                self._idle.remove(link)
            self._busy.discard(link)
            jobs, link.jobs = link.jobs, ()
            self._again(jobs)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait until a process that was told to end has; make it, if it does not."""
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


def _error(kind: bytes, said: str, rows: int) -> Exception:
    if kind == REFUSED:
        return RequestError(said.splitlines(), rows)
    return UnableError(said) if kind == UNABLE else PredictionError(said)


def _fail(job: Job, error: Exception) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)
