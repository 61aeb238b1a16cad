"""Which backend a folder's state is in, so that a changed ``backend`` block is no empty state."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlform.diagnostics import stop
from mlform.lazy import replace
from mlform.state.place import SQLITE

if TYPE_CHECKING:
    from mlform.commands.session import Session
    from mlform.state.moving import Moved
    from mlform.state.place import Place

_FILE: Final = "backend.json"


def settle(local: Path, place: Place) -> None:
    """Raise ``DiagnosedError`` if the folder's state is in another backend than is configured.

    That is so where the one configured has no state, and the one used until now has.
    """
    before, now = _remembered(local), named(local, place)
    if before is None or before == now:
        return
    if place.snapshot().lineage or not _holds(replace(_place(local, before), cipher=place.cipher)):
        return
    raise stop(
        "State is elsewhere",
        f"The state of this folder is in {before['url']}; the backend is {now['url']} now, and has "
        "none. Nothing was changed. Move the state there with `mlform init -migrate-state`, or "
        "begin a new one with `mlform init -reconfigure`.",
    )


def remember(local: Path, place: Place) -> None:
    """Note which backend the folder's state is in."""
    now = named(local, place)
    if _remembered(local) == now:
        return
    local.mkdir(parents=True, exist_ok=True)
    fresh = local / f"{_FILE}.{os.getpid()}.tmp"
    fresh.write_text(json.dumps(now) + "\n", encoding="utf-8")
    fresh.replace(local / _FILE)


def migrate(session: Session, source: str | None) -> Moved:
    """Move the folder's state, all workspaces of it, to the backend that is configured."""
    from mlform.state.moving import move
    from mlform.state.place import Place

    target = session.configured_place
    if source is not None:
        old = Place(source if "://" in source else f"sqlite:///{session.root / source}")
    else:
        known = _remembered(session.local) or {"url": "sqlite:///.mlform/state.db"}
        old = _place(session.local, known)
    moved = move(replace(old, cipher=session.cipher), target)
    remember(session.local, target)
    return moved


def named(local: Path, place: Place) -> dict[str, str | None]:
    """Return what to note of a place: no password, and no folder that may be called otherwise."""
    if place.file is None:
        return {"url": without_password(place.url), "schema": place.schema}
    root, file = local.parent.absolute(), place.file.absolute()
    named = file.relative_to(root) if file.is_relative_to(root) else file
    return {"url": f"{SQLITE}{named}", "schema": None}


def _place(local: Path, known: Mapping[str, str | None]) -> Place:
    """Return the place that was noted."""
    from mlform.state.place import Place

    url = str(known["url"])
    if url.startswith(SQLITE):
        return Place.in_file(local.parent / url.removeprefix(SQLITE))
    return Place(url, schema=known.get("schema"))


def without_password(url: str) -> str:
    """Return a URL without what nobody else may know."""
    from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}{at}{host}"
    query = [(n, v) for n, v in parse_qsl(parts.query) if "password" not in n]
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query)))


def _remembered(local: Path) -> dict[str, str | None] | None:
    try:
        found = json.loads((local / _FILE).read_text(encoding="utf-8"))
        return {"url": str(found["url"]), "schema": found.get("schema")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # what it notes only warns: it is no state


def _holds(place: Place) -> bool:
    """Tell whether there is a state where it was kept until now; a server is taken to have one."""
    from mlform.diagnostics import DiagnosedError

    if place.file is None:
        return True
    try:
        return bool(place.snapshot().serial)
    except DiagnosedError:
        return False  # moved, or damaged: no state to go on with
