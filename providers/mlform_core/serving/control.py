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
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mlform.sdk import ResourceError
from mlform_core.serving import settings
from mlform_core.serving.settings import Serving

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 25.0
_TICK: Final = 0.02
_SERVER_LOG: Final = "server.log"
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers that this process started: it alone can reap them."""


def start(home: Path) -> dict[str, Any]:
    """Start a server that outlives us; return its pid, port and time once it answers.

    Raises ``ResourceError`` with the server's own words if it does not come up.
    """
    for pid in [p for p, child in _children.items() if child.poll() is not None]:
        del _children[pid]
    home.mkdir(parents=True, exist_ok=True)
    (home / settings.STARTED).unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
    with (home / _SERVER_LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-m", "mlform_core.serving.server", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=home,
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    _children[process.pid] = process
    try:
        return _ready(home, process)
    except BaseException:
        process.kill()
        process.wait()
        del _children[process.pid]
        raise


def _ready(home: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        found = settings.started(home)
        if found.get("pid") == process.pid and "failed" in found:
            failed = found["failed"]
            raise ResourceError(failed["summary"], failed["detail"], argument=failed["argument"])
        if code is not None:
            raise ResourceError("Server did not start", f"It ended with {code}. {_words(home)}")
        if found.get("pid") == process.pid:
            return found
        time.sleep(_TICK)
    detail = f"It was not ready after {START_SECONDS:.0f} s. {_words(home)}"
    raise ResourceError("Server did not start", detail)


def _words(home: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (home / _SERVER_LOG).read_text(errors="replace").splitlines()
        return "Its log ends:\n" + "\n".join(lines[-8:])
    return ""


def answers(serving: Serving, port: int, timeout: float = 1.0) -> dict[str, Any] | None:
    """Return what our server says of what it serves, ``None`` if none of ours answers there.

    Whoever listens at the port is sent no token.
    """
    connection = http.client.HTTPConnection(serving.reach, port, timeout=timeout)
    try:
        connection.request("GET", "/control/answers")
        response = connection.getresponse()
        found = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    ours = isinstance(found, dict) and found.get("server") == serving.identity
    return found if ours and found.get("name") == serving.name else None


def metrics(serving: Serving, port: int, timeout: float = 10.0) -> str | None:
    """Return the numbers of our server as Prometheus reads them, ``None`` if it does not answer."""
    if answers(serving, port, timeout) is None:
        return None
    connection = http.client.HTTPConnection(serving.reach, port, timeout=timeout)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {serving.token}"})
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return text if response.status == http.client.OK else None


def digest_at(serving: Serving, port: int, timeout: float = 1.0) -> str | None:
    """Return the digest with which our server answers at a port, ``None`` if it does not."""
    said = answers(serving, port, timeout)
    return None if said is None else str(said["digest"])


def roll(serving: Serving, port: int) -> bool:
    """Have a running server take other settings, and their models, between two requests.

    False: a canary has begun. Raises ``ResourceError`` if it does not; then it goes on as before.
    """
    status, said = _told(serving, port, "/control/load", json.dumps(asdict(serving)))
    if status == 409:
        refused = json.loads(said)
        detail = f"{refused['detail']} The server goes on as before."
        raise ResourceError(refused["summary"], detail, argument=refused["argument"])
    if status not in {200, 202}:
        detail = f"The server refused the model ({status}): {said}"
        raise ResourceError("Roll failed", detail)
    return status == 200


def abandon(serving: Serving, port: int) -> None:
    """Have a server end its canary; the model that served has all requests again."""
    _told(serving, port, "/control/abandon", "{}")


def _told(serving: Serving, port: int, path: str, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(serving.reach, port, timeout=START_SECONDS)
    headers = {"Authorization": f"Bearer {serving.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        detail = f"The server did not take the model: {error}."
        raise ResourceError("Roll failed", detail) from error
    finally:
        connection.close()


def stop(home: Path) -> None:
    """End the server of a deployment's folder: asked first, then made to. None is fine too."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        pid = settings.holder(home)
        if pid is None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        _await_end(home, pid, patience)
    if (left := settings.holder(home)) is not None:
        detail = f"Process {left} is still there after SIGKILL."
        raise ResourceError("Server does not end", detail)
    (home / settings.STARTED).unlink(missing_ok=True)


def _await_end(home: Path, pid: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while settings.holder(home) == pid and time.monotonic() < deadline:
        time.sleep(_TICK)
    child = _children.get(pid)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0.1))
            _children.pop(pid, None)  # another thread may have waited for it, too
