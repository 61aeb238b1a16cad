"""What steps printed: ``mlform logs``."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Option
from mlform.cli.terminal import explained, say, say_json


def logs(
    address: str,
    directory: opt.Directory = opt.HERE,
    attempt: Annotated[int, Option("--attempt", help="How many attempts back; 0 is the last.")] = 0,
    tail: Annotated[
        int | None, Option("--tail", metavar="N", least=0, help="Only the last N lines.")
    ] = None,
    list_: Annotated[bool, Option("--list", help="List the attempts that are kept.")] = False,
    json: opt.Json = False,
) -> None:
    """Show what a step printed and logged when it last ran."""
    from mlform.commands.logs import chosen, lines, logged
    from mlform.render.logs import attempt_data, attempts

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = logged(session, address)
        if list_:
            if json:
                say_json([attempt_data(it) for it in found])
            else:
                say(attempts(found))
            return
        it = chosen(found, attempt)
        for line in lines(it.log, tail):
            if json:
                say_json({"type": "log", "address": address, "text": line.rstrip("\n")}, lines=True)
            else:
                say(line)
