"""What a model costs: bytes, time for one row, money; held against what it may."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlform.sdk import Artifact, Context, ResourceError
from mlform_core.gate_conditions import COSTS, Costs
from mlform_core.gate_measure import Rows, opened
from mlform_core.gate_rules import Check

_MEGABYTE: Final = 1_000_000
_WARM, _CALLS, _SECONDS = 20, 500, 5.0
"""Calls that do not count, that do, and for how long at most."""
_FEWEST: Final = 100
"""So many calls count at least, however long they take: a 99th percentile is of nothing less."""


def costs_of(
    ctx: Context, model: Artifact, rules: Costs, rows: Rows, *, allow_pickle: bool
) -> dict[str, float]:
    """Return what a model costs, of what is asked for: the times as measured here, once."""
    found = {"size_mb": model.size / _MEGABYTE}
    if rules.timed:
        what = {"latency": model.digest, "machine": machine(), "version": 1}
        made = ctx.memo(what, lambda: _timed(ctx, model, rows, allow_pickle=allow_pickle))
        found |= json.loads(ctx.artifacts.read(made.digest))
        if rules.price_per_hour is not None:
            hours = found["mean_ms"] * 1e6 / 3.6e6
            found["per_million"] = hours * rules.price_per_hour
    return found


def cost_checks(found: Mapping[str, float], rules: Costs, rows: int) -> list[Check]:
    """Return a check for each bound."""
    checks = []
    for name in COSTS:
        limit = getattr(rules, name)
        if limit is None:
            continue
        good = found[name] <= limit
        where = f", one row at a time on {machine()}" if name.endswith("_ms") else ""
        checks.append(
            Check(
                check="cost",
                metric=name,
                estimate=found[name],
                threshold=limit,
                support=int(found["calls"]) if name.endswith("_ms") else rows,
                outcome="pass" if good else "fail",
                message=f"{name} {found[name]:.4g} {'≤' if good else '>'} {limit:g}{where}",
            )
        )
    return checks


def machine() -> str:
    """Return what people call this machine: its processor, and how many cores it has."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _timed(ctx: Context, artifact: Artifact, rows: Rows, *, allow_pickle: bool) -> bytes:
    model = opened(ctx, artifact, "candidate", allow_pickle=allow_pickle)
    features = [str(f["name"]) for f in model.meta["features"]]
    frame = rows.read(ctx, features)
    ones = [frame.iloc[[i % len(frame)]] for i in range(_WARM + _CALLS)]
    seconds: list[float] = []
    began = time.perf_counter()
    for number, one in enumerate(ones):
        ctx.checkpoint()
        before = time.perf_counter()
        try:
            model.predict(one)
        except ValueError as error:
            raise ResourceError("Model cannot predict", str(error), argument="costs") from error
        after = time.perf_counter()
        if number >= _WARM:
            seconds.append(after - before)
        if after - began > _SECONDS and len(seconds) >= _FEWEST:
            break
    p50, p99 = (float(v) * 1000 for v in np.quantile(seconds, [0.5, 0.99]))
    told: dict[str, Any] = {"p50_ms": p50, "p99_ms": p99, "mean_ms": float(np.mean(seconds)) * 1000}
    return json.dumps({**told, "calls": len(seconds)}).encode()
