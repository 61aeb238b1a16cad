"""Saved plans: written and read, encrypted where the spec says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlform.commands.session import Session
from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.plan import Plan

_ENCRYPTED: Final = "encrypted"


def written(session: Session, plan: Plan) -> str:
    """Return the text of a plan's file."""
    from mlform.plan import dump

    text = dump(plan)
    if not session.cipher.active:
        return text
    sealed = session.cipher.seal(text, (plan.lineage, "plan"), plan.lineage)
    data = {"format": json.loads(text)["format"], "lineage": plan.lineage, _ENCRYPTED: sealed}
    return json.dumps(data, indent=1) + "\n"


def saved_plan(session: Session, path: Path) -> Plan:
    """Read a saved plan. Raises ``DiagnosedError`` where there is none, or no key for it."""
    from mlform.plan import parse
    from mlform.state.sealed import Unauthentic

    if not path.is_file():
        raise stop("No such plan", f"There is no file {path}.")
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
    return parse(text, str(path))
