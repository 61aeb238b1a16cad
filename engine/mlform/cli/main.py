"""The ``mlform`` program: signals, exit codes, and errors as people see them."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Final, NoReturn

from mlform.cli.parsing import Exit, UsageError
from mlform.cli.program import run
from mlform.cli.unplugged import unplug

ERROR: Final = 1
INTERRUPTED: Final = 130
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    _leave(command())


def command() -> int:
    """Run the command line; every option works with one dash or two. Returns the exit code."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    # Nothing is left to stop, and a signal now would end in the middle of Python's own farewell.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if code == INTERRUPTED:
        sys.stderr.write("Interrupted. What was recorded stands; the next run goes on.\n")
    return code


def _leave(code: int) -> NoReturn:
    """End the process at once: taking Python apart takes as long as a small plan."""
    if threading.active_count() > 1:  # Python waits for what still runs
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other name for it
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    """Run the command that the arguments name; return its exit code."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    unplug()
    # What a command loads, reads and plans stays until it ends: there is no garbage in it to find.
    gc.set_threshold(200_000, 20, 100)
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except Exit as ended:
        return ended.code
    except BrokenPipeError:
        # The reader went away (`mlform plan | head`): say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets words, not a traceback
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    if isinstance(error, UsageError):
        sys.stderr.write(f"Error: {error.summary}\n\n{error.detail}\n")
        return ERROR
    if os.environ.get("MLFORM_TRACE"):
        raise error
    sys.stderr.write(
        f"Error: Internal error\n\n{type(error).__name__}: {error}\n\n"
        "This is a bug in mlform; nothing that was recorded is lost. Run the command again with "
        "MLFORM_TRACE=1 and report what it prints.\n"
    )
    return ERROR
