"""What steps printed: ``mlform logs``."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Option
from mlform.cli.terminal import explained, say, say_json
from mlform.diagnostics import stop


def logs(
    address: str,
    directory: opt.Directory = opt.HERE,
    attempt: Annotated[int, Option("--attempt", help="How many attempts back; 0 is the last.")] = 0,
    tail: Annotated[
        int | None, Option("--tail", metavar="N", least=0, help="Only the last N lines.")
    ] = None,
    follow: Annotated[
        bool, Option("--follow", help="Show what comes, until the last attempt is over.")
    ] = False,
    list_: Annotated[bool, Option("--list", help="List the attempts that are kept.")] = False,
    json: opt.Json = False,
) -> None:
    """Show what a step printed and logged when it last ran."""
    from mlform.commands.logs import Followed, chosen, lines, logged, silent_since
    from mlform.render.logs import attempt_data, attempts

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        if follow and (list_ or attempt):
            detail = "-follow shows the last attempt: give it without -attempt and -list."
            raise stop("Invalid options", detail)
        since = None if follow or list_ or attempt else silent_since(session, address)
        if since is not None:
            if not json:
                say(f"{address} runs since {since:%Y-%m-%d %H:%M:%S}Z; it printed nothing yet.\n")
            return
        followed = Followed(session, address) if follow else None
        found = logged(session, address)
        if list_:
            if json:
                say_json([attempt_data(it) for it in found])
            else:
                say(attempts(found))
            return
        shown = followed.lines(tail) if followed else lines(chosen(found, attempt).log, tail)
        for line in shown:
            if json:
                say_json({"type": "log", "address": address, "text": line.rstrip("\n")}, lines=True)
            else:
                say(line)
