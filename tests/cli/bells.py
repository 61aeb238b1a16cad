"""A spec whose monitor is a bell that tests ring, and a server that hears of it."""

from __future__ import annotations

import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.scenarios.command import Folder

PROVIDER = """
import json
from mlform.sdk import (
    Alarm, Arguments, Attributes, Handle, MonitorResource, Provider, Resource, Volatile
)


class BellArguments(Arguments):
    path: str
    of: Handle | None = None


class BellAttributes(Attributes):
    heard: Volatile[int] = 0


class Bell(MonitorResource[BellArguments, BellAttributes], kind="monitor", type="bell"):
    def apply(self, ctx, new, old):
        return BellAttributes()

    def run(self, ctx, old):
        lines = (ctx.root / old.arguments.path).read_text().splitlines()
        if lines == ["hold"]:
            (ctx.root / "held").touch()
            while True:
                ctx.checkpoint()
        heard = old.attributes.heard
        alarms = [
            Alarm(
                name="rung", window={"line": n}, findings=[], summary=text.strip("!"),
                incident=text.endswith("!"),
            )
            for n, text in enumerate(lines[heard:], heard)
        ]
        return old.attributes.model_copy(update={"heard": len(lines)}), alarms


class CountArguments(Arguments):
    of: int
    until: str = ""


class CountAttributes(Attributes):
    said: str


class Count(
    Resource[CountArguments, CountAttributes],
    kind="training_job", type="count", reusable=True,
):
    def apply(self, ctx, new, old):
        return CountAttributes(said=f"{new.of} until {new.until}")


class Bells(Provider):
    def resources(self):
        return [Bell(), Count()]
"""
SPEC = """
dataset "file" "d" {
  path    = "d.csv"
  version = { mode = "pin" }
}
training_job "count" "c" {
  of = dataset.d.rows
}
monitor "bell" "b" {
  path = "bell.txt"
}
trigger "again" {
  on      = [monitor.b.alarm]
  advance = [dataset.d]
  mode    = "MODE"
  MORE
}
HOOK
"""
LOCK = ".mlform.lock.hcl"


def made(site: Path, mode: str = "auto", more: str = "", hook: str = "", **env: str) -> Folder:
    spec = site.parent / "spec"
    spec.mkdir(exist_ok=True)
    text = SPEC.replace("MODE", mode).replace("MORE", more).replace("HOOK", hook)
    (spec / "main.mlf.hcl").write_text(text)
    (spec / "d.csv").write_text("a,b\n1,x\n")
    (spec / "bell.txt").write_text("")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    folder = Folder(spec, {"PYTHONPATH": path, **env})
    folder.apply()
    return folder


def ring(folder: Folder, text: str = "it drifts") -> None:
    with (folder.path / "bell.txt").open("a") as file:
        file.write(f"{text}\n")
    folder.mlform("monitor", "run")


def grow(folder: Folder) -> None:
    with (folder.path / "d.csv").open("a") as file:
        file.write("2,y\n3,z\n")


class Hook:
    """A server that takes what is posted."""

    def __init__(self) -> None:
        self.got: queue.SimpleQueue[tuple[dict[str, str], bytes]] = queue.SimpleQueue()
        self.statuses: list[int] = []
        got, statuses = self.got, self.statuses

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = statuses.pop(0) if statuses else 200
                if status == 200:
                    got.put((dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hush-7f3a"

    def told(self) -> list[dict[str, Any]]:
        found = []
        while not self.got.empty():
            found.append(json.loads(self.got.get()[1]))
        return found
