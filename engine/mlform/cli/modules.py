"""``get``: the modules that come from elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from mlform.cli import options as opt
from mlform.cli.terminal import explained, say, say_json


def register(app: typer.Typer) -> None:
    """Add the command of this page to the program."""
    app.command()(get)


def get(
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    var: opt.Var = None,
    var_file: opt.VarFile = None,
    update: Annotated[
        bool, typer.Option("--update", help="Fetch anew what is in place already.")
    ] = False,
) -> None:
    """Fetch the modules that the spec calls from repositories, into .mlform/modules."""
    from mlform.commands.fetching import get as fetch

    session = opt.open_session(directory, var, var_file)
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
