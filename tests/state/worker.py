"""Processes that use a state, for tests that kill them.

``python -m tests.state.worker ACT URL SCHEMA``.

Each writes a line when something is done, and reads a line where it is to wait.
"""

import json
import os
import resource
import shutil
import signal
import sys
import threading
from pathlib import Path

from sqlalchemy import Engine, event
from tests.state.conftest import make_record

from mlform.address import Address
from mlform.diagnostics import DiagnosedError
from mlform.state import Extent, LockedError, LostLeaseError
from mlform.state.place import open_store


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def hold(store, *part):
    """Hold the lock, or of the part that is given, until told; then write."""
    extent = Extent(frozenset(part)) if part else None
    with store.lock("apply", extent=extent) as lease:
        say("held", lease.fence)
        sys.stdin.readline()
        try:
            say("wrote", store.put(lease, "r", make_record("a" if part else "risk"), {}))
        except LostLeaseError:
            say("lost")


def write(store):
    """Write without end; say each serial once the write is durable."""
    with store.lock("apply") as lease:
        number = 0
        while True:
            number += 1
            name = f"n{number % 7}"
            store.intent(lease, "r", Address("training_job", name), {})
            say(name, number, store.put(lease, "r", make_record(name, number), {}))


def compete(store, mine):
    """Write one record as soon as the lock can be had."""
    say("ready")
    sys.stdin.readline()
    refused = 0
    while True:
        try:
            with store.lock("apply") as lease:
                say(refused, store.put(lease, "r", make_record(mine), {}))
                return
        except LockedError:
            refused += 1
            threading.Event().wait(0.01)


def cramped(store, most):
    """Write until the file may grow no more."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with store.lock("apply") as lease:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
        try:
            for number in range(10_000):
                big = make_record(f"n{number}", arguments={"x": "y" * 5000})
                say("wrote", store.put(lease, "r", big, {}))
        except DiagnosedError as error:
            say("explained", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def crash(file, mutant, old):
    """Fork one process after another; each dies one SQL statement later than the one before.

    The mutant commits each statement by itself; for it, every fourth is enough. What is ``old`` is
    a file of an older version, and only brought up.
    """
    root, point = Path(file).parent, 0
    while True:
        point += 4 if mutant else 3 if old else 1
        folder = root / f"{point:04}"
        folder.mkdir()
        if old:
            shutil.copy(file, folder / "state.db")
        child = os.fork()
        if child == 0:
            try:
                scenario(folder, point, mutant, [] if old else STEPS)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            (folder / "whole").touch()
            return


def scenario(folder, point, mutant, steps):
    left = [point]

    def tick():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def _statement(_connection, _cursor, statement, parameters, _context, _many):
        tick()
        if mutant and statement.startswith("BEGIN"):
            statement = "SELECT 1"
        return statement, parameters

    @event.listens_for(Engine, "commit")
    def _commit(_connection):
        tick()

    store = open_store(f"sqlite:///{folder}/state.db")
    acknowledged = os.open(folder / "acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with store.lock("apply") as lease:
        for step in steps:
            perform(store, lease, step)
            os.write(acknowledged, (json.dumps(step) + "\n").encode())


STEPS = [
    ["put", "a", 1],
    ["put", "b", 1],
    ["put", "a", 2],
    ["outputs", "o", 1],
    ["forget", "b", 0],
    ["alarm", "m", 1],
    ["put", "c", 1],
]


def perform(store, lease, step):
    what, name, value = step
    address = Address("training_job", name)
    match what:
        case "put":
            store.intent(lease, "r", address, {})
            store.put(lease, "r", make_record(name, value), {})
        case "forget":
            store.forget(lease, "r", address, {})
        case "outputs":
            store.put_outputs(lease, "r", {name: {"value": value, "sensitive": False}})
        case "alarm":
            store.raise_alarm(lease, "r", Address("monitor", name), {"value": value})


def main():
    act, url, schema, *more = sys.argv[1:]
    if act == "crash":
        crash(url.removeprefix("sqlite:///"), "mutant" in more, "migration" in more)
        return
    acts = {"hold": hold, "write": write, "compete": compete, "cramped": cramped}
    acts[act](open_store(url, schema=schema or None), *more)


if __name__ == "__main__":
    main()
