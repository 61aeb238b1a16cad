"""Starting, rolling, asking and stopping a server process, from the outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from mlform.sdk import ResourceError
from mlform_core.serving import settings
from mlform_core.serving.settings import Serving

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 25.0
_TICK: Final = 0.02


def start(home: Path) -> dict[str, Any]:
    """Start a server that outlives us; return its pid and port once it answers."""
    home.mkdir(parents=True, exist_ok=True)
    (home / settings.STARTED).unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-m", "mlform_core.serving.server", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home,
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = settings.started(home)
        if found.get("pid") == process.pid:
            return found
        if process.poll() is not None:
            raise ResourceError(
                "Server did not start", f"It ended with {process.returncode}. {_last_words(home)}"
            )
        time.sleep(_TICK)
    process.kill()
    detail = f"It was not ready after {_START_SECONDS:.0f} s. {_last_words(home)}"
    raise ResourceError("Server did not start", detail)


def _last_words(home: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (home / "server.log").read_text(errors="replace").splitlines()
        return "Its log ends:\n" + "\n".join(lines[-8:])
    return ""


def ask(host: str, port: int, name: str, timeout: float = 1.0) -> dict[str, Any] | None:
    """Return what the server says of its model, ``None`` if nobody answers sensibly."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", f"/v2/models/{name}")
        response = connection.getresponse()
        found = json.loads(response.read())
        return found if response.status == 200 and isinstance(found, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def roll(serving: Serving, port: int) -> None:
    """Have a running server take another model. Raises ``ResourceError`` if it does not."""
    connection = http.client.HTTPConnection(serving.host, port, timeout=_START_SECONDS)
    body = json.dumps({"bundle": serving.bundle, "digest": serving.digest})
    headers = {"Authorization": f"Bearer {serving.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/control/load", body, headers)
        response = connection.getresponse()
        said = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise ResourceError("Roll failed", f"The server did not take the model: {error}.") from None
    finally:
        connection.close()
    if response.status != 200:
        detail = f"The server refused the model ({response.status}): {said}"
        raise ResourceError("Roll failed", detail)


def alive(pid: int) -> bool:
    """Tell whether a process runs; a dead one that nobody reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return state != "Z"
    return True


def stop(home: Path) -> None:
    """End the server of a deployment's folder: asked first, then made to."""
    pid = settings.started(home).get("pid")
    if not isinstance(pid, int) or not _ours(pid, home):
        return
    for number, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            _reap(pid)
            if not alive(pid):
                (home / settings.STARTED).unlink(missing_ok=True)
                return
            time.sleep(_TICK)
    raise ResourceError("Server does not end", f"Process {pid} is still there after SIGKILL.")


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _ours(pid: int, home: Path) -> bool:
    """Tell whether a pid is still the server of this folder, and not a later process."""
    if not alive(pid):
        return False
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return os.fsencode(home) in command
    return True
