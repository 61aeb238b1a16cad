"""Requests of one row each to a scikit-learn pipeline, beside MLflow, BentoML and MLServer.

Every server runs the same pipeline in one worker process, by its own defaults otherwise; ours
with the request log and metrics on. They are asked in turn by ``wrk`` (over kept connections), and
each answer is compared with the pipeline's own before anything is measured. The environment
variables MLFLOW, BENTOML and MLSERVER name the Pythons that the peers are installed in.

    python benchmarks/serving.py [--model logistic|forest|boosting] [--runtime auto|native]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import serving_pipeline as pipelines

from mlform.sdk import Handle
from mlform.sdk.testing import FakeContext
from mlform_core import models
from mlform_core.columns import conform
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments, Runtime
from mlform_core.profiles import profile
from mlform_core.serving import control

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """A server that answers: where, what it is sent, and the probability in its answer."""

    name: str
    pids: list[int]
    url: str
    body: bytes
    probability: Callable[[Any], float]


@contextmanager
def ours(kind: str, folder: Path, workers: int, runtime: str) -> Iterator[Target]:
    """Serve the pipeline with the deployment type "http"."""
    ctx = FakeContext(folder / "ours", address="deployment.bench")
    frame, _ = pipelines.table()
    frame = conform(frame, pipelines.FEATURES)
    pipeline = pipelines.fitted(kind)
    predictions = pipeline.predict_proba(frame)[:, 1]
    meta = {"format": "skops", "task": "binary", "target": "benign", "classes": [0, 1]}
    meta |= {"features": pipelines.FEATURES, "framework": "scikit-learn", "framework_version": "1"}
    reference = profile(frame.assign(prediction=predictions))
    ctx.workdir.mkdir(parents=True, exist_ok=True)
    path = models.save(pipeline, meta, reference, ctx.workdir)
    artifact = ctx.artifacts.put_file(path, models.MEDIA_TYPE)
    handle = Handle(
        address="model.bench", attribute="champion", digest=artifact.digest, artifact=artifact
    )
    made = Http().apply(
        ctx, HttpArguments(model=handle, workers=workers, runtime=Runtime(kind=runtime)), None
    )
    inputs = [
        {
            "name": f["name"],
            "datatype": "BYTES" if f["type"] == "string" else "FP64",
            "shape": [1],
            "data": [pipelines.row()[f["name"]]],
        }
        for f in pipelines.FEATURES
    ]
    try:
        yield Target(
            "mlform",
            [made.pid],
            f"{made.url}/infer",
            json.dumps({"inputs": inputs}).encode(),
            lambda said: said["outputs"][0]["data"][0],
        )
    finally:
        control.stop(ctx.home)


@contextmanager
def peer(name: str, kind: str, folder: Path) -> Iterator[Target]:
    """Serve the pipeline with a peer, from the environment its variable names."""
    python = os.environ[name.upper()]
    port = _free()
    subprocess.run(
        [python, "-W", "ignore", HERE / "serving_pipeline.py", name, kind, folder], check=True
    )
    programs = Path(python).parent
    command, path, body, probability = {
        "mlflow": (
            [
                *(programs / "mlflow", "models", "serve", "-m", folder / "mlflow"),
                *("-p", str(port), "--env-manager", "local", "-w", "1"),
            ],
            "/invocations",
            {
                "dataframe_split": {
                    "columns": list(pipelines.row()),
                    "data": [list(pipelines.row().values())],
                }
            },
            lambda said: said["predictions"][0][1],
        ),
        "bentoml": (
            [programs / "bentoml", "serve", "serving_bento:Tumours", "-p", str(port)],
            "/predict",
            {"rows": [pipelines.row()]},
            lambda said: said[0][1],
        ),
        "mlserver": (
            [programs / "mlserver", "start", folder / "mlserver"],
            "/v2/models/tumours/infer",
            {
                "parameters": {"content_type": "pd"},
                "inputs": [
                    {
                        "name": n,
                        "datatype": "BYTES" if isinstance(v, str) else "FP64",
                        "shape": [1, 1],
                        "data": [v],
                        **({"parameters": {"content_type": "str"}} if isinstance(v, str) else {}),
                    }
                    for n, v in pipelines.row().items()
                ],
                "outputs": [{"name": "predict_proba"}],
            },
            lambda said: said["outputs"][0]["data"][1],
        ),
    }[name]
    if name == "mlserver":
        settings = json.loads((folder / "mlserver" / "settings.json").read_text())
        settings |= {"http_port": port, "grpc_port": _free(), "metrics_port": _free()}
        (folder / "mlserver" / "settings.json").write_text(json.dumps(settings))
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE),
        "SERVING_MODEL": str(folder / "bentoml.joblib"),
    }
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(c) for c in command],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Target(
            name,
            [process.pid],
            f"http://127.0.0.1:{port}{path}",
            json.dumps(body).encode(),
            probability,
        )
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port


def ask(target: Target, patience: float = 90) -> Any:
    """Return the first answer, once the server is up."""
    headers = {"Content-Type": "application/json"}
    deadline = time.monotonic() + patience
    while True:
        request = urllib.request.Request(target.url, target.body, headers)  # noqa: S310 - our own URL
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
                return json.load(response)
        except urllib.error.HTTPError as error:
            if time.monotonic() > deadline or error.code < 500:
                sys.exit(f"{target.name}: {error.code} {error.read().decode()[:500]}")
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{target.name}: {error}")
        time.sleep(0.2)


_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def load(target: Target, connections: int, seconds: float, folder: Path) -> dict[str, float]:
    """Return requests per second, p50 and p99 (ms), and the server's CPU (µs a request)."""
    script = folder / "post.lua"
    body = target.body.decode().replace("]]", "] ]")
    script.write_text(
        f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body=[[{body}]]\n'
    )
    before = _cpu(target.pids)
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "--timeout",
            "30s",
            "-s",
            script,
            target.url,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cpu = _cpu(target.pids) - before
    if "Non-2xx" in done or "Socket errors" in done:
        sys.exit(f"{target.name} failed requests:\n{done}")
    found = {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])}
    for share in ("50", "99"):
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)", done).groups()
        found[f"p{share}"] = float(value) * _UNIT[unit]
    requests = int(re.search(r"(\d+) requests in", done)[1])
    return {**found, "cpu": cpu / requests * 1e6}


