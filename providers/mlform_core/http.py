"""``deployment "http"``: a model behind a real HTTP server that outlives the command."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mlform.sdk import (
    Artifact,
    Context,
    Handle,
    Imported,
    Looking,
    ResourceError,
    ServedResource,
    Stored,
)
from mlform_core.http_arguments import HttpArguments, HttpAttributes

if TYPE_CHECKING:
    from mlform_core.serving.settings import Serving

_MEGABYTE = 1_000_000


StoredHttp: TypeAlias = Stored[HttpArguments, HttpAttributes]
ImportedHttp: TypeAlias = Imported[HttpAttributes]


class Http(ServedResource[HttpArguments, HttpAttributes], kind="deployment", type="http"):
    """A model served over the Open Inference Protocol by a process of this machine.

    A new model is loaded and tried beside the old one and takes its place between two requests:
    no connection is closed. A model that cannot be loaded, or cannot predict, is refused and the
    old one goes on. Afterwards the endpoint is asked which digest answers.
    """

    preload = ("pandas", "sklearn.ensemble", "skops.io")
    beside = ("shadow",)

    def apply(self, ctx: Context, new: HttpArguments, old: StoredHttp | None) -> HttpAttributes:
        """Start, roll or restart the server; return what answers."""
        from mlform_core import http_rolling, http_views
        from mlform_core.serving import settings

        kept = settings.read(ctx.home)
        serving = _serving(ctx, new, old, kept)
        ctx.progress(0, 2, "loading the model")
        for digest in sorted(serving.digests):
            _copy(ctx, digest)
            _prepared(ctx, new, digest)
        if new.features is not None:
            serving = http_views.served(ctx, new.features, serving, kept)
        http_views.redactable(ctx, serving)
        port = http_rolling.rolled(ctx, serving, kept)
        if port is None:
            port = http_rolling.restarted(ctx.home, serving, kept)
        ctx.progress(1, 2, "asking what answers")
        return _answering(ctx, replace(serving, port=port))

    def uses(self, new: HttpArguments) -> Mapping[str, Collection[str]]:
        """Take of the feature view what it does to requests."""
        from mlform_core import http_views

        return http_views.uses(new.features)

    def read(self, ctx: Looking, old: StoredHttp) -> HttpAttributes | None:
        """Ask the endpoint which digest answers: of a canary that goes on, what is tried."""
        from mlform_core.serving import control, settings

        serving = settings.read(ctx.home)
        if serving is None:
            return None
        said = control.answers(serving, old.attributes.port)
        if said is None:
            return None
        # Whoever began a canary may be no more, and what it tries may be wanted no more.
        there = {said["digest"], said["trial"]["digest"]} if said["trial"] else {said["digest"]}
        others = sorted(there - {old.attributes.answers})
        return old.attributes.model_copy(update={"answers": (others or [said["digest"]])[0]})

    def import_(self, ctx: Context, id: str, new: HttpArguments | None) -> ImportedHttp | None:  # noqa: A002 - as the SDK has it
        """Take over a server that mlform started here and left running, by its URL.

        An endpoint of anyone else is refused: it could neither be rolled nor stopped, and what
        it says of itself proves nothing.
        """
        from mlform_core import http_rolling
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
        if control.digest_at(serving, serving.port, timeout=http_rolling.PATIENCE) is None:
            return None
        attributes = _answering(ctx, serving)
        return Imported(attributes, _told(ctx, new, serving))

    def destroy(self, ctx: Context, old: StoredHttp) -> str:
        """Let requests finish, then end the server; the request log stays, unless it is purged."""
        from mlform_core.serving import control, log, settings

        control.stop(ctx.home)
        for name in (settings.BUNDLES, settings.VIEWS):
            shutil.rmtree(ctx.home / name, ignore_errors=True)
        for name in (settings.SETTINGS, settings.LOCK):
            (ctx.home / name).unlink(missing_ok=True)
        folder = ctx.home / settings.LOG
        if ctx.purge:
            return ""  # the engine deletes all of the folder
        return f"the request log in {_relative(folder, ctx.root)}" if log.files(folder) else ""

    def foreground(self, folder: Path) -> Sequence[str]:
        """Serve in the foreground, where no server does in the background."""
        from mlform_core.serving import settings

        if (pid := settings.holder(folder)) is not None:
            serving = settings.read(folder)
            where = f" at {_url(serving)}" if serving is not None else ""
            detail = f"Process {pid} serves from {folder} already{where}."
            raise ResourceError("Served already", detail)
        return [sys.executable, "-m", "mlform_core.serving.server", str(folder)]

    def export(self, home: Path, target: Path) -> Path:
        """Write a Dockerfile, manifests for Kubernetes, and the folder that the image has."""
        from mlform_core.serving import container

        container.export(home, target)
        return target / container.APP


def _serving(
    ctx: Context, new: HttpArguments, old: StoredHttp | None, kept: Serving | None
) -> Serving:
    from mlform_core.serving import settings
    from mlform_core.serving.settings import Serving

    digest = _model(new.model).digest
    before = 0 if old is None else old.attributes.revision
    if kept is not None:
        before = kept.revision - (kept.digest == digest)
    at = old.attributes.port if old is not None else 0
    bad = kept is not None and kept.digest in ctx.quarantined  # it is not tried against another
    return Serving(
        name=new.name or _own_name(ctx.address),
        digest=digest,
        host=new.host,
        port=new.port or (kept.port if kept else at),
        token=kept.token if kept else secrets.token_urlsafe(24),
        revision=before + 1,
        sample=new.log.sample,
        redact=sorted(new.log.redact),
        keys=sorted(new.log.keys),
        log_bytes=int(new.log.keep_mb * _MEGABYTE),
        max_body=int(new.max_body_mb * _MEGABYTE),
        timeout=new.timeout_s,
        allow_pickle=new.allow_pickle,
        workers=new.workers,
        tokens_env="",
        port_env="",
        tokens=[settings.digest_of(token) for token in _tokens(new)],
        runtime=f"{new.runtime.kind} {new.runtime.tolerance}",
        steps=[] if bad else new.rollout.shares,
        bake=new.rollout.bake_seconds,
        alpha=new.rollout.alpha,
        slow=(new.rollout.slow_ms or 0.0) / 1000,
        variants={
            n: [_model(v.model).digest, v.share / 100] for n, v in sorted(new.variants.items())
        },
        shadow="" if new.shadow is None else _model(new.shadow).digest,
    )


def _tokens(new: HttpArguments) -> list[str]:
    from mlform_core.serving import settings

    if new.tokens_env is not None:
        return settings.tokens_in(new.tokens_env)
    return new.tokens or []


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


def _prepared(ctx: Context, new: HttpArguments, digest: str) -> None:
    """Have the model answer as itself, in the way it is to be served."""
    from mlform_core.serving import prepared, settings

    folder, wanted = settings.bundle(ctx.home, digest), new.runtime
    found = prepared.read(folder)
    if found is not None and found.tolerance == wanted.tolerance:
        forced = found.runtime == "native" and found.why == prepared.FORCED
        if forced == (wanted.kind == "native"):
            return
    graph, pickled = wanted.kind == "auto", new.allow_pickle
    try:
        found = prepared.prepare(
            folder, digest, wanted.tolerance, graph=graph, allow_pickle=pickled
        )
    except ResourceError as error:
        if settings.holder(ctx.home) is None:
            raise
        detail = f"{error.detail} The server goes on as before."
        raise ResourceError(error.summary, detail, argument=error.argument) from error
    how = f"by its own library: {found.why}" if found.why else "as an ONNX graph"
    ctx.log(f"{digest[:19]} runs {how}; answers are within {found.difference:.1g} of its own")


def _answering(ctx: Context, serving: Serving) -> HttpAttributes:
    """Ask the endpoint what answers; raise ``ResourceError`` if that is not what should."""
    from mlform_core import http_rolling, http_views
    from mlform_core.serving import control, prepared, settings

    answers = control.digest_at(serving, serving.port, timeout=http_rolling.PATIENCE)
    if answers != serving.digest:
        who = f"{answers} answers" if answers else "Nothing of ours answers"
        detail = f"{who} at {serving.reach}:{serving.port}; {serving.digest} should."
        raise ResourceError("Endpoint does not serve the model", detail)
    used = {settings.bundle(ctx.home, digest) for digest in serving.digests}
    used |= {settings.view(ctx.home, view) for view in serving.views.values()}
    for path in (*ctx.home.glob(f"{settings.BUNDLES}/*"), *ctx.home.glob(f"{settings.VIEWS}/*")):
        if path not in used:
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
        features=serving.views.get(serving.digest, ""),
        asked=http_views.asked(ctx.home, serving),
        redacted=serving.redact,
        keys=serving.keys,
        variants={name: digest for name, (digest, _) in serving.variants.items()},
        shadow=serving.shadow,
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
        "log": {
            "sample": serving.sample,
            "keep_mb": serving.log_bytes / _MEGABYTE,
            "redact": serving.redact,
            "keys": serving.keys,
        },
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
