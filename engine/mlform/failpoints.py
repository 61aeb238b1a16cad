"""Named points at which a run can be made to die, fail or wait, so that tests see what follows.

``failpoint("state.commit")`` does nothing unless something was armed. ``MLFORM_FAILPOINTS`` arms a
process from the start: ``NAME:HIT:ACTION``, several separated by commas, each of them carried out
at the HITth time (from 1) that this process comes by NAME. Actions: ``kill`` (SIGKILL), ``raise``,
``pause`` (SIGSTOP), ``interrupt`` (SIGINT), ``terminate`` (SIGTERM), ``eio`` and ``enospc`` (what
the system says of a broken disk and of a full one).
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

VARIABLE: Final = "MLFORM_FAILPOINTS"
_SIGNALS: Final = {
    "kill": "SIGKILL",
    "pause": "SIGSTOP",
    "interrupt": "SIGINT",
    "terminate": "SIGTERM",
}
_ERRORS: Final = {"eio": errno.EIO, "enospc": errno.ENOSPC}


class FailpointError(RuntimeError):
    """What ``raise`` raises: a bug that might be there."""


def failpoint(name: str) -> None:
    """Come by a point."""
    if _hear is not None:
        _hear(name)


def arm(hear: Callable[[str], None] | None) -> None:
    """Have a function called with the name of each point that is come by; ``None``: none is."""
    global _hear  # noqa: PLW0603 - one process is armed or is not
    _hear = hear


def planned(plan: str) -> Callable[[str], None]:
    """Return what to arm for ``NAME:HIT:ACTION,…``. Raises ``ValueError`` on anything else."""
    actions: dict[tuple[str, int], str] = {}
    for entry in plan.split(","):
        name, hit, action = entry.split(":")
        if action not in {*_SIGNALS, *_ERRORS, "raise"}:
            raise ValueError(f"{VARIABLE} knows no {action}")
        actions[name, int(hit)] = action
    return _Planned(actions)


class _Planned:
    def __init__(self, actions: Mapping[tuple[str, int], str]) -> None:
        self.actions, self.hits, self.guard = actions, Counter[str](), threading.Lock()

    def __call__(self, name: str) -> None:
        with self.guard:
            self.hits[name] += 1
            action = self.actions.get((name, self.hits[name]))
        if action in {"kill", "pause"}:
            # To this very thread: it goes no step further, however busy the machine.
            signal.pthread_kill(threading.get_ident(), signal.Signals[_SIGNALS[action]])
        elif action in _SIGNALS:
            os.kill(os.getpid(), signal.Signals[_SIGNALS[action]])
        elif action in _ERRORS:
            raise OSError(_ERRORS[action], os.strerror(_ERRORS[action]))
        elif action is not None:
            raise FailpointError(f"failpoint {name}")


_hear: Callable[[str], None] | None = None
if VARIABLE in os.environ:
    arm(planned(os.environ[VARIABLE]))
