"""A real PostgreSQL server, started as a child of the tests: it can be killed, and reaped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

INSTALL = "apt-get install postgresql"
USER = "postgres"


def binaries():
    """The folder of the server's programs, or ``None`` where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


class Server:
    """One server with a data folder of its own, on a free port of this machine."""

    def __init__(self, folder):
        self.folder, self.bin = Path(folder), binaries()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, USER)
        assert self._run("initdb", "-D", self.data, "-A", "trust", "-U", USER).wait() == 0

    @property
    def data(self):
        return str(self.folder / "data")

    @property
    def url(self):
        return self.to("postgres")

    def to(self, database, user=USER):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self):
        self.process = self._run(
            "postgres", "-D", self.data, "-p", str(self.port), "-k", "",
            "-c", "listen_addresses=127.0.0.1",
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """Let it shut down fast; or kill it, as ``SIGKILL`` or ``SIGQUIT`` (all its processes)."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def _run(self, program, *arguments):
        command = [str(self.bin / program), *arguments]
        if os.geteuid() == 0:
            # The child becomes the server itself: no process of another user in between.
            become = (
                "import os, pwd, sys; u = pwd.getpwnam(sys.argv[1]); os.setgroups([]); "
                "os.setgid(u.pw_gid); os.setuid(u.pw_uid); os.execv(sys.argv[2], sys.argv[2:])"
            )
            command = [sys.executable, "-c", become, USER, *command]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


@contextmanager
def running():
    """A server for the length of a ``with`` block; skips, loudly, where there is none installed."""
    if binaries() is None:
        pytest.skip(f"PostgreSQL is not installed: {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="mlform-pg-") as folder:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
