"""``serve``: a deployment in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Option
from mlform.cli.terminal import explained, say


def serve(
    what: str,
    directory: opt.Directory = opt.HERE,
    export: Annotated[
        Path | None,
        Option(
            "--export", metavar="FOLDER", help="Write a container's files there; serve nothing."
        ),
    ] = None,
) -> None:
    """Serve a deployment, or a folder that was exported, until told to end. For containers."""
    from mlform.commands import serving

    session = opt.open_session(directory)
    with explained(session):
        if export is not None:
            serving.export(session, what, export)
            say(f"Written to {export}. Build it: docker build -t NAME {export}\n")
            return
        command = serving.foreground(session, what)
    # The server becomes this process: signals of a container reach it and nobody else.
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, our own module
