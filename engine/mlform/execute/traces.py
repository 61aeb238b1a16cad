"""What a call leaves behind in its process. One that left nothing is lent to another call."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mlform.execute.failure import is_first_party
from mlform.execute.limits import peak_memory

_LEEWAY: Final = 32 << 20
"""Bytes by which the largest resident set may have grown."""
_SIGNALS: Final = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
"""What libraries handle; SIGTERM each call handles anew."""


class Traces:
    """Compares a process with what it was at first, as far as that can be told from outside.

    What cannot be: what a module keeps in variables of its own, as in any program that runs long.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules = [*sys.modules]
        self._memory = peak_memory() or 0
        self._before = _look()

    def none(self) -> bool:
        """Tell whether a call left everything as it was."""
        return not self._grew() and not self._user_code() and _look() == self._before

    def _grew(self) -> bool:
        return (peak_memory() or 0) > self._memory + _LEEWAY

    def _user_code(self) -> bool:
        """Tell whether code of the user was loaded: the next call is to see it as it is then."""
        if (now := [*sys.modules]) == self._modules:
            return False
        fresh, self._modules = set(now).difference(self._modules), now
        files = (getattr(sys.modules.get(name), "__file__", None) for name in fresh)
        return any(is_first_party(Path(f), self._root) for f in files if f)


def _look() -> list[object]:
    return [
        dict(getattr(os.environ, "_data", os.environ)),  # as it is: to decode it takes longest
        [signal.getsignal(number) for number in _SIGNALS],
        _listed("/proc/self/task") or threading.active_count(),
        _listed("/proc/self/fd"),
        _children(),
        _umask(),
        list(sys.path),
        [*sys.meta_path, *sys.path_hooks],
        list(logging.root.handlers),
        list(warnings.filters),
        (gc.isenabled(), socket.getdefaulttimeout(), sys.getrecursionlimit()),
        list(_chance()),
    ]


def _listed(folder: str) -> int:
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - after every call
    except OSError:
        return 0


def _children() -> bool:
    """Tell whether there is a child process, dead or alive."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _chance() -> Iterator[object]:
    """Give the state of the generators of random numbers that a process shares, where loaded."""
    if (standard := sys.modules.get("random")) is not None:
        yield standard.getstate()
    if (numpy := sys.modules.get("numpy.random")) is not None:
        state: Mapping[str, Any] = numpy.get_state(legacy=False)
        yield repr({n: v for n, v in state.items() if n != "state"})
        yield {n: getattr(v, "tobytes", lambda v=v: v)() for n, v in state["state"].items()}
