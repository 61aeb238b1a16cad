"""Engines broken on purpose, one way each: what the tests cannot tell from the real one, they miss.

A mutant is a function that breaks this process; it is called in a fork that ends soon.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from unittest import mock

from sqlalchemy import Engine, event

from mlform import files
from mlform.apply import pulling, run, step
from mlform.artifacts import LocalStore
from mlform.failpoints import failpoint
from mlform.plan.pulled import pins_after
from mlform.refresh import pins
from mlform.sdk import Artifact
from mlform.state import fencing, journal, lock
from mlform.state.database import Database
from mlform.state.store import SqlStore

Mutant: TypeAlias = Callable[[], None]


def row_before_object() -> None:
    """The state names an artifact before its bytes are in the store."""
    waiting: list[Callable[[], object]] = []
    real_put, real_bytes = SqlStore.put, LocalStore.put_bytes

    def put_bytes(self: LocalStore, data: bytes, media_type: str = "") -> Artifact:
        waiting.append(lambda: real_bytes(self, data))
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return Artifact(digest=digest, size=len(data), media_type=media_type)

    def put(self: SqlStore, *args: Any) -> int:
        serial = real_put(self, *args)
        while waiting:
            waiting.pop(0)()
        return serial

    LocalStore.put_bytes, SqlStore.put = put_bytes, put  # type: ignore[method-assign,assignment]


def object_in_place() -> None:
    """The bytes of an artifact are written under the name they are found by."""

    def put(self: LocalStore, source: io.BufferedIOBase, media_type: str) -> Artifact:
        data = source.read()
        name = hashlib.sha256(data).hexdigest()
        target = self._object(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            _in_halves(sink, data)
        return Artifact(digest=f"sha256:{name}", size=len(data), media_type=media_type)

    LocalStore._put = put  # type: ignore[method-assign,assignment]


def _in_halves(sink: Any, data: bytes) -> None:
    sink.write(data[: len(data) // 2])
    sink.flush()
    failpoint("file.written")
    sink.write(data[len(data) // 2 :])


def pins_in_place() -> None:
    """The lock file of pinned versions is written where it is."""

    def write_file(path: Path, data: bytes) -> None:
        with path.open("wb") as sink:
            _in_halves(sink, data)

    pins.write_file = files.write_file = write_file  # type: ignore[attr-defined]


def no_transactions() -> None:
    """Each statement is committed by itself."""

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def _statement(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any
    ) -> tuple[str, Any]:
        return ("SELECT 1" if statement.startswith("BEGIN") else statement), parameters


def no_intent() -> None:
    """Nothing is journalled before a side effect."""
    SqlStore.intent = lambda *_: None  # type: ignore[method-assign]


def intent_after_effect() -> None:
    """What is about to happen is journalled once it has."""
    waiting: list[Callable[[], object]] = []
    intent, call = SqlStore.intent, step.call
    SqlStore.intent = lambda *args: waiting.append(  # type: ignore[method-assign]
        lambda: intent(*args)
    )

    def late(*args: Any, **more: Any) -> Any:
        found = call(*args, **more)
        while waiting:
            waiting.pop(0)()
        return found

    step.call = late  # type: ignore[assignment]


def record_in_memory() -> None:
    """Records are written when the run is over, all at once."""
    put, outputs = SqlStore.put, SqlStore.put_outputs
    waiting: list[Callable[[], object]] = []

    def later(*args: Any) -> int:
        waiting.append(lambda: put(*args))
        return 0

    def flush(*args: Any) -> None:
        while waiting:
            waiting.pop(0)()
        outputs(*args)

    SqlStore.put, SqlStore.put_outputs = later, flush  # type: ignore[method-assign]


def journal_apart() -> None:
    """The record is written in one transaction, its journal entry in another."""
    extend, writing = journal.extend, Database.writing
    late: list[Callable[[Any], object]] = []

    def later(_connection: Any, *args: Any) -> None:
        late.append(lambda connection: extend(connection, *args))

    @contextmanager
    def both(self: Database) -> Iterator[Any]:
        with writing(self) as connection:
            yield connection
        while late:
            with writing(self) as connection:
                late.pop(0)(connection)

    journal.extend = later
    Database.writing = both  # type: ignore[method-assign]


def pins_after_move() -> None:
    """Records are renamed before the pins that go with them."""
    real = run.read_pins
    run.read_pins = lambda _root: {}
    moved = run._moved

    def late(plan: Any, snapshot: Any, world: Any) -> Any:
        found = moved(plan, snapshot, world)
        if plan.moves:
            failpoint("apply.moving")
            names = {run.Address.parse(a): run.Address.parse(b) for a, b in plan.moves.items()}
            run.write_pins(world.looker.root, run.moved_pins(real(world.looker.root), names))
        return found

    run._moved = late


def pins_after_pull() -> None:
    """What a trigger moved is noted first, and its pins move only then."""
    real = run.pulled

    def pulled(plan: Any, snapshot: Any, world: Any) -> Any:
        with mock.patch.object(pulling, "write_pins"):
            found = real(plan, snapshot, world)
        if plan.pulls:
            failpoint("apply.pulling")
            root = world.looker.root
            pins.write_pins(root, pins_after(pins.read_pins(root), plan.pulls))
        return found

    run.pulled = pulled


def no_fence() -> None:
    """Who lost the lock goes on writing."""
    fencing._written = lambda _lease: ""


def no_clash() -> None:
    """Who asks for a part of the state gets it, whoever has it."""
    lock._refuse = lambda *_: None


KILLED: Final[Mapping[str, Mutant]] = {
    m.__name__: m
    for m in (
        row_before_object,
        object_in_place,
        pins_in_place,
        no_transactions,
        journal_apart,
        no_intent,
        intent_after_effect,
        record_in_memory,
        pins_after_move,
    )
}
"""Mutants that a kill at one of the points must show."""
