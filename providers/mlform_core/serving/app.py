"""The ASGI application: routes, limits, and the swap of models under load."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import random
import re
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from mlform.sdk import ResourceError
from mlform_core.serving import binary, metrics
from mlform_core.serving.log import RequestLog
from mlform_core.serving.openapi import description
from mlform_core.serving.pool import OverloadedError, PredictionError, Predictions, UnableError
from mlform_core.serving.protocol import RequestError, alike, answer, checked_keys, keyed, metadata
from mlform_core.serving.revision import Revision
from mlform_core.serving.settings import Serving, digest_of
from mlform_core.serving.traffic import Traffic, fresh_key

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]

_READ_SECONDS: Final = 30.0
"""How long a body may take to come in."""
_ASIDE_SECONDS: Final = 2.0
"""How long a server that ends waits for what its shadow says."""
_KEY: Final = b"mlform-key"
"""The header that says who asks: one key is answered by one model."""


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

    def __init__(self, traffic: Traffic, log: RequestLog) -> None:
        self.traffic, self.log = traffic, log
        self.metrics = metrics.Metrics(traffic.revisions, log)
        self._asides: set[asyncio.Task[None]] = set()

    @property
    def serving(self) -> Serving:
        """What the server is to do, now."""
        return self.traffic.serving

    @property
    def current(self) -> Revision:
        """What serves, now."""
        return self.traffic.current

    async def close(self) -> None:
        """Answer what waits, write down what was logged, and end the workers."""
        if self._asides:
            await asyncio.wait(self._asides, timeout=_ASIDE_SECONDS)
        # Before what may take long: whoever ends the server has no endless patience.
        self.log.close()
        await self.traffic.close()

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
        if path in {"/control/load", "/control/abandon"}:
            if method != "POST":
                return _not("POST", path)
            if not self._engines(scope) or not _local(scope):
                return Reply(403, {"error": "This is for the engine."})
            return await (self._load if path == "/control/load" else self._abandon)(scope, receive)
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
        trial = self.traffic.trial
        return {
            "name": self.serving.name,
            "server": self.serving.identity,
            "digest": self.current.digest,
            "variants": {r.label: r.digest for _, r in self.traffic.variants},
            "shadow": self.traffic.shadow.digest if self.traffic.shadow else "",
            "trial": None if trial is None else trial.told(),
            "outcome": self.traffic.outcome,
        }

    def _look(self, path: str, model: str) -> Reply | None:
        name, now = self.serving.name, self.current
        if path == model:
            return Reply(200, metadata(now, name, self.serving.identity))
        if path == "/v2":
            return Reply(200, {"name": "mlform", "version": "2", "extensions": [binary.EXTENSION]})
        if path == "/openapi.json":
            guarded = bool(self.serving.tokens)
            keys = self.serving.keys
            said = description(now.schema, name, now.digest, keys, guarded=guarded)
            return Reply(200, said)
        if path == "/metrics":
            return Reply(200, self.metrics.text(), {"content-type": metrics.CONTENT_TYPE})
        return None

    def _let_in(self, scope: Scope) -> bool:
        """Tell whether a client may ask: any, unless there are tokens."""
        if not self.serving.tokens:
            return True
        kind, _, token = _header(scope, b"authorization").partition(" ")
        known = digest_of(token) in self.serving.tokens
        return kind.lower() == "bearer" and (known or self._engines(scope))

    def _engines(self, scope: Scope) -> bool:
        given = _header(scope, b"authorization")
        return hmac.compare_digest(given.encode(), f"Bearer {self.serving.token}".encode())

    async def _infer(self, scope: Scope, receive: Receive) -> Reply:
        data = await _body(scope, receive, self.serving.max_body)
        body = _read(data, _header(scope, binary.HEADER.encode()))
        reply = await self._chosen(scope, body)
        if reply.status != 200 or (names := binary.wanted(body)) == set():
            return reply
        assert not isinstance(reply.body, bytes), "an answer is JSON"
        data, head = binary.encoded(reply.body, names)
        return Reply(
            200, data, {binary.HEADER: str(head), "content-type": "application/octet-stream"}
        )

    async def _chosen(self, scope: Scope, body: Any) -> Reply:
        """Answer by the model that has the request."""
        if not self.traffic.split:
            return (await self._by(self.current, body))[0]
        key = _header(scope, _KEY)
        choice = self.traffic.choose(key or fresh_key())
        reply, taken = await self._by(choice.revision, body)
        if choice.trial is None:
            return reply
        signal = self._signal(reply.status, taken)
        choice.trial.see(choice, signal, key)
        if choice.revision is choice.trial.revision and reply.status != 200:
            # What a canary cannot do is no client's concern.
            return (await self._by(self.current, body))[0]
        return reply

    async def _by(self, now: Revision, body: Any) -> tuple[Reply, float]:
        """Answer by a revision; and the seconds that it took."""
        begun, rows = time.perf_counter(), 0
        try:
            body, keys = keyed(body, self.serving.keys, now.schema.names)
            columns, rows = now.schema.columns(body)
            keys = checked_keys(keys, rows)
            reply = await self._predicted(now, body, columns, rows, keys)
        except RequestError as error:
            self._log_refusal(now, error)
            reply = _refusal(error)
        taken = time.perf_counter() - begun
        self.metrics.seen(now.label, reply.status, taken, rows if reply.status == 200 else 0)
        return reply, taken

    def _signal(self, status: int, taken: float) -> str | None:
        """Say what speaks against a model in an answer, if anything."""
        if status >= 500:
            return "errors"
        if status == 400:
            return "refusals"
        slow = self.serving.slow
        return "slow" if slow and taken > slow else None

    async def _predicted(
        self,
        now: Revision,
        body: Mapping[str, Any],
        columns: dict[str, list[Any]],
        rows: int,
        keys: dict[str, list[Any]],
    ) -> Reply:
        try:
            async with asyncio.timeout(self.serving.timeout):
                predicted = await now.pool.predict(columns, rows)
        except TimeoutError:
            return Reply(504, {"error": f"No answer within {self.serving.timeout:g} s."})
        except OverloadedError:
            return Reply(503, {"error": "Too many requests wait."}, {"retry-after": "1"})
        except UnableError as error:
            why = {"error": f"There is no answer now: {error}"}
            return Reply(503, why, {"retry-after": "1"})
        except PredictionError as error:
            return Reply(500, {"error": f"The model failed: {error}"})
        given = body.get("id")
        request = uuid.uuid4().hex if given is None else str(given)
        response, logged = answer(now, predicted, self.serving.name, request, body)
        what = {"t": time.time(), "id": request, **({"k": keys} if keys else {})}
        if sampled := self._sampled():
            seen = self._seen(columns, predicted)
            self.log.put({**what, "d": now.digest, **seen, "p": logged})
        if (shadow := self.traffic.shadow) is not None:
            said = self._beside(shadow, body, logged, what if sampled else None)
            aside = asyncio.create_task(said)
            self._asides.add(aside)
            aside.add_done_callback(self._asides.discard)
        return Reply(200, response)

    async def _beside(
        self, shadow: Revision, body: Any, served: list[Any], what: Mapping[str, Any] | None
    ) -> None:
        """Ask the shadow the same, once there is an answer that did not wait for it."""
        try:
            columns, rows = shadow.schema.columns(body)
            async with asyncio.timeout(self.serving.timeout):
                predicted = await shadow.pool.predict(columns, rows)
        except (RequestError, PredictionError, UnableError, OverloadedError, TimeoutError) as error:
            self.metrics.shadowed("failed")
            if what is not None:
                text = type(error).__name__ if self.serving.redact else f"{error}"[:1000]
                self.log.put({**what, "d": shadow.digest, "r": "shadow", "e": text, "n": 1})
            return
        _, logged = answer(shadow, predicted, self.serving.name, "", body)
        self.metrics.shadowed("same" if alike(served, logged) else "other")
        if what is not None:
            entry = {"d": shadow.digest, "r": "shadow", **self._seen(columns, predicted)}
            self.log.put({**what, **entry, "p": logged})

    def _seen(self, columns: dict[str, list[Any]], predicted: Predictions) -> dict[str, Any]:
        """Return what the log may have of what the model saw, and of what that was made of."""
        if predicted.features is None:
            return {"i": self._kept(columns)}
        return {"i": self._kept(predicted.features), "raw": self._kept(columns)}

    def _kept(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return what the log may have of the inputs."""
        if not self.serving.redact:
            return columns
        return {n: v for n, v in columns.items() if n not in self.serving.redact}

    def _sampled(self) -> bool:
        return random.random() < self.serving.sample  # noqa: S311 - sampling is no secret

    def _log_refusal(self, now: Revision, error: RequestError) -> None:
        if self._sampled():
            # What a model says of the rows it refuses may have any value of them in it.
            why = "refused" if self.serving.redact else str(error)[:1000]
            what = {"d": now.digest, "e": why, "n": error.rows}
            self.log.put({"t": time.time(), **what})

    async def _load(self, scope: Scope, receive: Receive) -> Reply:
        """Take other settings, and the models they name, in place of what is there."""
        wanted = Serving(**_parsed(await _body(scope, receive, 1_000_000)))
        try:
            done = await self.traffic.take(wanted)
        except ResourceError as error:
            said = {"summary": error.summary, "detail": error.detail}
            return Reply(409, {"error": str(error), **said, "argument": error.argument})
        self.log.keep = wanted.log_bytes
        return Reply(200 if done else 202, {"digest": self.current.digest})

    async def _abandon(self, scope: Scope, receive: Receive) -> Reply:
        """End a canary as if it had not been."""
        await self.traffic.abandon()
        return Reply(200, {"digest": self.current.digest})


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


def _read(data: bytes, head: str) -> Any:
    """Return a request, whether or not its tensors come in binary. Raises ``RequestError``."""
    if not head:
        return _parsed(data)
    if not re.fullmatch("[0-9]{1,18}", head) or int(head) > len(data):
        raise RequestError([f"{binary.HEADER} is {head[:20]!r}, of {len(data)} bytes"])
    size = int(head)
    return binary.decoded(_parsed(data[:size]), memoryview(data)[size:])


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
