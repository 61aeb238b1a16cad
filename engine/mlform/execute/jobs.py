"""Stages as jobs of an engine: submitted, followed by the files they write, taken up again."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlform.demand import Demand
from mlform.execute.attempt import Attempt, NotStartedError, opened, write_once
from mlform.execute.engine import (
    OVER,
    Engine,
    Handle,
    Job,
    RefusedError,
    State,
    Status,
    UnreachableError,
)
from mlform.execute.local import GRACE, timed_out
from mlform.execute.log import Lines, Tail
from mlform.execute.task import (
    Failure,
    LogLine,
    Message,
    Partial,
    ProgressNote,
    Result,
    Submitted,
    Task,
)

START: Final = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[1])
request = folder / "request.json"
if request.exists():
    sys.path[:] = json.loads(request.read_bytes())["path"]
from mlform.execute.runner import main
main(folder, *sys.argv[2:])
"""
_FIRST_LOOK: Final = 0.02
_SETTLING: Final = 3.0
"""Seconds that a file written on another machine may take to be seen here."""
_QUIET: Final = 10.0
"""Seconds without a sign of life after which a job that its engine lost is believed dead."""


@dataclass(frozen=True)
class Manners:
    """How an executor treats its engine."""

    name: str
    python: str = ""
    """The interpreter over there; empty: this one, with what it has."""
    jobs: int = 16
    """How many go on at once."""
    every: float = 1.0
    """Seconds between questions about one job."""
    queue_timeout: float | None = None
    """Seconds that a job may wait to begin."""
    patience: float = 600.0
    """Seconds that an engine may be out of reach before a job is left to itself."""


class JobExecutor:
    """Runs stages as jobs of an engine. See ``Executor``."""

    def __init__(self, engine: Engine, manners: Manners) -> None:
        self._engine, self._manners = engine, manners
        self._slots = threading.BoundedSemaphore(manners.jobs)
        self._killed = threading.Event()

    def run(
        self, task: Task, on_message: Callable[[Message], None], stop: threading.Event
    ) -> Result:
        """Have ``task`` run as a job, and wait for its end."""
        while not self._slots.acquire(timeout=0.1):
            if stop.is_set():
                return Result(cancelled=True)
        try:
            attempt = opened(Path(task.context["workdir"]), task.attempt)
            if stop.is_set() and task.handle is None:
                return Result(cancelled=True)
            following = _Following(self, task, attempt, on_message, stop)
            return following.run()
        except NotStartedError as error:
            return Result(error=Failure("No job", str(error)))
        finally:
            self._slots.release()

    def end(self, attempt: Attempt, root: Path, handle: Handle | None) -> None:
        """End an attempt that nobody wants. Raises ``UnreachableError`` or ``RefusedError``."""
        if not attempt.folder.is_dir() or attempt.ended() is not None:
            return
        attempt.asked_to_stop.touch()
        attempt.drop_request()
        if handle is None:
            if attempt.claim({}):
                return  # It never began, and no job of it that still waits can begin it now.
            # It was killed before it could note the handle; the same id finds the same job.
            handle = self._engine.submit(self._job(attempt, root, Demand()))
        self.cancel(attempt, handle)

    def cancel(self, attempt: Attempt, handle: Handle) -> None:
        """End the job of an attempt, and the one that carries it out if that is another."""
        attempt.claim({})
        self._engine.cancel(handle, GRACE)
        if (owner := _owner(attempt, handle)) != handle:
            self._engine.cancel(owner, GRACE)

    def ahead(self) -> int:
        """Return none: no job is over within moments."""
        return 0

    def kill_all(self) -> None:
        """End everything that runs at once."""
        self._killed.set()

    def close(self) -> None:
        """Nothing is held here."""

    @property
    def killed(self) -> bool:
        """Whether all is to end at once."""
        return self._killed.is_set()

    @property
    def engine(self) -> Engine:
        """What runs the jobs."""
        return self._engine

    @property
    def manners(self) -> Manners:
        """How it is treated."""
        return self._manners

    def job(self, task: Task, attempt: Attempt) -> Job:
        """Return what an engine is to run for an attempt."""
        return self._job(attempt, Path(task.context["root"]), task.demand)

    def _job(self, attempt: Attempt, root: Path, demand: Demand) -> Job:
        command = [self._manners.python or sys.executable]
        # An interpreter of its own has what it needs; ours is told where ours is.
        if self._manners.python:
            command += ["-m", "mlform.execute.runner"]
        else:
            command += ["-P", "-c", START]
        return Job(attempt.id, (*command, str(attempt.folder)), attempt.folder, root, demand)


