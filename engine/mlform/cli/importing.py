"""``import``: what exists already comes under management."""

from __future__ import annotations

from typing import Annotated

import typer

from mlform.cli import options as opt
from mlform.cli.terminal import explained, reporter, say, say_json


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("import")(import_)


def import_(
    address: Annotated[str, typer.Argument(help="Where it is declared: KIND.NAME.")],
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="What its type knows it by: a path, a URL.")
    ],
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    var: opt.Var = None,
    var_file: opt.VarFile = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Record what exists already at an address that has a block. Runs nothing."""
    from mlform.commands.importing import take
    from mlform.render.diagnostics import diagnostic
    from mlform.render.events import outcome_data, problem
    from mlform.render.plan import plan as shown

    session = opt.open_session(directory, var, var_file, lock_timeout)
    with explained(session, as_json=json):
        with reporter(json=json) as report:
            taken = take(session, address, id_, report)
        if json:
            say_json(outcome_data(taken.outcome), lines=True)
        for failure in () if json else taken.outcome.failures:
            said = diagnostic(problem(failure, session.texts), session.texts)
            say([*said, ("", "\n")], error=True)
    if not taken.outcome.complete:
        raise typer.Exit(1)
    if json:
        return
    if taken.plan.empty:
        say("The plan for it is empty: 0 actions.\n")
    else:
        say("\nIt is not as its block says. What apply would do:\n\n")
        say(shown(taken.plan))
