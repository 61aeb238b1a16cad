"""What carries out the work of a command: worker processes, and all that a step needs beside."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from mlform.commands.holding import telling
from mlform.commands.provenance import new_run, provenance
from mlform.commands.session import Session

if TYPE_CHECKING:
    from mlform.address import Address
    from mlform.apply import World
    from mlform.demand import Declared
    from mlform.execute import Executor, LocalExecutor
    from mlform.registry import Offer
    from mlform.sdk import Approval
    from mlform.state.lease import Lease
    from mlform.state.model import Entry
    from mlform.values import Value


def early_workers(count: int) -> LocalExecutor:
    """Return worker processes that begin to load what all of them need, whatever is to be done."""
    from mlform.apply.provider import CONTEXT_FACTORY
    from mlform.execute import LocalExecutor

    executor = LocalExecutor(count, [CONTEXT_FACTORY.partition(":")[0]])
    executor.start()
    return executor


@contextmanager
def workers(
    offers: Iterable[Offer],
    count: int = 1,
    *,
    at_once: bool = False,
    early: LocalExecutor | None = None,
) -> Iterator[LocalExecutor]:
    """Give worker processes that have what these types run with loaded, and end them.

    ``at_once``: loading begins now, not with the first task. ``early`` are such that began to load
    before anybody knew what they are for.
    """
    from mlform.apply.provider import CONTEXT_FACTORY
    from mlform.execute import LocalExecutor

    preload = {m for o in offers if o.target for m in (o.target, *o.resource.preload)}
    executor = early or LocalExecutor(count, [CONTEXT_FACTORY.partition(":")[0]])
    try:
        if preload and at_once:
            executor.start()
        executor.preload(sorted(preload))
        yield executor
    finally:
        executor.close()


@contextmanager
def at_work(
    session: Session,
    lease: Lease,
    local: Executor,
    *,
    secrets: Mapping[str, Value] | None = None,
    approved: Mapping[Address, Sequence[Approval]] | None = None,
    executors: Mapping[str, Declared] | None = None,
    unfinished: Sequence[Entry] = (),
    told: Mapping[str, str] | None = None,
) -> Iterator[tuple[World, threading.Event]]:
    """Give what one run carries out its work with, and the flag that Ctrl-C sets."""
    from mlform.apply import World
    from mlform.execute import Executors
    from mlform.state.lease import LostLeaseError

    session.own.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    executor = Executors(local, executors or {})

    def end() -> None:
        stopping.set()
        executor.kill_all()

    lease.when_lost(end)
    with interrupts(stopping, executor):
        world = World(
            registry=session.registry,
            store=session.store,
            lease=lease,
            executor=executor,
            looker=session.looker,
            local=session.own.resolve(),
            run=new_run(),
            provenance={**provenance(session.root), **(told or {})},
            secrets=secrets or {},
            hold=telling(session),
            approved=approved or {},
            unfinished=unfinished,
        )
        yield world, stopping
    if lease.lost.is_set():
        raise LostLeaseError.of(lease)


@contextmanager
def interrupts(stopping: threading.Event, executor: Executor) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) ask steps to stop, and the second end their processes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    count = 0

    def heard(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1  # a signal may come while one before it sets the flag, whose lock it has
        earlier = before[signal.Signals(number)]
        if callable(earlier) and earlier is not signal.default_int_handler:
            earlier(number, frame)
        if count > 1 or stopping.is_set():
            executor.kill_all()
            return
        stopping.set()
        note = "Stopping: steps end at their next checkpoint. Once more ends their processes.\n"
        os.write(2, note.encode())  # a handler may interrupt a buffered write of the same stream

    for s in before:
        signal.signal(s, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
