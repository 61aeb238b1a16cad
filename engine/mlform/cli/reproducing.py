"""The command that makes past results again."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import explained, reporter, say, say_json


def reproduce(
    what: Annotated[str, Argument(metavar="RUN|ADDRESS", help="What to make again.")],
    directory: opt.Directory = opt.HERE,
    verify: Annotated[
        bool,
        Option("--verify", help="Exit with 1 unless all of it comes out as promised."),
    ] = False,
    json: opt.Json = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Make past results again from their recorded inputs, and compare. Moves nothing."""
    from mlform.commands.reproducing import reproduce as run
    from mlform.render.reproduced import reproduced, reproduced_data

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json):
        with reporter(json=json) as report:
            found = run(session, what, report)
        if json:
            for it in found:
                say_json({"type": "reproduced", **reproduced_data(it)}, lines=True)
        else:
            say(reproduced(found))
        if any(it.verdict == "failed" for it in found) or (
            verify and not all(it.kept for it in found)
        ):
            raise Exit(1)
