"""Where ``watch`` answers for its health, and with metrics as Prometheus reads them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.reconcile.rounds import Round
    from mlform.state.lease import Lease

PATIENCE: Final = 10.0
"""Seconds that the state may take to say who leads before it is told that it does not answer."""
CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """What is known of the rounds so far."""

    def __init__(self) -> None:
        self.ready = False
        """Whether the last round came off; before the first it is not known.

        Who stands by is ready: that is what it is for, and who waits for it to be ready before the
        leader is stopped would wait for ever.
        """
        self.said = "no round is over yet"
        self._asked: float | None = None
        self.registry = CollectorRegistry()
        self._rounds = self._counter("rounds", "Rounds, by what came of them.", "outcome")
        self._alarms = self._counter("alarms", "Alarms raised, by monitor.", "monitor")
        self._pulls = self._counter("pulls", "Times that a trigger moved something.", "trigger")
        self._steps = self._counter("steps", "Steps carried out, by action.", "action")
        self._last = self._gauge("last_round_timestamp_seconds", "When the last round was over.")
        self._took = self._gauge("last_round_seconds", "How long the last round took.")
        self._leading = self._gauge("leading", "1 if it goes the rounds, 0 if another does.")
        self._terms = self._counter("terms", "Times that it began to lead.")
        self._busy = self._gauge("round_in_progress", "1 while a round goes on.")
        self._waits = self._gauge("proposals", "Proposals that wait for approval.")

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"mlform_watch_{name}", said, labels, registry=self.registry)

    def _gauge(self, name: str, said: str) -> Gauge:
        return Gauge(f"mlform_watch_{name}", said, registry=self.registry)

    def led(self, leader: Lease | None) -> None:
        """Hear who leads from here on: another, or (``None``) this process."""
        self.ready = leader is not None
        self._leading.set(leader is None)
        if leader is None:
            self._terms.inc()
            self.said = "no round is over yet"
        else:
            self.said = f"standing by: {leader.owner} (process {leader.pid}) leads"

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Hear that the state is asked who leads, until it has answered."""
        self._asked = time.monotonic()
        try:
            yield
        finally:
            self._asked = None

    def answer(self) -> tuple[bool, str]:
        """Tell whether it is ready, and why not. Who waits for the state is not."""
        asked = self._asked
        waits = 0.0 if asked is None else time.monotonic() - asked
        if waits > PATIENCE:
            return False, f"the state has not answered for {waits:.0f} s"
        return self.ready, self.said

    def begin(self) -> None:
        """Hear that a round begins."""
        self._busy.set(1)

    def end(self, found: Round) -> None:
        """Hear of a round that is over."""
        outcome = "locked" if found.locked else "failed" if found.failed else "done"
        self._rounds.labels(outcome).inc()
        for it in found.seen:
            self._alarms.labels(str(it.monitor)).inc(len(it.alarms))
        for pull in found.pulls:
            if pull.moves and not pull.propose:
                self._pulls.labels(str(pull.trigger)).inc()
        for action in () if found.outcome is None else found.outcome.done.values():
            self._steps.labels(action.value).inc()
        self._waits.set(len(found.proposals))
        self._took.set(found.seconds)
        self._last.set(time.time())
        self._busy.set(0)
        self.ready = not found.failed
        self.said = "ready" if self.ready else found.error or "the last round failed"


@contextmanager
def answering(place: str, health: Health) -> Iterator[str]:
    """Answer at HOST:PORT: ``/healthz``, ``/readyz`` and ``/metrics``. Yields the address.

    Raises ``DiagnosedError`` where that is no place, or another listens there.
    """
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        raise stop("Invalid option", f'-listen is HOST:PORT, as 127.0.0.1:9464, not "{place}".')
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(health))
    except (OSError, OverflowError) as error:
        raise stop("Cannot listen", f"{place}: {error}. Choose another with -listen.") from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(health: Health) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._answer(200, "alive\n")
                case "/readyz":
                    ready, said = health.answer()
                    self._answer(200 if ready else 503, f"{said}\n")
                case "/metrics":
                    self._answer(200, generate_latest(health.registry).decode(), CONTENT)
                case _:
                    self._answer(404, "There are /healthz, /readyz and /metrics.\n")

        def _answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            """Say nothing of each request."""

    return Answers
