"""Saved plans: written and read, encrypted where the spec says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlform.commands.sensitive import marks
from mlform.commands.session import Session
from mlform.config import Settings
from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.plan import Plan

_ENCRYPTED: Final = "encrypted"


def written(session: Session, plan: Plan) -> str:
    """Return the text of a plan's file."""
    from mlform.plan import dump

    text = dump(plan, {**_where(session), "secrets": marks(session, plan)})
    if not session.cipher.active:
        return text
    sealed = session.cipher.seal(text, (plan.lineage, "plan"), plan.lineage)
    data = {"format": json.loads(text)["format"], "lineage": plan.lineage, _ENCRYPTED: sealed}
    return json.dumps(data, indent=1) + "\n"


def digest_of(plan: Plan) -> str:
    """Return the digest of the text that a plan is saved as."""
    from mlform.plan import dump

    return f"sha256:{hashlib.sha256(dump(plan).encode()).hexdigest()}"


def saved_plan(session: Session, path: Path) -> Plan:
    """Read a saved plan. Raises ``DiagnosedError`` where there is none, or no key for it."""
    from mlform.plan import parse
    from mlform.plan.codec import where_of
    from mlform.registry import KINDS
    from mlform.state.sealed import Unauthentic

    if not path.is_file():
        kind, dot, _ = str(path).partition(".")
        hint = f" `mlform state show {path}` shows a resource." if dot and kind in KINDS else ""
        raise stop("No such plan", f"There is no file {path}.{hint}")
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, dict) and isinstance(data.get(_ENCRYPTED), str):
        try:
            text = session.cipher.open(data[_ENCRYPTED], (data.get("lineage"), "plan"))
        except Unauthentic:
            raise stop("Invalid plan file", f"{path} is damaged. Plan anew.") from None
    else:
        session.cipher.open(text, ("", "plan"))
    plan = parse(text, str(path))
    where = where_of(text)
    session.without_spec, session.marks = _settings(where), where.get("secrets") or {}
    return plan


def _where(session: Session) -> Mapping[str, Any]:
    """Say where state and artifacts lie, for whoever has no spec. Without any password."""
    from mlform.commands.backends import named

    shared = session.shared_store
    store = None if shared is None else {n: v for n, v in vars(shared).items() if v}
    return {"state": named(session.local, session.place), "store": store}


def _settings(where: Mapping[str, Any]) -> Settings:
    """Return the settings of a plan's spec, as far as the plan says them."""
    from mlform.config.store import StoreSettings
    from mlform.state.place import SQLITE

    state, store = where.get("state") or {}, where.get("store")
    shared = None if store is None else StoreSettings(**store)
    url = str(state.get("url", ""))
    if not url or url.startswith(SQLITE):
        path = url.removeprefix(SQLITE) or Settings.backend_path
        return Settings(backend_path=path, store=shared)
    schema = state.get("schema")
    return Settings("postgres", backend_url=url, backend_schema=schema, store=shared)
