"""The server process: ``python -m mlform_core.serving.server FOLDER``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import uvicorn

from mlform_core.serving import settings
from mlform_core.serving.app import App
from mlform_core.serving.log import RequestLog


def main() -> None:
    """Bind, load, say so, and serve until told to end."""
    home = Path(sys.argv[1])
    serving = settings.read(home)
    if serving is None:
        sys.exit(f"{home} holds no serving.json")
    sock = socket.socket(socket.AF_INET6 if ":" in serving.host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((serving.host, serving.port))
    sock.listen(1024)
    log = RequestLog(home / settings.LOG)
    app = App(serving, log)
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=20
    )
    settings.write_started(home, os.getpid(), sock.getsockname()[1])
    try:
        uvicorn.Server(config).run(sockets=[sock])
    finally:
        log.close()


if __name__ == "__main__":
    main()
