"""The program within this process: as a user has it, without the second that starting takes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from unittest.mock import patch

from tests.scenarios.command import Folder, Said

from mlform.cli.main import command

_BEGINS_PROCESSES = frozenset(
    {"apply", "destroy", "import", "monitor", "quarantine", "reapply", "rollback"}
)


class Inside(Folder):
    """A folder whose commands run here, but for those that start worker processes."""

    def mlform(self, *arguments: str, expect: int | None = 0) -> Said:
        """Run a command to its end."""
        if arguments[0] in _BEGINS_PROCESSES:
            return super().mlform(*arguments, expect=expect)
        out, err = io.StringIO(), io.StringIO()
        with (
            _restored(),
            patch.object(sys, "argv", ["mlform", *arguments]),
            patch.dict(os.environ, self.environment),
            contextlib.chdir(self.path),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            said = Said(command(), out.getvalue(), err.getvalue())
        if expect is not None:
            assert said.code == expect, f"{arguments}: exit {said.code}\n{said.out}\n{said.err}"
        return said


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Give this process its signals back.

    A run hears none any more at its end; nor would whatever this process starts after it.
    """
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
