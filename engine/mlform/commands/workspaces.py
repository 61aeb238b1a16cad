"""``workspace``: several states of one spec, each with resources of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlform.diagnostics import stop

if TYPE_CHECKING:
    from mlform.commands.session import Session
    from mlform.state.workspaces import Standing, Workspaces

DEFAULT: Final = "default"
VARIABLE: Final = "MLFORM_WORKSPACE"
_FILE: Final = "workspace"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,89}"


def selected(local: Path) -> str:
    """Return the workspace that commands run in. Raises ``DiagnosedError`` for no name of one."""
    if name := os.environ.get(VARIABLE):
        return checked(name)
    try:
        return checked((local / _FILE).read_text(encoding="utf-8").strip() or DEFAULT)
    except (FileNotFoundError, NotADirectoryError):
        return DEFAULT


def checked(name: str) -> str:
    """Return a name that a workspace may have. Raises ``DiagnosedError`` for any other."""
    if not re.fullmatch(_NAME, name):
        detail = (
            f'"{name}" is no name of a workspace: letters, digits, - and _, at most 90, the first '
            "a letter or a digit."
        )
        raise stop("Invalid workspace", detail)
    return name


def listed(session: Session) -> list[Standing]:
    """Return every workspace, by name."""
    with _all(session) as workspaces:
        return workspaces.all()


def new(session: Session, name: str) -> None:
    """Make a workspace, and go on in it."""
    _free()
    with _all(session) as workspaces:
        workspaces.new(checked(name))
    _select(session, name)


def select(session: Session, name: str, *, create: bool = False) -> bool:
    """Go on in another workspace; true if it was made for that."""
    _free()
    known = [it.name for it in listed(session)]
    if name not in known and create:
        new(session, name)
        return True
    if name not in known:
        from mlform.state.database import no_workspace

        raise no_workspace(name, known)
    _select(session, name)
    return False


def delete(session: Session, name: str, *, force: bool) -> Standing:
    """Delete a workspace with all its past, and its local data if nothing was recorded any more."""
    if name == DEFAULT:
        detail = "The default workspace is always there: `mlform destroy` empties it."
        raise stop("Workspace stays", detail)
    if name == session.workspace:
        detail = f'"{name}" is the workspace you are in: select another one first.'
        raise stop("Workspace is in use", detail)
    with _all(session) as workspaces:
        gone = workspaces.delete(name, force=force)
    if not gone.records:
        import shutil

        from mlform.artifacts.roots import drop, roots

        blobs = session.artifacts.blobs
        for root in roots(blobs):
            if root.lineage == gone.lineage:  # what it alone held may be collected
                drop(blobs, root)
        shutil.rmtree(session.local / "in" / checked(name), ignore_errors=True)
    return gone


@contextmanager
def _all(session: Session) -> Iterator[Workspaces]:
    from mlform.state.workspaces import Workspaces

    found = Workspaces(session.configured_place)
    try:
        yield found
    finally:
        found.close()


def _select(session: Session, name: str) -> None:
    file = session.local / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{_FILE}.{os.getpid()}.tmp")
    fresh.write_text(f"{name}\n", encoding="utf-8")
    fresh.replace(file)


def _free() -> None:
    """Raise ``DiagnosedError`` where the environment says which workspace it is."""
    if name := os.environ.get(VARIABLE):
        detail = f'{VARIABLE} says that it is "{name}": what is selected would not count. Unset it.'
        raise stop("Workspace is given", detail)
