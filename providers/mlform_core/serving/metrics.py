"""What a server counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from mlform_core.serving.log import RequestLog
    from mlform_core.serving.revision import Revision

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class Metrics:
    """The numbers of one server: ``seen`` is told of each request to predict."""

    def __init__(self, revisions: Callable[[], dict[str, Revision]], log: RequestLog) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "mlform_requests",
            "Requests to predict, by status and the revision that answered.",
            ("status", "revision"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mlform_request_seconds",
            "Seconds from a request that has come in whole to its answer.",
            ("revision",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._rows = Counter(
            "mlform_rows", "Rows predicted for clients.", ("revision",), registry=self._registry
        )
        self._shadowed = Counter(
            "mlform_shadow_requests",
            "Requests that the shadow was asked, by what it said beside the model that serves.",
            ("said",),
            registry=self._registry,
        )
        started = Gauge(
            "mlform_started_timestamp_seconds", "When it began to count.", registry=self._registry
        )
        started.set_to_current_time()
        self._registry.register(_Now(revisions, log))
        # A look-up by label costs more than the counting.
        self._counted: dict[tuple[int, str], Counter] = {}
        self._timed: dict[str, tuple[Histogram, Counter]] = {}

    def seen(self, revision: str, status: int, seconds: float, rows: int) -> None:
        """Count one request."""
        counter = self._counted.get((status, revision))
        if counter is None:
            counter = self._requests.labels(str(status), revision)
            self._counted[status, revision] = counter
        counter.inc()
        pair = self._timed.get(revision)
        if pair is None:
            pair = self._seconds.labels(revision), self._rows.labels(revision)
            self._timed[revision] = pair
        pair[0].observe(seconds)
        if rows:
            pair[1].inc(rows)

    def shadowed(self, said: str) -> None:
        """Count one request of the shadow: the "same", something "other", or "failed"."""
        self._shadowed.labels(said).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)


class _Now(Collector):
    """What is read off when it is asked for."""

    def __init__(self, revisions: Callable[[], dict[str, Revision]], log: RequestLog) -> None:
        self._revisions, self._log = revisions, log

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        names = ("revision",)
        info = GaugeMetricFamily(
            "mlform_revision_info",
            "The models that answer.",
            labels=("revision", "role", "digest", "runtime"),
        )
        workers = GaugeMetricFamily("mlform_workers", "Workers that are ready.", labels=names)
        waiting = GaugeMetricFamily(
            "mlform_waiting_requests", "Requests that no worker has yet.", labels=names
        )
        restarts = CounterMetricFamily(
            "mlform_worker_restarts", "Workers that died and came again.", labels=names
        )
        batches = CounterMetricFamily(
            "mlform_batches", "Calls of the model: with rows predicted, how many.", labels=names
        )
        batched = CounterMetricFamily(
            "mlform_batched_rows", "Rows in calls of the model.", labels=names
        )
        busy = CounterMetricFamily(
            "mlform_worker_busy_seconds", "Seconds that workers have computed.", labels=names
        )
        looked = CounterMetricFamily(
            "mlform_lookups",
            "Rows that were looked up in an input of the feature view, by what came of it.",
            labels=("revision", "input", "outcome"),
        )
        for role, revision in self._revisions().items():
            number, pool = revision.label, revision.pool
            info.add_metric((number, role, revision.digest, revision.runtime), 1)
            workers.add_metric((number,), pool.alive)
            waiting.add_metric((number,), pool.waiting)
            restarts.add_metric((number,), pool.restarts)
            batches.add_metric((number,), pool.batches)
            batched.add_metric((number,), pool.batched)
            busy.add_metric((number,), pool.busy)
            for (name, outcome), rows in sorted(pool.looked.items()):
                looked.add_metric((number, name, outcome), rows)
        lost = CounterMetricFamily(
            "mlform_log_lost_entries", "Entries that the request log could not keep."
        )
        lost.add_metric((), self._log.lost)
        yield from (info, workers, waiting, restarts, batches, batched, busy, looked, lost)
