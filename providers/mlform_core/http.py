"""``deployment "http"``: a model behind a real HTTP server that outlives the command."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Artifact,
    Attributes,
    Context,
    Handle,
    Identity,
    Imported,
    Looking,
    Metadata,
    Operational,
    Resource,
    ResourceError,
    Secret,
    Stored,
    Volatile,
)

if TYPE_CHECKING:
    from mlform_core.serving.settings import Serving

_MEGABYTE = 1_000_000
_PATIENCE = 10.0
_SHORTEST_TOKEN: Final = 16


class Log(BaseModel):
    """What is kept of requests and answers, for the monitor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of requests that is logged."""
    keep_mb: float = Field(default=1024, ge=1)
    """Beyond this the oldest entries go."""


class Runtime(BaseModel):
    """How a model runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["auto", "native"] = "auto"
    """"auto": as an ONNX graph where the model converts and answers are equal, else by its own
    library; "native": by that."""
    tolerance: float = Field(default=1e-4, gt=0)
    """Answers are equal if |answer − model| ≤ tolerance × (1 + |model|)."""


class Rollout(BaseModel):
    """How a new revision takes over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["all_at_once", "canary"] = "all_at_once"
    steps: list[float] = Field(default_factory=list)
    bake: str = ""
    on_breach: str = ""

    @field_validator("kind")
    @classmethod
    def _there(cls, value: str) -> str:
        if value != "all_at_once":
            raise ValueError(f'"{value}" is not available yet: use "all_at_once"')
        return value


class HttpArguments(Arguments):
    """Which model, where."""

    model: Handle
    name: Identity[str | None] = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name in URLs; the resource's name unless it is given."""
    host: Identity[str] = "127.0.0.1"
    port: Operational[int] = Field(default=0, ge=0, le=65535)
    """0: a free one, kept from then on."""
    log: Operational[Log] = Log()
    timeout_s: Operational[float] = Field(default=30.0, gt=0)
    """A request that takes longer is answered with 504."""
    max_body_mb: Operational[float] = Field(default=16.0, gt=0)
    workers: Operational[int] = Field(default=1, ge=1, le=64)
    """Processes that predict; the death of one fails no request."""
    runtime: Operational[Runtime] = Runtime()
    tokens: Secret[list[str] | None] = None
    """Whoever sends one of these (``Authorization: Bearer TOKEN``) is let in. Not set: everyone."""
    tokens_env: Operational[str | None] = None
    """The environment variable that holds the tokens, with commas between them."""
    rollout: Operational[Rollout] = Rollout()
    allow_pickle: Operational[bool] = False
    """Load a model that is a pickle, which runs code of its maker."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("tokens")
    @classmethod
    def _long(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and (not value or min(map(len, value)) < _SHORTEST_TOKEN):
            raise ValueError(f"give tokens of at least {_SHORTEST_TOKEN} characters each")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.tokens is not None and self.tokens_env is not None:
            raise ValueError("write one of tokens and tokens_env")
        return self


class HttpAttributes(Attributes):
    """Where it answers, and with what."""

    url: str
    """Of the model: ``POST url/infer`` predicts."""
    answers: str
    """The digest that answered when it was asked."""
    name: str
    port: int
    log_dir: str
    """The request log, relative to the folder of the spec."""
    runtime: Volatile[str] = ""
    """"onnx" or "native"."""
    difference: Volatile[float] = 0.0
    """How far answers were from those of the model itself, over the rows that were compared."""
    pid: Volatile[int]
    revision: Volatile[int]
    """Counts the models that served here."""
    started: Volatile[str] = ""
    """When the process was ready."""


StoredHttp: TypeAlias = Stored[HttpArguments, HttpAttributes]
ImportedHttp: TypeAlias = Imported[HttpAttributes]


class Http(Resource[HttpArguments, HttpAttributes], kind="deployment", type="http"):
    """A model served over the Open Inference Protocol by a process of this machine.

    A new model is loaded and tried beside the old one and takes its place between two requests:
    no connection is closed. A model that cannot be loaded, or cannot predict, is refused and the
    old one goes on. Afterwards the endpoint is asked which digest answers.
    """

    preload = ("pandas", "sklearn.ensemble", "skops.io")

    def apply(self, ctx: Context, new: HttpArguments, old: StoredHttp | None) -> HttpAttributes:
        """Start, roll or restart the server; return what answers."""
        from mlform_core.serving import settings

        kept = settings.read(ctx.home)
        serving = _serving(ctx, new, old, kept)
        ctx.progress(0, 2, "loading the model")
        _copy(ctx, serving.digest)
        _prepared(ctx, new, serving)
        port = _rolled(ctx.home, serving, kept)
        if port is None:
            port = _restarted(ctx.home, serving, kept)
        ctx.progress(1, 2, "asking what answers")
        return _answering(ctx, replace(serving, port=port))

    def read(self, ctx: Looking, old: StoredHttp) -> HttpAttributes | None:
        """Ask the endpoint which digest answers."""
        from mlform_core.serving import control, settings

        serving = settings.read(ctx.home)
        if serving is None:
            return None
        answers = control.digest_at(serving, old.attributes.port)
        return None if answers is None else old.attributes.model_copy(update={"answers": answers})

    def import_(self, ctx: Context, id: str, new: HttpArguments | None) -> ImportedHttp | None:  # noqa: A002 - as the SDK has it
        """Take over a server that mlform started here and left running, by its URL.

        An endpoint of anyone else is refused: it could neither be rolled nor stopped, and what
        it says of itself proves nothing.
        """
        from mlform_core.serving import control, settings

        serving = settings.read(ctx.home)
        if serving is None or settings.holder(ctx.home) is None:
            detail = (
                f"No server that mlform started for {ctx.address} runs from this folder. An "
                "endpoint of another kind cannot be rolled or stopped from here, nor is it known "
                "which model answers: deploy beside it, and move its callers."
            )
            raise ResourceError("Not ours", detail)
        url = _url(serving)
        if id.rstrip("/") != url:
            detail = f"What runs for {ctx.address} answers at {url}."
            raise ResourceError("Another endpoint", detail)
        if control.digest_at(serving, serving.port, timeout=_PATIENCE) is None:
            return None
        attributes = _answering(ctx, serving)
        return Imported(attributes, _told(ctx, new, serving))

    def destroy(self, ctx: Context, old: StoredHttp) -> str:
        """Let requests finish, then end the server; the request log stays, unless it is purged."""
        from mlform_core.serving import control, log, settings

        control.stop(ctx.home)
        shutil.rmtree(ctx.home / settings.BUNDLES, ignore_errors=True)
        for name in (settings.SETTINGS, settings.LOCK):
            (ctx.home / name).unlink(missing_ok=True)
        folder = ctx.home / settings.LOG
        if ctx.purge:
            return ""  # the engine deletes all of the folder
        return f"the request log in {_relative(folder, ctx.root)}" if log.files(folder) else ""


def _serving(
    ctx: Context, new: HttpArguments, old: StoredHttp | None, kept: Serving | None
) -> Serving:
    from mlform_core.serving.settings import Serving

    digest = _model(new.model).digest
    before = 0 if old is None else old.attributes.revision
    if kept is not None:
        before = kept.revision - (kept.digest == digest)
    at = old.attributes.port if old is not None else 0
    return Serving(
        name=new.name or _own_name(ctx.address),
        digest=digest,
        host=new.host,
        port=new.port or (kept.port if kept else at),
        token=kept.token if kept else secrets.token_urlsafe(24),
        revision=before + 1,
        sample=new.log.sample,
        log_bytes=int(new.log.keep_mb * _MEGABYTE),
        max_body=int(new.max_body_mb * _MEGABYTE),
        timeout=new.timeout_s,
        allow_pickle=new.allow_pickle,
        workers=new.workers,
        tokens=[hashlib.sha256(t.encode()).hexdigest() for t in _tokens(new)],
    )


def _tokens(new: HttpArguments) -> list[str]:
    if new.tokens_env is None:
        return new.tokens or []
    given = [t.strip() for t in os.environ.get(new.tokens_env, "").split(",")]
    if min(map(len, given)) < _SHORTEST_TOKEN:
        detail = (
            f"The environment variable {new.tokens_env} holds no tokens of at least "
            f"{_SHORTEST_TOKEN} characters, with commas between them."
        )
        raise ResourceError("No tokens", detail, argument="tokens_env")
    return given


def _model(handle: Handle) -> Artifact:
    """Return the model a handle means; of a whole resource the champion, or its one model."""
    if handle.artifact is not None:
        return handle.artifact
    for name in ("champion", "model"):
        if handle.attributes.get(name):
            return handle.artifact_at(name)
    detail = f"{handle.address} gives no model. Write model = model.NAME.champion."
    raise ResourceError("Not a model", detail, argument="model")


def _own_name(address: str) -> str:
    return address.rpartition(".")[2].partition("[")[0]


def _copy(ctx: Context, digest: str) -> None:
    """Copy the model beside the server, so that it can start again without the store."""
    from mlform_core.serving import settings

    target = settings.model(settings.bundle(ctx.home, digest))
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        ctx.artifacts.checkout(digest, fresh)  # settled: what has its name is the model
    except KeyError:
        detail = f"The model {digest} is not in the artifact store any more. Train it again."
        raise ResourceError("Model not found", detail, argument="model") from None
    fresh.replace(target)


def _prepared(ctx: Context, new: HttpArguments, serving: Serving) -> None:
    """Have the model answer as itself, in the way it is to be served."""
    from mlform_core.serving import prepared, settings

    folder, wanted = settings.bundle(ctx.home, serving.digest), new.runtime
    found = prepared.read(folder)
    if found is not None and found.tolerance == wanted.tolerance:
        forced = found.runtime == "native" and found.why == prepared.FORCED
        if forced == (wanted.kind == "native"):
            return
    graph, pickled = wanted.kind == "auto", new.allow_pickle
    try:
        found = prepared.prepare(
            folder, serving.digest, wanted.tolerance, graph=graph, allow_pickle=pickled
        )
    except ResourceError as error:
        if settings.holder(ctx.home) is None:
            raise
        detail = f"{error.detail} The server goes on as before."
        raise ResourceError(error.summary, detail, argument=error.argument) from error
    how = f"by its own library: {found.why}" if found.why else "as an ONNX graph"
    ctx.log(f"the model runs {how}; answers are within {found.difference:.1g} of its own")


def _rolled(home: Path, serving: Serving, kept: Serving | None) -> int | None:
    """Give a running server its new settings and model; ``None`` if it has to start (again)."""
    from mlform_core.serving import control, settings

    where = ("name", "host", "port")
    if kept is None or any(getattr(kept, f) != getattr(serving, f) for f in where):
        return None
    if settings.holder(home) is None:
        return None
    # Patient: a busy server is not a dead one, and a restart would fail requests.
    answers = control.digest_at(kept, kept.port, timeout=_PATIENCE)
    if answers is None:
        return None
    if kept != serving or answers != serving.digest:
        control.roll(serving, kept.port)
    return kept.port


def _restarted(home: Path, serving: Serving, kept: Serving | None) -> int:
    from mlform_core.serving import control, settings

    served = settings.holder(home) is not None
    control.stop(home)
    settings.write(home, serving)
    try:
        port = int(control.start(home)["port"])
    except ResourceError:
        if kept is not None:
            settings.write(home, kept)
            if served:
                control.start(home)
        raise
    settings.write(home, replace(serving, port=port))
    return port


def _answering(ctx: Context, serving: Serving) -> HttpAttributes:
    """Ask the endpoint what answers; raise ``ResourceError`` if that is not what should."""
    from mlform_core.serving import control, prepared, settings

    answers = control.digest_at(serving, serving.port, timeout=_PATIENCE)
    if answers != serving.digest:
        who = f"{answers} answers" if answers else "Nothing of ours answers"
        detail = f"{who} at {serving.reach}:{serving.port}; {serving.digest} should."
        raise ResourceError("Endpoint does not serve the model", detail)
    for path in (ctx.home / settings.BUNDLES).iterdir():
        if path != settings.bundle(ctx.home, serving.digest):
            shutil.rmtree(path, ignore_errors=True)
    there: dict[str, Any] = settings.started(ctx.home)
    said = prepared.read(settings.bundle(ctx.home, serving.digest))
    assert said is not None, "what answers was prepared"
    return HttpAttributes(
        url=_url(serving),
        answers=answers,
        name=serving.name,
        port=serving.port,
        log_dir=_relative(ctx.home / settings.LOG, ctx.root),
        pid=there["pid"],
        revision=serving.revision,
        runtime=said.runtime,
        difference=said.difference,
        started=there["started"],
    )


def _url(serving: Serving) -> str:
    host = f"[{serving.reach}]" if ":" in serving.reach else serving.reach
    return f"http://{host}:{serving.port}/v2/models/{serving.name}"


def _told(ctx: Context, new: HttpArguments | None, serving: Serving) -> dict[str, Any]:
    """Return the arguments that a running server tells of, as its block would have them."""
    told: dict[str, Any] = {
        "host": serving.host,
        "port": serving.port,
        "log": {"sample": serving.sample, "keep_mb": serving.log_bytes / _MEGABYTE},
        "timeout_s": serving.timeout,
        "max_body_mb": serving.max_body / _MEGABYTE,
        "allow_pickle": serving.allow_pickle,
        "workers": serving.workers,
    }
    if new is None or serving.name != (new.name or _own_name(ctx.address)):
        told["name"] = serving.name
    if new is not None and new.port == 0:
        del told["port"]
    if new is None or _model(new.model).digest != serving.digest:
        address, attribute = ctx.address, "answers"
        if new is not None:
            address, attribute = new.model.address, new.model.attribute or "champion"
        told["model"] = Handle(address=address, attribute=attribute, digest=serving.digest)
    return told


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
