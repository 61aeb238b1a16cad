"""What a server has counted, from one look to the next, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import seconds
from mlform_core.holm import holm
from mlform_core.monitoring import iso, short

if TYPE_CHECKING:
    from mlform_core.monitor_page import Series
    from mlform_core.service import ServiceArguments
    from mlform_core.serving.settings import Serving

_ERRORS: Final = ("500", "503", "504")
_COUNTED: Final = {
    "mlform_requests": ("statuses", "status"),
    "mlform_request_seconds": ("buckets", "le"),
    "mlform_worker_busy_seconds": ("busy", "revision"),
}
_SAMPLES: Final = {
    "mlform_requests_total",
    "mlform_request_seconds_bucket",
    "mlform_worker_busy_seconds_total",
}


def read(serving: Serving | None, now: float) -> dict[str, Any] | None:
    """Return what a server has counted until now; ``None`` if it does not answer.

    ``statuses``: requests by status; ``buckets``: requests by the seconds they took at most;
    ``busy``: seconds by revision; ``workers``; ``at`` and ``started``: seconds since 1970, and
    when the server was.
    """
    from prometheus_client.parser import text_string_to_metric_families

    from mlform_core.serving import control

    text = None if serving is None else control.metrics(serving, serving.port)
    if text is None:
        return None
    found: dict[str, Any] = {"at": now, "workers": 0.0, "started": ""}
    found |= {into: {} for into, _ in _COUNTED.values()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "mlform_workers":
                found["workers"] += sample.value
            elif sample.name in _SAMPLES:
                into, label = _COUNTED[family.name]
                which = sample.labels[label]
                found[into][which] = found[into].get(which, 0.0) + sample.value
            elif sample.name == "mlform_started_timestamp_seconds":
                found["started"] = sample.value
    return found


def since(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what to count from: the last look, or the start of the server if that is later."""
    if before is not None and before["started"] == now["started"]:
        return before
    return {
        "at": now["started"],
        "started": now["started"],
        "statuses": {},
        "buckets": {},
        "busy": {},
    }


