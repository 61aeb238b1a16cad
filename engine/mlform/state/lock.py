"""The lock: a lease with a fence, renewed while its holder lives, worth nothing once it is lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import Connection, Row, update

from mlform.diagnostics import DiagnosedError
from mlform.state import journal
from mlform.state.database import Database, patient
from mlform.state.file import check_moved
from mlform.state.holder import Holder
from mlform.state.lease import Lease, LockedError, LostLeaseError, Work
from mlform.state.tables import STATE, ours, state_row

TTL: Final = 60.0
"""Seconds that a lease lasts from its last beat. It beats three times as often."""
_LONGEST_PAUSE: Final = 1.0


class Lock:
    """The lock of one workspace."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def hold(
        self, operation: str, wait: float, waiting: Callable[[Lease], None]
    ) -> Iterator[Lease]:
        """Take the lock for the length of a ``with`` block; see ``Store.lock``."""
        lease = self._taken(Holder.me(operation), wait, waiting)
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

    @patient
    def announce(self, lease: Lease, work: Work) -> None:
        """Tell whoever is refused the lock what it is held for."""
        with self.database.writing() as connection:
            held = ours(connection, STATE) & (STATE.c.fence == lease.fence)
            connection.execute(update(STATE).where(held).values(work=work.dump()))

    @patient
    def holder(self) -> Lease | None:
        """Return who has the lock, ``None`` where nobody has."""
        with self.database.reading() as connection:
            state = None if connection is None else state_row(connection, lock=False)
            if connection is None or state is None or state.holder is None:
                return None
            current = Holder.parse(state.holder)
            if self._over(connection, current, state.expires):
                return None
            return current.lease(state.fence, Work.parse(state.work))

    @patient
    def broken(self, lease: str, by: Holder) -> bool:
        """Take the lock from the holder of a lease, by its id; ``False`` if it has it no more.

        The holder is fenced: if it lives after all, its next write fails.
        """
        with self.database.writing() as connection:
            state = state_row(connection)
            if state.holder is None or Holder.parse(state.holder).id != lease:
                return False
            self._give(connection, int(state.fence) + 1, None)
            self._journal(connection, "unlock", state, by)
            return True

    @patient
    def beat(self, fence: int) -> bool:
        """Renew a lease; false if it is lost."""
        with self.database.writing() as connection:
            until = self.database.clock(connection) + TTL
            held = ours(connection, STATE) & (STATE.c.fence == fence)
            return connection.execute(update(STATE).where(held).values(expires=until)).rowcount == 1

    def _taken(self, holder: Holder, wait: float, waiting: Callable[[Lease], None]) -> Lease:
        deadline, pause, told = time.monotonic() + wait, 0.05, ""
        while True:
            try:
                return self._take(holder)
            except LockedError as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
                if error.holder.id != told:
                    told = error.holder.id
                    waiting(error.holder)
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    @patient
    def _take(self, holder: Holder) -> Lease:
        with self.database.writing() as connection:
            state = state_row(connection)
            check_moved(state.moved)
            if state.holder is not None:
                current = Holder.parse(state.holder)
                if current.id == holder.id:  # the answer to the attempt before this one was lost
                    return holder.lease(state.fence)
                if not self._over(connection, current, state.expires):
                    raise LockedError(current.lease(state.fence, Work.parse(state.work)))
                self._journal(connection, "takeover", state, holder)
            fence = int(state.fence) + 1
            self._give(connection, fence, holder)
        return holder.lease(fence)

    def _over(self, connection: Connection, holder: Holder, expires: object) -> bool:
        """Tell whether a lease is worth nothing any more: its process is dead, or its time over."""
        if not holder.alive():
            return True
        ours_to_tell = self.database.shared_clock or holder.same_boot()
        if not isinstance(expires, float) or not ours_to_tell:
            return False
        return self.database.clock(connection) > expires

    @patient
    def _release(self, fence: int) -> None:
        """Give the lock back; with the fence raised, the lease is worth nothing from here on."""
        with self.database.writing() as connection:
            if state_row(connection).fence == fence:
                self._give(connection, fence + 1, None)

    def _give(self, connection: Connection, fence: int, holder: Holder | None) -> None:
        until = None if holder is None else self.database.clock(connection) + TTL
        values = {
            "fence": fence,
            "holder": None if holder is None else holder.dump(),
            "expires": until,
            "work": None,
        }
        connection.execute(update(STATE).where(ours(connection, STATE)).values(values))

    def _journal(
        self, connection: Connection, what: str, state: Row[tuple[()]], by: Holder
    ) -> None:
        detail = {"from": json.loads(state.holder), "by": f"{by.user}@{by.host}"}
        journal.append(connection, 0, "", what, None, detail)


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