def _cpu(pids: list[int]) -> float:
    """Return the CPU seconds of processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, list(pids)
    while todo:
        pid = todo.pop()
        total += used.get(pid, 0.0)
        todo += children.get(pid, [])
    return total


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="logistic", choices=sorted(pipelines.FINAL))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runtime", default="auto", choices=("auto", "native"))
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not on the PATH.")
    expected = pipelines.fitted(given.model).predict_proba(pd.DataFrame([pipelines.row()]))[0, 1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows: dict[str, list[dict[str, float]]] = {}
        for name in ("mlform", "mlflow", "bentoml", "mlserver"):
            if name != "mlform" and name.upper() not in os.environ:
                print(f"{name} is left out: {name.upper()} names no Python.")
                continue
            serve = (
                ours(given.model, folder, given.workers, given.runtime)
                if name == "mlform"
                else peer(name, given.model, folder)
            )
            with serve as target:
                found = target.probability(ask(target))
                if abs(found - expected) > 1e-4:
                    sys.exit(f"{name} answers {found}, the pipeline {expected}.")
                load(target, given.connections, 1, folder)
                rows[name] = [
                    load(target, given.connections, given.seconds, folder)
                    for _ in range(given.turns)
                ]
    _tell(rows)


def _tell(rows: dict[str, list[dict[str, float]]]) -> None:
    middle = {
        n: {k: statistics.median(r[k] for r in turns) for k in turns[0]}
        for n, turns in rows.items()
    }
    print("| server | requests/s | p50 ms | p99 ms | server CPU µs/request | ours: times |")
    print("|---|---|---|---|---|---|")
    for name, m in middle.items():
        ratio = middle["mlform"]["rps"] / m["rps"]
        print(
            f"| {name} | {m['rps']:,.0f} | {m['p50']:.2f} | {m['p99']:.2f} | "
            f"{m['cpu']:,.0f} | {ratio:.1f} |"
        )


if __name__ == "__main__":
    main()
