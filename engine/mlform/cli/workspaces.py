"""Several states of one spec, and the lock of each: ``workspace``, ``force-unlock``."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Option
from mlform.cli.terminal import explained, say, say_json
from mlform.diagnostics import counted

Name = Annotated[str, Argument(metavar="NAME", help="A workspace.")]


def list_(
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    values: opt.Values = None,
) -> None:
    """List the workspaces; the one you are in has a star."""
    from mlform.commands.workspaces import listed

    session = opt.open_session(directory, values)
    with explained(session, as_json=json):
        found, mine = listed(session), session.workspace
        if json:
            say_json([{**vars(it), "selected": it.name == mine} for it in found])
            return
        for it in found:
            star = "*" if it.name == mine else " "
            say(f"{star} {it.name} ({counted(it.records, 'resource')}, serial {it.serial})\n")


def show(directory: opt.Directory = opt.HERE) -> None:
    """Say which workspace you are in."""
    session = opt.open_session(directory)
    with explained(session):
        say(f"{session.workspace}\n")


def new(
    name: Name,
    directory: opt.Directory = opt.HERE,
    values: opt.Values = None,
) -> None:
    """Make a workspace with an empty state, and go on in it."""
    from mlform.commands.workspaces import new as make

    session = opt.open_session(directory, values)
    with explained(session):
        make(session, name)
        say(f'Made workspace "{name}", and you are in it.\n')


def select(
    name: Name,
    directory: opt.Directory = opt.HERE,
    or_create: Annotated[
        bool, Option("--or-create", help="Make it if there is none of that name.")
    ] = False,
    values: opt.Values = None,
) -> None:
    """Go on in another workspace."""
    from mlform.commands.workspaces import select as go

    session = opt.open_session(directory, values)
    with explained(session):
        made = go(session, name, create=or_create)
        say(f'{"Made" if made else "Selected"} workspace "{name}".\n')


def delete(
    name: Name,
    directory: opt.Directory = opt.HERE,
    force: Annotated[
        bool, Option("--force", help="Even if it records resources, which stay as they are.")
    ] = False,
    values: opt.Values = None,
) -> None:
    """Delete a workspace with its whole past."""
    from mlform.commands.workspaces import delete as drop

    session = opt.open_session(directory, values)
    with explained(session):
        gone = drop(session, name, force=force)
        left = f" Left as they are: {counted(gone.records, 'resource')}." if gone.records else ""
        say(f'Deleted workspace "{name}".{left}\n')


def force_unlock(
    lease: Annotated[str, Argument(help="The lease that the error about the lock names.")],
    directory: opt.Directory = opt.HERE,
) -> None:
    """Take the lock from a holder that cannot give it back (another host that died)."""
    from mlform.diagnostics import stop

    session = opt.open_session(directory)
    with explained(session):
        if not session.store.break_lock(lease):
            detail = f"{lease} does not hold the lock. The error about the lock names who does."
            raise stop("No such lease", detail)
        say(f"Lease {lease} is broken: whatever it still writes is refused.\n")
