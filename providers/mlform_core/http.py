"""``deployment "http"``: a model behind a real HTTP server that outlives the command."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mlform.sdk import (
    Arguments,
    Attributes,
    Context,
    Handle,
    Identity,
    Looking,
    Metadata,
    Operational,
    Resource,
    ResourceError,
    Stored,
    Volatile,
)

if TYPE_CHECKING:
    from mlform_core.serving.settings import Serving


class Log(BaseModel):
    """What is kept of requests and answers, for the monitor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of requests that is logged."""


class Rollout(BaseModel):
    """How a new revision takes over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["all_at_once"] = "all_at_once"

    @field_validator("kind", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value in {"canary", "blue_green", "shadow"}:
            raise ValueError(f'"{value}" is not available yet: use "all_at_once"')
        return value


class HttpArguments(Arguments):
    """Which model, where."""

    model: Handle
    name: Identity[str | None] = None
    """The model's name in URLs; the resource's name unless it is given."""
    host: Identity[str] = "127.0.0.1"
    port: Operational[int] = Field(default=0, ge=0, le=65535)
    """0: a free one, kept from then on."""
    log: Operational[Log] = Log()
    max_body_mb: Operational[float] = Field(default=16.0, gt=0)
    rollout: Operational[Rollout] = Rollout()
    owner: Metadata[str] = ""
    description: Metadata[str] = ""


class HttpAttributes(Attributes):
    """Where it answers, and with what."""

    url: str
    """Of the model: ``POST url/infer`` predicts."""
    answers: str
    """The digest that answered when it was asked."""
    name: str
    port: int
    log_dir: str
    pid: Volatile[int]
    revision: Volatile[int]


StoredHttp: TypeAlias = Stored[HttpArguments, HttpAttributes]


class Http(Resource[HttpArguments, HttpAttributes], kind="deployment", type="http"):
    """A model served over the Open Inference Protocol by a process of this machine.

    A new model is loaded and warmed beside the old one and takes its place between two requests:
    no connection is closed. Afterwards the endpoint is asked which digest answers.
    """

    preload = ("pandas", "sklearn.ensemble", "skops.io")

    def apply(self, ctx: Context, new: HttpArguments, old: StoredHttp | None) -> HttpAttributes:
        """Start, roll or restart the server; return what answers."""
        from mlform_core.serving import control, settings

        artifact = new.model.artifact
        if artifact is None:
            detail = "Write an artifact of a model: model = model.NAME.champion."
            raise ResourceError("Not a model", detail, argument="model")
        name = new.name or _own_name(ctx.address)
        kept = settings.read(ctx.home)
        port = new.port or (kept.port if kept else 0)
        serving = settings.Serving(
            name=name,
            digest=artifact.digest,
            bundle=str(_bundle(ctx, artifact.digest)),
            host=new.host,
            port=port,
            token=kept.token if kept else secrets.token_urlsafe(24),
            sample=new.log.sample,
            max_body=int(new.max_body_mb * 1_000_000),
        )
        there = _running(ctx.home, kept)
        same = kept is not None and replace(kept, digest="", bundle="") == replace(
            serving, digest="", bundle=""
        )
        ctx.progress(0, 2, "loading the model")
        settings.write(ctx.home, serving)
        if there and same:
            control.roll(serving, there["port"])
        else:
            control.stop(ctx.home)
            there = control.start(ctx.home)
            serving = replace(serving, port=there["port"])
            settings.write(ctx.home, serving)
        ctx.progress(1, 2, "asking what answers")
        revision = 1 if old is None else old.attributes.revision + 1
        return _attributes(ctx, serving, there, revision)

    def read(self, ctx: Looking, old: StoredHttp) -> HttpAttributes | None:
        """Ask the endpoint which digest answers."""
        from mlform_core.serving import control, settings

        serving = settings.read(ctx.home)
        if serving is None:
            return None
        said = control.ask(serving.host, old.attributes.port, old.attributes.name)
        if said is None or said["parameters"].get("server") != serving.identity:
            return None
        return old.attributes.model_copy(update={"answers": said["parameters"]["digest"]})

    def destroy(self, ctx: Context, old: StoredHttp) -> str:
        """Let requests finish, then end the server."""
        from mlform_core.serving import control, settings

        control.stop(ctx.home)
        shutil.rmtree(ctx.home / "bundles", ignore_errors=True)
        (ctx.home / settings.SETTINGS).unlink(missing_ok=True)
        return f"the request log in {_relative(ctx.home / settings.LOG, ctx.root)}"


def _own_name(address: str) -> str:
    return address.rpartition(".")[2].partition("[")[0]


def _bundle(ctx: Context, digest: str) -> Path:
    """Copy the model beside the server, so that it can start again without the store."""
    folder = ctx.home / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{digest.removeprefix('sha256:')[:16]}.zip"
    if not target.exists():
        try:
            source = ctx.artifacts.path(digest)
        except KeyError:
            detail = f"The model {digest} is not in the artifact store any more. Train it again."
            raise ResourceError("Model not found", detail, argument="model") from None
        fresh = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(source, fresh)
        fresh.replace(target)
    return target


def _running(home: Path, kept: Serving | None) -> dict[str, Any]:
    """Return pid and port of our server if it answers, else nothing."""
    from mlform_core.serving import control, settings

    started = settings.started(home)
    if kept is None or not started:
        return {}
    said = control.ask(kept.host, started["port"], kept.name)
    ours = said is not None and said["parameters"].get("server") == kept.identity
    return started if ours else {}


def _attributes(
    ctx: Context, serving: Serving, there: dict[str, Any], revision: int
) -> HttpAttributes:
    from mlform_core.serving import control, settings

    said = control.ask(serving.host, there["port"], serving.name, timeout=10.0)
    answers = None if said is None else said["parameters"]["digest"]
    if answers != serving.digest:
        detail = f"{answers or 'Nothing'} answers at the endpoint; {serving.digest} should."
        raise ResourceError("Endpoint does not serve the model", detail)
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    return HttpAttributes(
        url=f"http://{host}:{there['port']}/v2/models/{serving.name}",
        answers=serving.digest,
        name=serving.name,
        port=there["port"],
        log_dir=_relative(ctx.home / settings.LOG, ctx.root),
        pid=there["pid"],
        revision=revision,
    )


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path, root)
