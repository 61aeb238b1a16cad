"""Commands around the spec and the state: ``get``, ``taint``, ``untaint``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Option
from mlform.cli.terminal import explained, say, say_json


def get(
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    values: opt.Values = None,
    update: Annotated[
        bool, Option("--update", help="Fetch anew what is in place already.")
    ] = False,
) -> None:
    """Fetch the modules that the spec calls from repositories, into .mlform/modules."""
    from mlform.commands.fetching import get as fetch

    session = opt.open_session(directory, values)
    with explained(session, as_json=json):
        found = fetch(session, update=update)
        for got in found:
            if json:
                say_json({"type": "module", **vars(got)}, lines=True)
            else:
                how = "fetched" if got.fresh else "in place"
                say(f"module {got.place}: {how}, {got.commit[:12]} of {got.source}\n")
        if not found and not json:
            say("Nothing to fetch: every module lies beside its caller.\n")


def taint(
    address: str, directory: opt.Directory = opt.HERE, lock_timeout: opt.LockTimeout = 0.0
) -> None:
    """Say that a recorded result is to be made again by the next apply."""
    _taint(address, directory, lock_timeout, tainted=True)


def untaint(
    address: str, directory: opt.Directory = opt.HERE, lock_timeout: opt.LockTimeout = 0.0
) -> None:
    """Take back what taint said."""
    _taint(address, directory, lock_timeout, tainted=False)


def _taint(address: str, directory: Path, lock_timeout: float, *, tainted: bool) -> None:
    from mlform.commands.tainting import taint as mark

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session):
        found = mark(session, address, tainted=tainted)
        done = "will be made again by the next apply" if tainted else "stands as it is recorded"
        say(f"{found} {done}.\n")