def window(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came between two looks, as plain data."""
    passed = now["at"] - before["at"]

    def more(into: str) -> dict[str, float]:
        known = before[into]
        return {n: max(v - known.get(n, 0.0), 0.0) for n, v in now[into].items()}

    statuses = {n: int(v) for n, v in more("statuses").items()}
    busy = sum(more("busy").values())
    return {
        "first": iso(before["at"]),
        "last": iso(now["at"]),
        "seconds": round(passed, 3),
        "answers": True,
        "requests": sum(statuses.values()),
        "statuses": statuses,
        "buckets": {n: int(v) for n, v in more("buckets").items()},
        "saturation": short(busy / (passed * now["workers"])) if now["workers"] else None,
    }


def silent(before: Mapping[str, Any] | None, now: float) -> dict[str, Any]:
    """Return the window of a server that does not answer."""
    start = now if before is None else before["at"]
    return {
        "first": iso(start),
        "last": iso(now),
        "seconds": round(now - start, 3),
        "answers": False,
        "requests": 0,
        "statuses": {},
        "buckets": {},
        "saturation": None,
    }


def latency(buckets: Mapping[str, int], share: float) -> float | None:
    """Return a quantile in milliseconds, straight within its bucket; ``None`` without requests."""
    ends = sorted((float(le), n) for le, n in buckets.items())
    if not ends or not ends[-1][1]:
        return None
    wanted = share * ends[-1][1]
    low, below = 0.0, 0
    for high, count in ends:
        if count >= wanted:
            if high == float("inf"):
                return low * 1000
            part = (wanted - below) / (count - below) if count > below else 1.0
            return (low + part * (high - low)) * 1000
        low, below = high, count
    return low * 1000


def slower(buckets: Mapping[str, int], limit: float) -> int:
    """Return how many requests took longer than a limit in milliseconds, at the least.

    Those that may have been in time, within the bucket of the limit, count as in time.
    """
    ends = sorted((float(le), n) for le, n in buckets.items())
    if not ends:
        return 0
    return int(ends[-1][1] - next(n for end, n in ends if end * 1000 >= limit))


def judge(window: Mapping[str, Any], rules: ServiceArguments) -> list[dict[str, Any]]:
    """Return the limits that a window breaks beyond chance (Holm), the surest first."""
    if not window["answers"]:
        return [{"check": "answers", "column": "answers", "value": 0, "threshold": 1, "sign": "<"}]
    asked = list(_counted(window, rules))
    adjusted = holm([p for _, p in asked])
    found = [
        {**finding, "value": short(finding["value"]), "p_adjusted": short(p)}
        for (finding, _), p in zip(asked, adjusted, strict=True)
        if p < rules.alarm.fdr
    ]
    return [*sorted(found, key=lambda f: f["p_adjusted"]), *_measured(window, rules)]


def _finding(name: str, value: float, threshold: float, sign: str = ">") -> dict[str, Any]:
    return {"check": name, "column": name, "value": value, "threshold": threshold, "sign": sign}


def _counted(
    window: Mapping[str, Any], rules: ServiceArguments
) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield each limit on what is counted, with the chance of what was seen if it holds."""
    from scipy.special import bdtrc, pdtr, pdtrc

    from mlform_core.service import quantile

    checks, requests = rules.checks, window["requests"]
    for name, limit in checks.latency_ms.items():
        share = quantile(name)
        assert share is not None, "names of quantiles were looked at"
        value = latency(window["buckets"], share)
        if value is not None:
            late = slower(window["buckets"], limit)
            finding = _finding(f"latency {name} ms", value, limit)
            yield finding, float(bdtrc(late - 1, requests, 1 - share))
    for name, most, statuses in (
        ("error rate", checks.error_rate, _ERRORS),
        ("refusal rate", checks.refusal_rate, ("400",)),
    ):
        if most is not None and requests:
            bad = sum(window["statuses"].get(s, 0) for s in statuses)
            finding = _finding(name, bad / requests, most.max)
            yield finding, float(bdtrc(bad - 1, requests, most.max))
    minutes = window["seconds"] / 60
    if checks.volume is not None:
        value = requests / minutes
        if checks.volume.min is not None:
            finding = _finding("requests a minute", value, checks.volume.min, "<")
            yield finding, float(pdtr(requests, checks.volume.min * minutes))
        if checks.volume.max is not None and requests:
            finding = _finding("requests a minute", value, checks.volume.max)
            yield finding, float(pdtrc(requests - 1, checks.volume.max * minutes))


def _measured(window: Mapping[str, Any], rules: ServiceArguments) -> Iterator[dict[str, Any]]:
    """Yield the limits that are broken of what is measured whole: no chance is in that."""
    checks = rules.checks
    if checks.saturation is not None and window["saturation"] is not None:
        value = window["saturation"]
        if value > checks.saturation.max:
            yield _finding("saturation", value, checks.saturation.max)
    if checks.freshness is not None and window["age"] is not None:
        name, most, unit = _oldest(checks.freshness.max_age)
        if window["age"] > most * unit:
            yield _finding(name, short(window["age"] / unit), most)


def _oldest(max_age: str) -> tuple[str, float, float]:
    """Return how the age of the newest row is called, and its limit, in the unit that this is in.

    And how many seconds that unit has.
    """
    unit = max_age.lstrip("0123456789.")
    one = seconds(f"1{unit}")
    return f"age of the newest row in {unit}", seconds(max_age) / one, one


def series(windows: Sequence[Mapping[str, Any]], rules: ServiceArguments) -> list[Series]:
    """Return each figure over the windows, with what it is held to."""
    from mlform_core.monitor_page import Series
    from mlform_core.service import quantile

    checks, made = rules.checks, []
    for name in dict.fromkeys([*checks.latency_ms, "p50", "p99"]):
        limits = [checks.latency_ms[name]] if name in checks.latency_ms else []
        values = [latency(w["buckets"], quantile(name) or 0.5) for w in windows]
        made.append(Series(f"latency {name} ms", values, limits))
    for name, most, statuses in (
        ("error rate", checks.error_rate, _ERRORS),
        ("refusal rate", checks.refusal_rate, ("400",)),
    ):
        bad = [sum(w["statuses"].get(s, 0) for s in statuses) for w in windows]
        rates = [
            b / w["requests"] if w["requests"] else None for b, w in zip(bad, windows, strict=True)
        ]
        made.append(Series(name, rates, [] if most is None else [most.max]))
    busy = checks.saturation
    saturation = [w["saturation"] for w in windows]
    made.append(Series("saturation", saturation, [] if busy is None else [busy.max]))
    volume = checks.volume
    limits = [] if volume is None else [v for v in (volume.min, volume.max) if v is not None]
    rate = [60 * w["requests"] / w["seconds"] if w["seconds"] else None for w in windows]
    made.append(Series("requests a minute", rate, limits))
    if checks.freshness is not None:
        name, most_age, unit = _oldest(checks.freshness.max_age)
        ages = [None if w["age"] is None else w["age"] / unit for w in windows]
        made.append(Series(name, ages, [most_age]))
    return made


def describe(findings: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence what was found."""
    if findings[0]["check"] == "answers":
        return "the endpoint does not answer"
    said = [f"{f['check']} {f['value']:.4g} {f['sign']} {f['threshold']:g}" for f in findings]
    return "; ".join(said)
