"""Which feature view makes the features of a model that is deployed, and its copy there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mlform.sdk import Context, Handle, ResourceError
from mlform_core.bundles import BundleError
from mlform_core.models import told
from mlform_core.serving import features, settings
from mlform_core.serving.settings import Serving
from mlform_core.tables import LOOKUPS, TRANSFORM
from mlform_core.views import levels

_SECONDS: Final = 120.0
_REMEMBERED: Final = 8
"""Models that ran before whose feature views are kept, so that they can be rolled back to."""


def uses(view: Handle | None) -> dict[str, set[str]]:
    """Return the facets that a deployment takes of its feature view."""
    if view is None or not has_online(view):
        return {}
    return {view.address: {TRANSFORM, LOOKUPS}}


def has_online(view: Handle) -> bool:
    """Tell whether a view makes the features of requests."""
    return bool(view.attributes.get("transform"))


def served(ctx: Context, view: Handle, serving: Serving, kept: Serving | None) -> Serving:
    """Have a feature view make the features of each model; ``kept`` is what was served before.

    Raises ``ResourceError``.
    """
    key, before = _copied(ctx, view), {} if kept is None else kept.views
    views = {
        digest: _fitting(ctx, view, key, digest, before.get(digest, ""))
        for digest in sorted(serving.digests)
    }
    past = [(digest, it) for digest, it in before.items() if digest not in views]
    views = dict(past[-_REMEMBERED:]) | views
    same = kept is not None and kept.digest == serving.digest
    other = before.get(serving.digest) != views[serving.digest]
    return replace(serving, views=views, revision=serving.revision + (same and other))


def _fitting(ctx: Context, view: Handle, key: str, digest: str, before: str) -> str:
    """Return the digest of what makes the features of a model.

    That is the view as it is now, unless the model was trained with a transform that does something
    else: then it is that of ``before``, with the tables of now.
    """
    folder, meta = settings.view(ctx.home, key), _meta(ctx, digest)
    now, trained = features.read(folder), meta.get("transform")
    if missing := [f["name"] for f in meta["features"] if f["name"] not in now["served"]]:
        detail = (
            f"The model takes {', '.join(missing)}. {view.address} serves "
            f"{', '.join(now['served'])}: what it makes of absent columns is not served."
        )
        raise ResourceError("Model does not fit the feature view", detail, argument="features")
    if before and key != before:
        was = settings.view(ctx.home, before)
        names = [f["name"] for f in meta["features"]]
        ours = {trained, features.read(was)["id"]}
        if now["id"] not in ours and (why := _apart(was, folder, names)):
            ctx.log(
                f"{digest[:19]} was trained with another transform than {view.address} has now: "
                f"{why}. It keeps its own until a model trained on the new one is deployed."
            )
            return features.renewed(ctx.home, before, key)
    elif not before and trained not in {None, now["id"]}:
        detail = (
            f"{digest} was trained with another transform than {view.address} has now. Deploy a "
            "model that was trained on the view as it is."
        )
        raise ResourceError("Model does not fit the feature view", detail, argument="features")
    return key


def _copied(ctx: Context, view: Handle) -> str:
    """Copy a view beside the server; return its digest."""
    if not has_online(view):
        detail = (
            f"{view.address} makes no features of requests. If each of its rows depends on that "
            "row and its inputs alone, write online = {} in it."
        )
        raise ResourceError("Feature view is not online", detail, argument="features")
    facets = view.attributes["facets"]["digests"]
    both = f"{facets[TRANSFORM]} {facets[LOOKUPS]}"
    key = f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"
    folder = settings.view(ctx.home, key)
    if folder.exists():
        return key
    found = []
    try:
        for level in levels(view):
            tables = {n: ctx.artifacts.path(t.digest) for n, t in level.lookups.items()}
            made = (ctx.artifacts.read(it.digest) for it in (level.transform, level.probe))
            found.append(features.Level(next(made), tables, next(made)))
    except KeyError as error:
        detail = f"{error.args[0]} of {view.address} is not in the artifact store any more."
        raise ResourceError("Feature view not found", detail, argument="features") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    features.write(folder, found)
    return key


def _apart(one: Path, two: Path, names: Sequence[str]) -> str:
    """Say where a view makes other features than another does of its own rows; "" if nowhere.

    In a process of its own: both have code, of the same names.
    """
    module = "mlform_core.serving.features"
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-m", module, str(one), str(two), json.dumps(names)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    except subprocess.TimeoutExpired:
        return f"trying it took more than {_SECONDS:g} s"
    if ended.returncode == 0:
        return ""
    return (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1].rstrip(".")


def asked(home: Path, serving: Serving) -> list[str]:
    """Return the columns of requests that the log has, where a view makes the features."""
    key = serving.views.get(serving.digest)
    if key is None:
        return []
    found = [spec["name"] for spec in features.request(settings.view(home, key))[0]]
    return [name for name in found if name not in serving.redact]


def redactable(ctx: Context, serving: Serving) -> None:
    """Raise ``ResourceError`` where what is to be redacted is no input: it would be logged."""
    if not serving.redact:
        return
    known = {f["name"] for digest in serving.digests for f in _meta(ctx, digest)["features"]}
    for key in serving.makers:
        known |= {spec["name"] for spec in features.request(settings.view(ctx.home, key))[0]}
    if strange := [name for name in serving.redact if name not in known]:
        detail = (
            f"{', '.join(strange)} is no input of the model; it has {', '.join(sorted(known))}."
        )
        raise ResourceError("Unknown input", detail, argument="log")


def _meta(ctx: Context, digest: str) -> dict[str, Any]:
    try:
        return told(settings.model(settings.bundle(ctx.home, digest)))[0]
    except BundleError as error:
        raise ResourceError("Model is damaged", f"{error}.", argument="model") from error
