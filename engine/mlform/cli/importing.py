"""``import``: what exists already comes under management."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit
from mlform.cli.terminal import explained, reporter, say, say_json


def import_(
    address: Annotated[str, Argument(help="Where it is declared: KIND.NAME.")],
    id_: Annotated[str, Argument(metavar="ID", help="What its type knows it by: a path, a URL.")],
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Record what exists already at an address that has a block. Runs nothing."""
    from mlform.commands.importing import take
    from mlform.render.diagnostics import diagnostic
    from mlform.render.events import outcome_data, problem
    from mlform.render.plan import plan as shown

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json):
        with reporter(json=json) as report:
            taken = take(session, address, id_, report)
        if json:
            say_json(outcome_data(taken.outcome), lines=True)
        for failure in () if json else taken.outcome.failures:
            said = diagnostic(problem(failure, session.texts), session.texts)
            say([*said, ("", "\n")], error=True)
    if not taken.outcome.complete:
        raise Exit(1)
    if json:
        return
    if taken.plan.empty:
        say("The plan for it is empty: 0 actions.\n")
    else:
        say("\nIt is not as its block says. What apply would do:\n\n")
        say(shown(taken.plan))
