"""The ASGI application: routes, limits, and the swap of models under load."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mlform_core.models import Model, load
from mlform_core.serving.log import RequestLog
from mlform_core.serving.protocol import RequestError, answer, frame_of, metadata
from mlform_core.serving.settings import Serving

Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Revision:
    """A model that answers, and its digest: one object, so that a swap is one assignment."""

    model: Model
    digest: str


class App:
    """Serves one model; another takes its place without a request noticing."""

    def __init__(self, serving: Serving, log: RequestLog) -> None:
        self.serving, self.log = serving, log
        self.current = _warm(Path(serving.bundle), serving.digest)
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="predict")
        self.model_path = f"/v2/models/{serving.name}"

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            status, body = await self._route(scope, receive)
        except RequestError as error:
            status, body = 400, {"error": str(error)}
        except _TooLarge:
            limit = self.serving.max_body
            status, body = 413, {"error": f"The body is larger than {limit:,} bytes."}
        data = b"" if body is None else json.dumps(body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _route(self, scope: Mapping[str, Any], receive: Receive) -> tuple[int, Any]:
        path, method = scope["path"].rstrip("/"), scope["method"]
        if path == f"{self.model_path}/infer":
            if method != "POST":
                return 405, {"error": "Use POST."}
            return await self._infer(receive)
        if path == "/control/load" and method == "POST":
            return await self._load(scope, receive)
        if method not in {"GET", "HEAD"}:
            return 405, {"error": "Use GET."}
        return self._look(path)

    def _look(self, path: str) -> tuple[int, Any]:
        revision = self.current
        if path in {"/v2/health/live", "/v2/health/ready", f"{self.model_path}/ready"}:
            return 200, {"ready": True}
        if path == "/v2":
            return 200, {"name": "mlform", "version": "2", "extensions": []}
        if path == self.model_path:
            identity = self.serving.identity
            return 200, metadata(revision.model, self.serving.name, revision.digest, identity)
        return 404, {"error": f"There is nothing at {path}. The model is at {self.model_path}."}

    async def _infer(self, receive: Receive) -> tuple[int, Any]:
        body = _parsed(await self._body(receive))
        revision = self.current
        run = asyncio.get_running_loop().run_in_executor
        response, line = await run(self.pool, self._predict, revision, body)
        if line is not None:
            self.log.put(line)
        return 200, response

    def _predict(self, revision: Revision, body: Any) -> tuple[dict[str, Any], bytes | None]:
        frame = frame_of(body, revision.model)
        response, predicted = answer(
            revision.model, frame, self.serving.name, revision.digest, body.get("id")
        )
        if random.random() >= self.serving.sample:  # noqa: S311 - sampling is no secret
            return response, None
        line = {
            "t": time.time(),
            "d": revision.digest,
            "i": {t["name"]: _flat(t["data"]) for t in body["inputs"]},
            "p": predicted,
        }
        return response, json.dumps(line).encode()

    async def _load(self, scope: Mapping[str, Any], receive: Receive) -> tuple[int, Any]:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if not hmac.compare_digest(given, f"Bearer {self.serving.token}"):
            return 403, {"error": "This is for the engine."}
        body = _parsed(await self._body(receive))
        loop = asyncio.get_running_loop()
        # A thread of its own: predictions go on while the new model is read and warmed.
        with ThreadPoolExecutor(1) as pool:
            fresh = await loop.run_in_executor(pool, _warm, Path(body["bundle"]), body["digest"])
        self.current = fresh
        return 200, {"digest": fresh.digest}

    async def _body(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.serving.max_body:
                raise _TooLarge
            parts.append(chunk)
            if not message.get("more_body", False):
                return b"".join(parts)


class _TooLarge(Exception):  # noqa: N818 - becomes a status
    pass


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise RequestError(f"The body is no JSON: {error}") from None


def _flat(data: list[Any]) -> list[Any]:
    return [v[0] if isinstance(v, list) else v for v in data]


def _warm(bundle: Path, digest: str) -> Revision:
    """Load a model and let it predict once, so that the first request finds it ready."""
    import pandas as pd

    model = load(bundle, allow_pickle=True)
    row = {f["name"]: [None] for f in model.meta["features"]}
    # A model that takes no missing values says so; it is loaded all the same.
    with contextlib.suppress(ValueError):
        model.predict(pd.DataFrame(row))
    return Revision(model, digest)
