"""The ASGI application: routes, limits, and the swap of models under load."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import random
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from mlform.sdk import ResourceError
from mlform_core.serving import settings
from mlform_core.serving.batch import Batcher, OverloadedError, PredictionError
from mlform_core.serving.log import RequestLog
from mlform_core.serving.protocol import RequestError, answer, columns_of, metadata
from mlform_core.serving.revision import Revision, prepare
from mlform_core.serving.settings import Serving

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Reply:
    """A status and a JSON body."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class _GoneError(Exception):
    """The client hung up before its request was complete."""


class App:
    """Serves one model; another takes its place without a request noticing.

    A request is answered by the revision that was current when it had come in whole.
    """

    def __init__(self, home: Path, serving: Serving, current: Revision, log: RequestLog) -> None:
        self.home, self.serving, self.current, self.log = home, serving, current, log
        self.batcher = Batcher()
        self._rolling = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except _GoneError:
            return
        data = orjson.dumps(reply.body)
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        pairs = [(k.encode(), v.encode()) for k, v in {**headers, **reply.headers}.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
        body = b"" if scope["method"] == "HEAD" else data
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        try:
            return await self._route(scope, receive)
        except RequestError as error:
            self._log_refusal(error)
            return Reply(400, {"error": str(error), "problems": error.problems})
        except _TooLargeError:
            limit = self.serving.max_body
            return Reply(413, {"error": f"The body is larger than {limit:,} bytes."})
        except TimeoutError:
            return Reply(504, {"error": f"No answer within {self.serving.timeout:g} s."})
        except OverloadedError:
            return Reply(503, {"error": "Too many requests wait."}, {"retry-after": "1"})
        except PredictionError as error:
            return Reply(500, {"error": f"The model failed: {error}"})
        except _GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - a client gets JSON whatever happens
            traceback.print_exception(error, file=sys.stderr)
            return Reply(500, {"error": f"Internal error: {type(error).__name__}."})

    async def _route(self, scope: Scope, receive: Receive) -> Reply:
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        model = f"/v2/models/{self.serving.name}"
        if path in {f"{model}/infer", "/control/load"}:
            if method != "POST":
                return Reply(405, {"error": f"Use POST for {path}."}, {"allow": "POST"})
            act = self._infer if path.endswith("/infer") else self._load
            return await act(scope, receive)
        known = self._look(path, model)
        if known is None:
            return Reply(404, {"error": f"There is nothing at {path}. The model is at {model}."})
        if method not in {"GET", "HEAD"}:
            return Reply(405, {"error": f"Use GET for {path}."}, {"allow": "GET, HEAD"})
        return Reply(200, known)

    def _look(self, path: str, model: str) -> Mapping[str, Any] | None:
        if path == model:
            return metadata(self.current, self.serving.name, self.serving.identity)
        if path == "/v2":
            return {"name": "mlform", "version": "2", "extensions": []}
        if path == "/v2/health/live":
            return {"live": True}
        if path in {"/v2/health/ready", f"{model}/ready"}:
            return {"ready": True, "name": self.serving.name}
        return None

    async def _infer(self, scope: Scope, receive: Receive) -> Reply:
        serving = self.serving
        body = _parsed(await _body(scope, receive, serving.max_body))
        revision = self.current
        columns, rows = columns_of(body, revision.model.meta)
        async with asyncio.timeout(serving.timeout):
            predicted = await self.batcher.predict(revision, columns, rows)
        given = body.get("id")
        request = uuid.uuid4().hex if given is None else str(given)
        response, logged = answer(revision, predicted, serving.name, request, body)
        if self._sampled():
            what = {"id": request, "d": revision.digest, "i": columns, "p": logged}
            self.log.put({"t": time.time(), **what})
        return Reply(200, response)

    def _sampled(self) -> bool:
        return random.random() < self.serving.sample  # noqa: S311 - sampling is no secret

    def _log_refusal(self, error: RequestError) -> None:
        if self._sampled():
            what = {"d": self.current.digest, "e": str(error)[:1000], "n": error.rows}
            self.log.put({"t": time.time(), **what})

    async def _load(self, scope: Scope, receive: Receive) -> Reply:
        """Take other settings, and the model they name, in place of what is current."""
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        theirs = hmac.compare_digest(given.encode(), f"Bearer {self.serving.token}".encode())
        if not theirs or not _local(scope):
            return Reply(403, {"error": "This is for the engine."})
        wanted = Serving(**_parsed(await _body(scope, receive, 1_000_000)))
        async with self._rolling:
            try:
                fresh = await asyncio.to_thread(self._prepared, wanted)
            except ResourceError as error:
                said = {"summary": error.summary, "detail": error.detail}
                return Reply(409, {"error": str(error), **said, "argument": error.argument})
            self.current, self.serving = fresh, wanted
        return Reply(200, {"digest": fresh.digest})

    def _prepared(self, wanted: Serving) -> Revision:
        now = self.current
        if wanted.digest == now.digest:
            fresh = Revision(now.model, now.digest, wanted.revision)
        else:
            fresh = prepare(self.home, wanted)
        # Written before the swap: what starts again after a crash serves what answered last.
        settings.write(self.home, wanted)
        return fresh


class _TooLargeError(Exception):
    """The body is over the limit."""


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise _TooLargeError
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _TooLargeError
        more = message.get("more_body", False)
    return b"".join(parts)


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError as error:
        hint = "; write a missing value as null" if b"NaN" in data else ""
        raise RequestError([f"the body is no JSON: {error}{hint}"]) from None


def _local(scope: Scope) -> bool:
    """Tell whether a request comes from this machine."""
    client, server = scope.get("client"), scope.get("server")
    if client is None:
        return False
    return ipaddress.ip_address(client[0]).is_loopback or (
        server is not None and client[0] == server[0]
    )