class _Following:
    """One job from here: what it writes, what its engine says, when it is to end."""

    def __init__(
        self,
        executor: JobExecutor,
        task: Task,
        attempt: Attempt,
        on_message: Callable[[Message], None],
        stop: threading.Event,
    ) -> None:
        self.executor, self.engine, self.manners = executor, executor.engine, executor.manners
        self.task, self.attempt, self.stop = task, attempt, stop
        self.on_message = on_message
        self.tail, self.told = Tail(attempt.log), Lines(attempt.told)
        self.began = time.monotonic()
        self.running: float | None = None
        self.heard = self.began
        self.last = State.PENDING
        self.asked = self.stray = False
        self.why = ""
        """What its engine last said of why it is not there yet."""

    def run(self) -> Result:
        """Submit the job, if nobody did before, and return what it comes to."""
        handle = self.task.handle
        try:
            if self.attempt.ended() is None and handle is None:
                handle = self._submit()
                if handle is None:
                    return Result(cancelled=True)
                self.on_message(Submitted(handle))
                self.say(f"submitted to {self.manners.name} as {_named(handle, self.attempt)}")
            elif self.attempt.ended() is None:
                self.say(f"still runs on {self.manners.name}: going on with {self.attempt.id}")
            result = self._follow(handle)
        except RefusedError as error:
            result = Result(error=Failure("Job refused", f"{self.manners.name}: {error}"))
        except UnreachableError as error:
            result = self._left(str(error))
        if not result.open:
            self.attempt.drop_request()
            self.attempt.tidy()
        return replace(result, seconds=time.monotonic() - self.began, log=self.attempt.log)

    def _submit(self) -> Handle | None:
        self.attempt.write_request(self.task)
        job = self.executor.job(self.task, self.attempt)
        pause = 0.5
        while True:
            try:
                return self.engine.submit(job)
            except UnreachableError as error:
                # It may have heard: asking again with the same id makes no second job.
                if self.stop.is_set() or self._out_of_reach(str(error)):
                    raise
            self.stop.wait(pause)
            pause = min(pause * 2, 10.0)

    def _follow(self, handle: Handle | None) -> Result:
        looked, pause = 0.0, _FIRST_LOOK
        while True:
            ended = self.attempt.ended()
            self._listen(last=ended is not None)
            if ended is not None:
                result = self.attempt.result("", killed=False)
                return replace(result, timed_out=bool(ended.get("timed_out")))
            assert handle is not None, "what did not end was submitted"
            now = time.monotonic()
            if now - looked >= min(self.manners.every, 10 * pause):
                looked = now
                handle = self._carried_out(handle)
                status = self.engine.poll(handle)
                if (judged := self._judge(handle, status)) is not None:
                    return judged
            if (over := self._ending(handle)) is not None:
                return over
            self.stop.wait(pause) if not self.stop.is_set() else time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def _judge(self, handle: Handle, status: Status) -> Result | None:
        """Take the word of the engine for what it is worth."""
        if status.state is State.UNKNOWN:
            return self._left(status.why) if self._out_of_reach(status.why) else None
        if self.last is State.UNKNOWN:
            self.say(f"{self.manners.name} answers again")
        self.heard, self.last, self.why = time.monotonic(), status.state, status.why
        if status.state is State.RUNNING and self.running is None:
            self.running = time.monotonic()
        if status.state in OVER:
            return self._over(handle, status)
        return None

    def _carried_out(self, handle: Handle) -> Handle:
        """Return what to follow: the job that has the attempt, whichever was submitted last."""
        if (owner := _owner(self.attempt, handle)) != handle:
            self.say(f"{self.attempt.id} is carried out by {_named(owner, self.attempt)}")
        return owner

    def _over(self, handle: Handle, status: Status) -> Result | None:
        """Return what is there of a job that its engine says is over.

        ``None`` where that is not the end of the attempt: another job has it, or the job lives.
        """
        if self.attempt.folder.is_dir() and self.attempt.ended() is None:
            free = self.attempt.claim({})  # no job that still waits can begin it from here on
            if not free and (
                self.attempt.claimed() is None
                or _owner(self.attempt, handle) != handle
                or self._lives(status)
            ):
                return None
        self._listen(last=True)
        if (ended := self.attempt.ended()) is not None:
            found = self.attempt.result("", killed=False)
            return replace(found, timed_out=bool(ended.get("timed_out")))
        said = status.why or f"{self.manners.name} says that it {status.state}."
        how = f"The job on {self.manners.name} left no result. {said}"
        if words := self.engine.logs(handle):
            how += f" It said:\n{words}\n"
        with contextlib.suppress(OSError):
            # What is lost stays lost: a result that comes later is refused, since this one stands.
            write_once(self.attempt.folder, {"lost": how}, durable=True)
            self.attempt.asked_to_stop.touch()
        return self.attempt.result(how, killed=self.executor.killed)

    def _lives(self, status: Status) -> bool:
        """Tell whether a job shows a sign of life, though its engine says that it is over."""
        lost = status.state is State.LOST
        deadline = time.monotonic() + (_QUIET if lost else _SETTLING)
        beaten = self.attempt.beaten()
        while self.attempt.ended() is None and time.monotonic() < deadline:
            if self.attempt.beaten() != beaten:
                if not self.stray:
                    self.stray = True
                    self.say(f"{self.attempt.id} still shows signs of life: {status.why}")
                return True
            time.sleep(0.05)
        return False

    def _ending(self, handle: Handle) -> Result | None:
        """End the job where it is to end and does not by itself."""
        if self.stop.is_set() and not self.asked:
            self.asked = True
            with contextlib.suppress(OSError):
                self.attempt.asked_to_stop.touch()
        if self.stop.is_set() and self.executor.killed:
            return self._cancelled(handle, Result(cancelled=True))
        now, demand = time.monotonic(), self.task.demand
        queued = self.manners.queue_timeout
        waits = self.running is None and self.last is State.PENDING
        if waits and queued is not None and now - self.began > queued:
            detail = (
                f"It waited longer than the {queued:g} s of {self.manners.name}'s queue_timeout "
                f"and never began. {self.why}".rstrip()
                + " Ask for less, or raise queue_timeout."
            )
            return self._cancelled(handle, Result(error=Failure("Never began", detail)))
        # The job ends itself when its time is up; this is for one that cannot.
        allowed = None if demand.timeout is None else demand.timeout + 3 * GRACE
        if self.running is not None and allowed is not None and now - self.running > allowed:
            return self._cancelled(handle, timed_out(demand))
        return None

    def _cancelled(self, handle: Handle, result: Result) -> Result:
        self.executor.cancel(self.attempt, handle)
        if self.stray and self._lives(Status(State.LOST)):
            raise UnreachableError("It does not know the job any more, which still runs.")
        self._listen(last=True)
        # It may have come off in the last moment.
        return result if self.attempt.ended() is None else self.attempt.result("", killed=False)

    def _out_of_reach(self, why: str) -> bool:
        """Note that the engine does not answer; tell whether that is for too long."""
        if self.last is not State.UNKNOWN:
            self.say(f"{self.manners.name} does not answer ({why}); the job may go on: waiting")
        self.last = State.UNKNOWN
        return time.monotonic() - self.heard > self.manners.patience or self.executor.killed

    def _left(self, why: str) -> Result:
        lost = (
            f"{self.manners.name} cannot be reached: {why} Job {self.attempt.id} may still be "
            "running. Apply again once it answers: the job is gone on with, not run twice."
        )
        return Result(lost=lost, open=True)

    def _listen(self, *, last: bool = False) -> None:
        for line in self.tail.lines(last=last):
            self.on_message(line)
        for text in self.told.read():
            data: dict[str, Any] = json.loads(text)
            if "progress" in data:
                self.on_message(ProgressNote(*data["progress"]))
            elif "partial" in data:
                self.on_message(Partial(data["partial"]))

    def say(self, text: str) -> None:
        """Tell the user one line."""
        self.on_message(LogLine(text))


def _owner(attempt: Attempt, handle: Handle) -> Handle:
    job = (attempt.claimed() or {}).get("job")
    return {**handle, "job": job} if job else handle


def _named(handle: Handle, attempt: Attempt) -> str:
    return f"job {handle['job']}" if "job" in handle else attempt.id
