"""The ASGI application: routes, limits, and the swap of models under load."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import random
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from mlform.sdk import ResourceError
from mlform_core.serving import metrics, revision, settings
from mlform_core.serving.log import RequestLog
from mlform_core.serving.openapi import description
from mlform_core.serving.pool import OverloadedError, PredictionError
from mlform_core.serving.protocol import RequestError, answer, metadata
from mlform_core.serving.revision import Revision
from mlform_core.serving.settings import Serving

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]

_READ_SECONDS: Final = 30.0
"""How long a body may take to come in."""


@dataclass(frozen=True)
class Reply:
    """A status and a body: JSON, unless it is bytes."""

    status: int
    body: Mapping[str, Any] | bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _GoneError(Exception):
    """The client hung up before its request was complete."""


class _TooLargeError(Exception):
    """The body is over the limit."""


class _TooSlowError(Exception):
    """The body does not come in."""


class App:
    """Serves one model; another takes its place without a request noticing.

    A request is answered by the revision that was current when it had come in whole.
    """

    def __init__(self, home: Path, serving: Serving, current: Revision, log: RequestLog) -> None:
        self.home, self.serving, self.current, self.log = home, serving, current, log
        self.metrics = metrics.Metrics(lambda: {"current": self.current}, log)
        self._rolling = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Answer what waits, and end the workers."""
        await asyncio.gather(self.current.pool.close(), *self._leaving)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except _GoneError:
            return
        body = reply.body
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = [(b"content-length", b"%d" % len(data))]
        if "content-type" not in reply.headers:
            headers.append((b"content-type", b"application/json"))
        headers += [(k.encode(), v.encode()) for k, v in reply.headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else data
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        try:
            return await self._route(scope, receive)
        except RequestError as error:
            return _refusal(error)
        except _TooLargeError:
            limit = self.serving.max_body
            return Reply(413, {"error": f"The body is larger than {limit:,} bytes."})
        except _TooSlowError:
            said = f"The body was not there after {_READ_SECONDS:g} s."
            return Reply(408, {"error": said}, {"connection": "close"})
        except _GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - a client gets JSON whatever happens
            traceback.print_exception(error, file=sys.stderr)
            return Reply(500, {"error": f"Internal error: {type(error).__name__}."})

    async def _route(self, scope: Scope, receive: Receive) -> Reply:
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        model = f"/v2/models/{self.serving.name}"
        if path == "/control/load":
            return await self._load(scope, receive) if method == "POST" else _not("POST", path)
        if path == "/control/answers":
            return Reply(200, self._answering())
        health = self._health(path, model)
        if health is None and not self._let_in(scope):
            said = "Send the header Authorization: Bearer TOKEN, with a token that is let in."
            return Reply(401, {"error": said}, {"www-authenticate": "Bearer"})
        if path == f"{model}/infer":
            return await self._infer(scope, receive) if method == "POST" else _not("POST", path)
        known = health or self._look(path, model)
        if known is None:
            return Reply(404, {"error": f"There is nothing at {path}. The model is at {model}."})
        return known if method in {"GET", "HEAD"} else _not("GET", path, "GET, HEAD")

    def _health(self, path: str, model: str) -> Reply | None:
        if path == "/v2/health/live":
            return Reply(200, {"live": True})
        if path in {"/v2/health/ready", f"{model}/ready"}:
            ready = self.current.pool.alive > 0
            return Reply(200 if ready else 503, {"ready": ready, "name": self.serving.name})
        return None

    def _answering(self) -> dict[str, Any]:
        """Say what the engine asks of a server before it knows that it is ours."""
        serving = self.serving
        said = {"name": serving.name, "server": serving.identity}
        return {**said, "digest": self.current.digest, "runtime": self.current.runtime}

    def _look(self, path: str, model: str) -> Reply | None:
        name, now = self.serving.name, self.current
        if path == model:
            return Reply(200, metadata(now, name, self.serving.identity))
        if path == "/v2":
            return Reply(200, {"name": "mlform", "version": "2", "extensions": []})
        if path == "/openapi.json":
            guarded = bool(self.serving.tokens)
            return Reply(200, description(now.schema, name, now.digest, guarded=guarded))
        if path == "/metrics":
            return Reply(200, self.metrics.text(), {"content-type": metrics.CONTENT_TYPE})
        return None

    def _let_in(self, scope: Scope) -> bool:
        """Tell whether a client may ask: any, unless there are tokens."""
        if not self.serving.tokens:
            return True
        kind, _, token = _header(scope, b"authorization").partition(" ")
        known = hashlib.sha256(token.encode()).hexdigest() in self.serving.tokens
        return kind.lower() == "bearer" and (known or self._engines(scope))

    def _engines(self, scope: Scope) -> bool:
        given = _header(scope, b"authorization")
        return hmac.compare_digest(given.encode(), f"Bearer {self.serving.token}".encode())

    async def _infer(self, scope: Scope, receive: Receive) -> Reply:
        data = await _body(scope, receive, self.serving.max_body)
        begun = time.perf_counter()
        now, rows = self.current, 0
        try:
            body = _parsed(data)
            columns, rows = now.schema.columns(body)
            reply = await self._predicted(now, body, columns, rows)
        except RequestError as error:
            self._log_refusal(now, error)
            reply = _refusal(error)
        done = rows if reply.status == 200 else 0
        self.metrics.seen(now.number, reply.status, time.perf_counter() - begun, done)
        return reply

    async def _predicted(
        self, now: Revision, body: Mapping[str, Any], columns: dict[str, list[Any]], rows: int
    ) -> Reply:
        try:
            async with asyncio.timeout(self.serving.timeout):
                predicted = await now.pool.predict(columns, rows)
        except TimeoutError:
            return Reply(504, {"error": f"No answer within {self.serving.timeout:g} s."})
        except OverloadedError:
            return Reply(503, {"error": "Too many requests wait."}, {"retry-after": "1"})
        except PredictionError as error:
            return Reply(500, {"error": f"The model failed: {error}"})
        given = body.get("id")
        request = uuid.uuid4().hex if given is None else str(given)
        response, logged = answer(now, predicted, self.serving.name, request, body)
        if self._sampled():
            what = {"id": request, "d": now.digest, "i": columns, "p": logged}
            self.log.put({"t": time.time(), **what})
        return Reply(200, response)

    def _sampled(self) -> bool:
        return random.random() < self.serving.sample  # noqa: S311 - sampling is no secret

    def _log_refusal(self, now: Revision, error: RequestError) -> None:
        if self._sampled():
            what = {"d": now.digest, "e": str(error)[:1000], "n": error.rows}
            self.log.put({"t": time.time(), **what})

    async def _load(self, scope: Scope, receive: Receive) -> Reply:
        """Take other settings, and the model they name, in place of what is current."""
        if not self._engines(scope) or not _local(scope):
            return Reply(403, {"error": "This is for the engine."})
        wanted = Serving(**_parsed(await _body(scope, receive, 1_000_000)))
        async with self._rolling:
            try:
                await self._take(wanted)
            except ResourceError as error:
                said = {"summary": error.summary, "detail": error.detail}
                return Reply(409, {"error": str(error), **said, "argument": error.argument})
        return Reply(200, {"digest": self.current.digest})

    async def _take(self, wanted: Serving) -> None:
        old, was = self.current, self.serving
        same = (was.digest, was.workers, was.timeout, was.allow_pickle)
        if same == (wanted.digest, wanted.workers, wanted.timeout, wanted.allow_pickle):
            fresh = replace(old, number=wanted.revision)
        else:
            fresh = await revision.opened(self.home, wanted)
        # Written before the swap: what starts again after a crash serves what answered last.
        settings.write(self.home, wanted)
        self.current, self.serving = fresh, wanted
        if fresh.pool is not old.pool:
            leaving = asyncio.create_task(old.pool.close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


def _refusal(error: RequestError) -> Reply:
    return Reply(400, {"error": str(error), "problems": error.problems})


def _not(method: str, path: str, allowed: str = "") -> Reply:
    return Reply(405, {"error": f"Use {method} for {path}."}, {"allow": allowed or method})


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), "")


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    length = _header(scope, b"content-length")
    if length.isdigit() and int(length) > limit:
        raise _TooLargeError
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(_READ_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _TooLargeError
                more = message.get("more_body", False)
    except TimeoutError:
        raise _TooSlowError from None
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
