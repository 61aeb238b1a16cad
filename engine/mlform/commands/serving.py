"""``serve``: what was deployed, in the foreground or as a folder to build an image from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mlform.commands.queries import record
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.files import write_file
from mlform.state.model import home_of

if TYPE_CHECKING:
    from mlform.sdk import ServedResource

T = TypeVar("T")
_MARK: Final = "served.json"
"""In a folder that was exported: which type knows how to serve it."""


def foreground(session: Session, what: str) -> list[str]:
    """Return the command that serves an address, or an exported folder, in the foreground.

    Raises ``DiagnosedError``.
    """
    folder = session.root / what
    if not (folder / _MARK).is_file():
        resource, folder = _recorded(session, what)
    else:
        kind, type_ = _marked(folder / _MARK)
        resource = _served(session, kind, type_, str(folder))
    return list(_asked(lambda: resource.foreground(folder.resolve())))


def export(session: Session, address: str, target: Path) -> None:
    """Write what serves an address elsewhere into a new folder. Raises ``DiagnosedError``."""
    resource, home = _recorded(session, address)
    if target.exists() and any(target.iterdir()):
        raise stop("Folder is not empty", f"{target} holds other things: name another.")
    target.mkdir(parents=True, exist_ok=True)
    app = _asked(lambda: resource.export(home, target))
    mark = {"kind": resource.kind, "type": resource.type}
    write_file(app / _MARK, json.dumps(mark).encode())


def _recorded(session: Session, address: str) -> tuple[ServedResource[Any, Any], Path]:
    found = record(session, address)
    resource = _served(session, found.address.kind, found.type, address)
    return resource, session.own / "resources" / home_of(found)


def _served(session: Session, kind: str, type_: str, what: str) -> ServedResource[Any, Any]:
    from mlform.sdk import ServedResource

    offer = session.registry.find(kind, type_)
    if offer is None:
        raise stop("Unknown resource type", session.registry.missing(kind, type_))
    if not isinstance(offer.resource, ServedResource):
        detail = f'{what} is a {kind} "{type_}", which serves nothing by itself.'
        raise stop("Nothing to serve", detail)
    return offer.resource


def _marked(path: Path) -> tuple[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return str(found["kind"]), str(found["type"])
    except (ValueError, KeyError, TypeError):
        raise stop("Not exported", f"{path} is not what serve -export writes.") from None


def _asked(act: Callable[[], T]) -> T:
    from mlform.sdk import ResourceError

    try:
        return act()
    except ResourceError as error:
        raise stop(error.summary, error.detail) from error
