"""The server process: ``python -m mlform_core.serving.server FOLDER``."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
import uvloop

from mlform.sdk import ResourceError
from mlform_core.serving import settings
from mlform_core.serving.app import App
from mlform_core.serving.log import RequestLog
from mlform_core.serving.settings import Serving
from mlform_core.serving.traffic import Traffic

DRAIN_SECONDS: Final = 20
_KEEP_ALIVE_SECONDS: Final = 75


def main() -> None:
    """Bind, load, say so, and serve until told to end."""
    home = Path(sys.argv[1])
    lock = settings.claim(home)
    if lock is None:
        sys.exit(f"Another server has {home} already.")
    with lock:
        try:
            _serve(home)
        except ResourceError as error:
            settings.write_failed(home, error.summary, error.detail, error.argument)
            sys.exit(str(error))


def _serve(home: Path) -> None:
    serving = settings.read(home)
    if serving is None:
        raise ResourceError("No settings", f"{home} holds no {settings.SETTINGS}.")
    if serving.tokens_env:
        given = [settings.digest_of(token) for token in settings.tokens_in(serving.tokens_env)]
        serving = replace(serving, tokens=given)
    if port := os.environ.get(serving.port_env) if serving.port_env else None:
        if not port.isdigit():
            detail = f"The environment variable {serving.port_env} is {port!r}."
            raise ResourceError("Not a port", detail, argument="port")
        serving = replace(serving, port=int(port))
    with _bound(serving) as sock, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answer(home, serving, sock))


async def _answer(home: Path, serving: Serving, sock: socket.socket) -> None:
    traffic = Traffic(home, serving)
    await traffic.start()
    log = RequestLog(home / settings.LOG, serving.log_bytes)
    app = App(traffic, log)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # uvicorn drains on a signal and then raises it again: what is below must still run.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    gc.collect()
    gc.freeze()
    port = sock.getsockname()[1]
    settings.write_started(home, port, datetime.now(UTC).isoformat())
    sys.stdout.write(f"{serving.name} ({serving.digest}) is served at port {port}.\n")
    sys.stdout.flush()
    try:
        await uvicorn.Server(config).serve(sockets=[sock])
    finally:
        await app.close()


def _bound(serving: Serving) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in serving.host else socket.AF_INET)
    # A server that starts again takes its port though old connections linger.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((serving.host, serving.port))
        sock.listen(1024)
    except (OSError, OverflowError) as error:
        sock.close()
        said = error.strerror or error if isinstance(error, OSError) else error
        detail = (
            f"{serving.host}:{serving.port} cannot be bound: {said}. End what holds it, or give "
            "another port."
        )
        raise ResourceError("Address not available", detail, argument="port") from error
    return sock


if __name__ == "__main__":
    os.umask(0o077)
    main()
