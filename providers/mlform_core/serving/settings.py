"""What a server is to do, as a file it can start again from; and who holds a folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from mlform.sdk import ResourceError

SETTINGS: Final = "serving.json"
STARTED: Final = "server.json"
LOCK: Final = "server.lock"
BUNDLES: Final = "bundles"
VIEWS: Final = "views"
LOG: Final = "log"
SHORTEST_TOKEN: Final = 16
_CLAIM_TRIES: Final = 50


@dataclass(frozen=True)
class Serving:
    """One deployment. ``token`` lets the engine in, and tells our server from another's."""

    name: str
    digest: str
    host: str
    port: int
    token: str
    revision: int
    sample: float
    log_bytes: int
    redact: list[str]
    """Inputs whose values the log does not have."""
    max_body: int
    """Bytes."""
    timeout: float
    """Seconds."""
    allow_pickle: bool
    workers: int
    """Processes that predict."""
    tokens: list[str]
    """sha256 of each token that lets a client in; empty: everyone."""
    tokens_env: str
    """The environment variable in which the server finds tokens when it starts; "" for none."""
    port_env: str
    """The environment variable that has another port, if it is set; "" for none."""
    runtime: str
    """How models run: what was prepared by another word is loaded anew."""
    steps: list[float]
    """Shares of requests that a canary goes through; empty: a new model has all at once."""
    bake: float
    """Seconds of each step."""
    alpha: float
    """The chance of rolling back a canary that is no worse."""
    slow: float
    """Seconds after which an answer counts against a model; 0: none does."""
    variants: dict[str, list[Any]]
    """Digest and share of each model that answers a part of the requests, by name."""
    shadow: str
    """Digest of the model that is asked beside; "" for none."""
    keys: list[str] = field(default_factory=list)
    """Tensors that the log has and the model does not."""
    views: dict[str, str] = field(default_factory=dict)
    """Which feature view makes the features of a model, by the digests of both: of the models that
    run, and of some that ran before, to which one may come back."""

    @property
    def identity(self) -> str:
        """What the server says of itself: known only to who started it, and no secret."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:16]

    @property
    def digests(self) -> set[str]:
        """Of all the models that run."""
        found = {self.digest, self.shadow, *(digest for digest, _ in self.variants.values())}
        return found - {""}

    @property
    def makers(self) -> set[str]:
        """The digests of the feature views of the models that run."""
        return {self.views[digest] for digest in self.digests if digest in self.views}

    @property
    def reach(self) -> str:
        """The host to connect to: a server on all interfaces is reached on the loopback."""
        return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - to compare with


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_in(variable: str) -> list[str]:
    """Return the tokens in an environment variable. Raises ``ResourceError`` if that has none."""
    given = [t.strip() for t in os.environ.get(variable, "").split(",")]
    if min(map(len, given)) < SHORTEST_TOKEN:
        detail = (
            f"The environment variable {variable} holds no tokens of at least {SHORTEST_TOKEN} "
            "characters, with commas between them."
        )
        raise ResourceError("No tokens", detail, argument="tokens_env")
    return given


def bundle(home: Path, digest: str) -> Path:
    """Return the folder of a model of this digest beside the server."""
    return home / BUNDLES / digest.removeprefix("sha256:")


def view(home: Path, digest: str) -> Path:
    """Return the folder of a feature view of this digest beside the server."""
    return home / VIEWS / digest.removeprefix("sha256:")


def model(bundle: Path) -> Path:
    """Return the model in a bundle's folder."""
    return bundle / "model.mlform"


def graph(bundle: Path) -> Path:
    """Return the ONNX graph in a bundle's folder, which need not be there."""
    return bundle / "model.onnx"


def prepared(bundle: Path) -> Path:
    """Return what was worked out of the model in a bundle's folder."""
    return bundle / "prepared.json"


def read(home: Path) -> Serving | None:
    """Read the settings in a deployment's folder, if there are any."""
    try:
        return Serving(**json.loads((home / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(home: Path, serving: Serving) -> None:
    """Write the settings, readable by their owner alone."""
    _write(home / SETTINGS, asdict(serving))


def started(home: Path) -> dict[str, Any]:
    """Return what the server wrote last: ``pid``, and ``port`` or why it ``failed``."""
    try:
        found: dict[str, Any] = json.loads((home / STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def write_started(home: Path, port: int, at: str) -> None:
    """Say that the server is ready."""
    _write(home / STARTED, {"pid": os.getpid(), "port": port, "started": at})


def write_failed(home: Path, summary: str, detail: str, argument: str | None) -> None:
    """Say why the server ends before it was ready."""
    failed = {"summary": summary, "detail": detail, "argument": argument}
    _write(home / STARTED, {"pid": os.getpid(), "failed": failed})


def claim(home: Path) -> IO[str] | None:
    """Take the folder for this process until it ends; ``None`` if another server has it.

    The kernel gives a dead process's lock back, so a stale one cannot stay behind.
    """
    lock = (home / LOCK).open("a+", encoding="ascii")
    for patience in range(_CLAIM_TRIES, -1, -1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Perhaps somebody only asks who holds it.
            time.sleep(0.01 if patience else 0)
        else:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            return lock
    lock.close()
    return None


def holder(home: Path) -> int | None:
    """Return the process that serves from this folder, ``None`` if there is none."""
    try:
        lock = (home / LOCK).open(encoding="ascii")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = lock.read().strip()
            return int(text) if text else None
        return None


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
        json.dump(data, sink)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(path)
