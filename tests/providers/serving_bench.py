"""Real models of real tumours, and a client, for the tests of serving and monitoring."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from os import kill, pidfd_open
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlform.sdk import Artifact, Handle, Stored
from mlform.sdk.testing import FakeContext
from mlform_core import models
from mlform_core.columns import conform
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments
from mlform_core.profiles import profile
from mlform_core.serving import log

NUMBERS = ["mean radius", "mean texture", "mean smoothness"]
FEATURES = [
    *({"name": n, "type": "float64"} for n in NUMBERS),
    {"name": "size", "type": "string"},
    {"name": "dense", "type": "bool"},
]
META = {
    "format": "skops",
    "task": "binary",
    "target": "benign",
    "classes": [0, 1],
    "features": FEATURES,
    "framework": "scikit-learn",
    "framework_version": "1",
}
DATATYPES = {"float64": "FP64", "string": "BYTES", "bool": "BOOL"}


DEADLY = 1000.0
"""Standard deviations of a radius that no tumour has."""
ADDRESS = "deployment.tumours"


class Life:
    """One deployment: what would be stored is kept from apply to apply."""

    def __init__(self, path: Path) -> None:
        self.ctx = FakeContext(path, address=ADDRESS)
        self.old = None

    def apply(self, artifact, **given):
        new = HttpArguments(model=handle(artifact), **given)
        self.old = Stored(new, Http().apply(self.ctx, new, self.old))
        return self.old.attributes

    def read(self):
        return Http().read(self.ctx, self.old)

    def destroy(self):
        return Http().destroy(self.ctx, self.old)

    def logged(self):
        return [e for e, _ in log.entries(self.ctx.home / "log", None)]


def table() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    frame = data.data[NUMBERS].copy()
    frame["size"] = pd.cut(data.data["mean area"], 3, labels=["s", "m", "l"]).astype(object)
    frame["dense"] = data.data["mean compactness"] > 0.1
    return frame


class Deadly(LogisticRegression):
    """Ends the process that predicts a row of a certain kind."""

    def predict_proba(self, X):  # noqa: N803 - as scikit-learn has it
        if (np.asarray(X)[:, -4] > DEADLY).any():
            os._exit(7)
        return super().predict_proba(X)


class Raising(LogisticRegression):
    """Fails on a row of a certain kind."""

    def predict_proba(self, X):  # noqa: N803 - as scikit-learn has it
        if (np.asarray(X)[:, -4] > DEADLY).any():
            raise RuntimeError("no such tumour")
        return super().predict_proba(X)


def fitted(strength: float = 1.0, last=LogisticRegression, unknown="ignore", impute=True):
    frame = conform(table(), FEATURES)
    imputer = [SimpleImputer()] if impute else []
    front = ColumnTransformer(
        [
            ("c", OneHotEncoder(handle_unknown=unknown, sparse_output=False), ["size"]),
            ("n", make_pipeline(*imputer, StandardScaler()), [*NUMBERS, "dense"]),
        ]
    )
    model = make_pipeline(front, last(C=strength))
    return model.fit(frame, load_breast_cancer().target)


def bundle(ctx: FakeContext, strength: float = 1.0, model=None, **meta) -> Artifact:
    """Train on tumours, and put the model into the store of ``ctx``."""
    model = fitted(strength) if model is None else model
    predictions = model.predict_proba(conform(table(), FEATURES))[:, 1]
    reference = profile(table().assign(prediction=predictions))
    allowed = meta.get("format") == "pickle"
    path = models.save(model, {**META, **meta}, reference, ctx.workdir, allowed)
    return ctx.artifacts.put_file(path, models.MEDIA_TYPE)


def handle(artifact: Artifact) -> Handle:
    return Handle(
        address="model.tumours", attribute="champion", digest=artifact.digest, artifact=artifact
    )


def body(frame: pd.DataFrame) -> dict:
    """Return rows as a request of the protocol."""
    inputs = []
    for feature in FEATURES:
        data = [None if pd.isna(v) else v for v in frame[feature["name"]].tolist()]
        datatype = DATATYPES[feature["type"]]
        tensor = {"name": feature["name"], "datatype": datatype, "shape": [len(data)]}
        inputs.append({**tensor, "data": data})
    return {"inputs": inputs}


def call(url: str, data=None, method=None, headers=None) -> tuple[int, dict]:
    """Return the status and the JSON that is answered."""
    sent = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    request = urllib.request.Request(url, sent, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def end_of(pid: int, number: int = 0) -> None:
    """Send a signal, if one is given, and wait until the process is no more."""
    handle = pidfd_open(pid)
    if number:
        kill(pid, signal.Signals(number))
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    assert waiting.poll(30_000), f"process {pid} is still there"


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def until(done: Callable[[], bool]) -> None:
    """Ask again and again until it is so; fail if it does not come to that."""
    tick = threading.Event()
    for _ in range(3000):
        if done():
            return
        tick.wait(0.01)
    raise AssertionError("it did not come to that in time")


class Load:
    """Clients that ask without pause: one connection each, kept or new for every request."""

    def __init__(self, url, request: bytes, kept: int = 3, fresh: int = 3, headers=None) -> None:
        self.headers = headers or {}
        self.url, self.request = urllib.parse.urlsplit(url), request
        self.answers: list[list[str]] = []
        self.failures: list[str] = []
        self.changed = threading.Condition()
        self.ending = threading.Event()
        kinds = [True] * kept + [False] * fresh
        self.threads = [threading.Thread(target=self._ask, args=(k,)) for k in kinds]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)

    def until(self, enough: Callable[[list[str]], bool]) -> None:
        """Wait until the answers of every client are enough."""
        with self.changed:
            everyone = self.changed.wait_for(
                lambda: (
                    self.failures
                    or (len(self.answers) == len(self.threads) and all(map(enough, self.answers)))
                ),
                timeout=60,
            )
        assert everyone and not self.failures, self.failures

    def _ask(self, keep: bool) -> None:
        mine: list[str] = []
        with self.changed:
            self.answers.append(mine)
        connection = self._connect()
        try:
            while not self.ending.is_set():
                if not keep:
                    connection.close()
                    connection = self._connect()
                connection.request("POST", f"{self.url.path}/infer", self.request, self.headers)
                response = connection.getresponse()
                said = json.load(response)
                assert response.status == 200, said
                with self.changed:
                    mine.append(said["model_version"])
                    self.changed.notify_all()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request
            with self.changed:
                self.failures.append(repr(error))
                self.changed.notify_all()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        assert self.url.hostname is not None
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=30)
        connection.connect()
        # A reconnect behind our back would hide a closed connection.
        connection.auto_open = 0
        return connection
