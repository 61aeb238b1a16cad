"""A server that takes other settings: rolled while it serves, or started again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Context, ResourceError

if TYPE_CHECKING:
    from mlform_core.serving.settings import Serving

PATIENCE: Final = 10.0
"""Seconds that a server may take to say what it serves: a busy one is not a dead one."""
_TICK: Final = 0.2


def rolled(ctx: Context, serving: Serving, kept: Serving | None) -> int | None:
    """Give a running server its new settings and model; ``None`` if it has to start (again)."""
    from mlform_core.serving import control, settings

    where = ("name", "host", "port")
    if kept is None or any(getattr(kept, f) != getattr(serving, f) for f in where):
        return None
    if settings.holder(ctx.home) is None and not _again(ctx, serving, kept):
        return None
    # Patient: a busy server is not a dead one, and a restart would fail requests.
    answers = control.answers(kept, kept.port, timeout=PATIENCE)
    if answers is None:
        return None
    tried = answers["trial"]
    if tried is None and _unheard(serving, answers):
        _baked(ctx, serving, kept)
    if tried is not None and _same(tried, serving, answers):  # begun by a run that is no more
        _baked(ctx, serving, kept)
        other = settings.read(ctx.home) != serving  # that run had another view of it, say
        if other and not control.roll(serving, kept.port):
            _baked(ctx, serving, kept)
    elif tried is not None or kept != serving or answers["digest"] != serving.digest:
        if tried is not None:
            control.abandon(kept, kept.port)
        if not control.roll(serving, kept.port):
            _baked(ctx, serving, kept)
    return kept.port


def _again(ctx: Context, serving: Serving, kept: Serving) -> bool:
    """Start what served and is no more, if another model is to be tried beside it first."""
    from mlform_core.serving import control

    was, now = ((it.digest, it.views.get(it.digest)) for it in (kept, serving))
    if not serving.steps or was == now:
        return False
    try:
        control.start(ctx.home)
    except ResourceError as error:
        ctx.log(f"what served cannot be started again, so there is no canary: {error}")
        return False
    return True


def _same(tried: Mapping[str, Any], serving: Serving, answers: Mapping[str, Any]) -> bool:
    """Tell whether a canary is of the model that is wanted; or, where that serves, of the view."""
    wanted, serves = serving.digest, answers["digest"]
    view = serves != wanted or tried["view"] == serving.views.get(wanted, "")
    return bool(view and tried["digest"] == wanted)


def _unheard(serving: Serving, answers: Mapping[str, Any]) -> bool:
    """Tell whether a canary of this model was rolled back while no run was there to hear it."""
    outcome = answers["outcome"]
    return bool(outcome.get("worse") and outcome.get("breach")) and _same(outcome, serving, answers)


def _baked(ctx: Context, serving: Serving, kept: Serving) -> None:
    """Wait until a canary is over. Raises ``ResourceError`` if it was rolled back."""
    from mlform_core.registry_channels import short
    from mlform_core.serving import control

    try:
        while (answers := control.answers(kept, kept.port, timeout=PATIENCE)) is not None:
            trial = answers["trial"]
            if trial is None:
                break
            note = f"canary at {trial['share']:.0%}, {trial['requests'][1]:,} requests"
            ctx.progress(1, 2, note)
            time.sleep(_TICK)
    except BaseException:
        control.abandon(kept, kept.port)
        raise
    outcome = {} if answers is None else answers["outcome"]
    if outcome.get("breach"):
        assert answers is not None, "there was an outcome"
        with contextlib.suppress(ResourceError):  # it is told a second time then
            control.abandon(kept, kept.port)
        other = answers["digest"] != serving.digest
        who = short(serving.digest) if other else "What the feature view makes now"
        before = short(answers["digest"]) if other else "What it made before"
        detail = f"{who} had {outcome['breach']}. {before} answers all requests again."
        # The model is no worse for another view of it, and goes on.
        rejects = serving.digest if other and outcome.get("worse") else ""
        argument = "model" if other else "features"
        raise ResourceError("Canary rolled back", detail, argument=argument, rejects=rejects)


def restarted(home: Path, serving: Serving, kept: Serving | None) -> int:
    """Start a server in place of what there is, and return its port. Raises ``ResourceError``."""
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
