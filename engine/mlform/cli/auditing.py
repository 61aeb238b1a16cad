"""``mlform audit``: what something was made from, and whether the state can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import explained, say, say_json


def audit(
    address: Annotated[str, Argument(help="A resource; or `verify`, to check the whole state.")],
    directory: opt.Directory = opt.HERE,
    at: Annotated[
        str | None,
        Option("--at", metavar="TIME", help="As it was on 2026-01-31 (its end, UTC), say."),
    ] = None,
    export: Annotated[
        Path | None,
        Option("--export", metavar="FILE", help="Write it as a zip archive, too."),
    ] = None,
    json: opt.Json = False,
) -> None:
    """Tell model, data, code, environment, gates, approvals and alarms of what was applied."""
    from mlform.commands import auditing
    from mlform.commands.exporting import export as write
    from mlform.render import audit as render
    from mlform.render.dossier import page

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        if address == "verify":
            checked = auditing.verify(session)
            if json:
                say_json(render.verified_data(checked))
            else:
                say(render.verified(checked))
            raise Exit(1 if checked.problems else 0)
        found = auditing.audit(session, address, at)
        data = render.dossier_data(found)
        if export is not None:
            write(session, found, data, page(found), export)
        if json:
            say_json(data)
        else:
            say(render.dossier(found))
            if export is not None:
                say(f"\nWritten to {export}: README.txt in it says how to check it.\n")
