"""The lock: a lease with a fence, renewed while its holder lives, worth nothing once it is lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, delete, update

from mlform.diagnostics import DiagnosedError
from mlform.failpoints import failpoint
from mlform.state import fencing, journal
from mlform.state.database import Database, patient
from mlform.state.file import check_moved
from mlform.state.holder import Holder
from mlform.state.lease import Extent, Lease, LockedError, LostLeaseError, Work
from mlform.state.tables import LEASES, STATE, add, ours, own, state_row

T = TypeVar("T")

TTL: Final = 60.0
"""Seconds that a lease lasts from its last beat. It beats three times as often."""
_LONGEST_PAUSE: Final = 1.0


class Lock:
    """The lock of one workspace: one lease for all of it, or several for parts that do not meet.

    Beside it, a lease for each duty that one process at a time has.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def hold(
        self,
        operation: str,
        wait: float,
        waiting: Callable[[Lease], None],
        extent: Extent | None = None,
    ) -> Iterator[Lease]:
        """Take the lock for the length of a ``with`` block; see ``Store.lock``."""
        failpoint("lock.asked")
        holder = Holder.me(operation)
        try:
            lease = _patiently(lambda: self._take(holder, extent), wait, waiting)
        except LockedError:
            self.database.close()
            raise
        beating = _Heart(self, lease)
        try:
            yield lease
        except BaseException:
            beating.stop()
            with suppress(DiagnosedError):  # what ended the block matters more
                self._release(lease.fence)
            raise
        else:
            beating.stop()
            self._release(lease.fence)
        finally:
            self.database.close()

    def await_free(self, wait: float, waiting: Callable[[Lease], None]) -> list[Lease]:
        """Return who has parts of it, once nobody has the whole. Raises ``LockedError``."""

        def look() -> list[Lease]:
            found = self.leases()
            for lease in found:
                if lease.extent is None:
                    raise LockedError(lease)
            return found

        return _patiently(look, wait, waiting)

    @patient
    def announce(self, lease: Lease, work: Work) -> None:
        """Tell whoever is refused the lock what it is held for."""
        with self.database.writing() as connection:
            held = ours(connection, LEASES) & (LEASES.c.fence == lease.fence)
            connection.execute(update(LEASES).where(held).values(work=work.dump()))

    @patient
    def leases(self) -> list[Lease]:
        """Return every lease for the state, or a part of it, that holds, the oldest first."""
        with self.database.reading() as connection:
            if connection is None:
                return []
            holding = (
                _lease(row)
                for row in _rows(connection)
                if not self._over(connection, Holder.parse(row.holder), row.expires)
            )
            return [lease for lease in holding if not lease.duty]

    @patient
    def broken(self, lease: str, by: Holder) -> bool:
        """Take the lock from the holder of a lease, by its id; ``False`` if it has it no more.

        The holder is fenced: if it lives after all, its next write fails.
        """
        with self.database.writing() as connection:
            state = state_row(connection)
            for row in _rows(connection):
                if Holder.parse(row.holder).id == lease:
                    self._end(connection, state.fences, row.fence)
                    self._journal(connection, "unlock", row.holder, by)
                    return True
            return False

    @patient
    def beat(self, fence: int) -> bool:
        """Renew a lease; false if it is lost."""
        with self.database.writing() as connection:
            until = self.database.clock(connection) + TTL
            held = ours(connection, LEASES) & (LEASES.c.fence == fence)
            renewed = update(LEASES).where(held).values(expires=until)
            return connection.execute(renewed).rowcount == 1

    @patient
    def _take(self, holder: Holder, extent: Extent | None) -> Lease:
        with self.database.writing() as connection:
            state = state_row(connection)
            check_moved(state.moved)
            fences = ""
            for row in _rows(connection):
                current = Holder.parse(row.holder)
                if current.id == holder.id:  # the answer to the attempt before this one was lost
                    return holder.lease(row.fence, extent=extent, serial=state.serial)
                if self._over(connection, current, row.expires):
                    self._end(connection, state.fences, row.fence)
                    self._journal(connection, "takeover", row.holder, holder)
                else:
                    _refuse(_lease(row), extent)
                    fences = fencing.with_fence(fences, row.fence)
            fence = int(state.fence) + 1
            held = {"fence": fence, "fences": fencing.with_fence(fences, fence)}
            connection.execute(update(STATE).where(ours(connection, STATE)).values(held))
            until = self.database.clock(connection) + TTL
            told = None if extent is None else extent.dump()
            add(connection, LEASES, (fence, holder.dump(), until, None, told))
        return holder.lease(fence, extent=extent, serial=state.serial)

    def _over(self, connection: Connection, holder: Holder, expires: object) -> bool:
        """Tell whether a lease is worth nothing any more: its process is dead, or its time over."""
        return is_over(self.database, connection, holder, expires)

    @patient
    def _release(self, fence: int) -> None:
        """Give the lock back; the lease is worth nothing from here on."""
        with self.database.writing() as connection:
            self._end(connection, state_row(connection).fences, fence)

    def _end(self, connection: Connection, fences: str, fence: int) -> None:
        """Let a lease hold no more."""
        left = fencing.without(fences, fence)
        if left != fences:
            here = ours(connection, STATE)
            connection.execute(update(STATE).where(here).values(fences=left))
        gone = ours(connection, LEASES) & (LEASES.c.fence == fence)
        connection.execute(delete(LEASES).where(gone))

    def _journal(self, connection: Connection, what: str, holder: str, by: Holder) -> None:
        detail = {"from": json.loads(holder), "by": f"{by.user}@{by.host}"}
        journal.append(connection, 0, "", what, None, detail)


def _patiently(attempt: Callable[[], T], wait: float, waiting: Callable[[Lease], None]) -> T:
    """Return what comes of an attempt, made again while someone is in the way."""
    deadline, pause, told = time.monotonic() + wait, 0.05, ""
    while True:
        try:
            return attempt()
        except LockedError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if error.holder.id != told:
                told = error.holder.id
                waiting(error.holder)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def _refuse(held: Lease, extent: Extent | None) -> None:
    """Raise ``LockedError`` if a lease that holds is in the way of another."""
    if held.extent is None or extent is None:
        if held.duty or (extent is not None and extent.duty):
            return
        raise LockedError(held)
    if clash := held.extent.clash(extent):
        raise LockedError(held, clash)


def is_over(database: Database, connection: Connection, holder: Holder, expires: object) -> bool:
    """Tell whether what a process holds is worth nothing any more: it is dead, or was too slow."""
    if not holder.alive():
        return True
    ours_to_tell = database.shared_clock or holder.same_boot()
    if not isinstance(expires, float) or not ours_to_tell:
        return False
    return database.clock(connection) > expires


def _rows(connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(own(connection, LEASES).order_by(LEASES.c.fence)).all()


def _lease(row: Row[Any]) -> Lease:
    holder = Holder.parse(row.holder)
    return holder.lease(row.fence, Work.parse(row.work), Extent.parse(row.extent))


class _Heart:
    """Renews a lease from a thread of its own, and tells it when it is lost."""

    def __init__(self, lock: Lock, lease: Lease) -> None:
        self._lock, self._lease = lock, lease
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(TTL / 3):
            # One that could not be renewed is not lost: nobody else may have taken it. Every
            # write finds out, and nothing is begun without one.
            with suppress(DiagnosedError, LostLeaseError):
                if not self._lock.beat(self._lease.fence):
                    self._lease.lose()
                    return
