"""``lsp``: the language server, for editors."""

from __future__ import annotations

import typer

from mlform.cli.terminal import say


def register(app: typer.Typer) -> None:
    """Add the command of this page to the program."""
    app.command("lsp")(serve)


def serve() -> None:
    """Speak the Language Server Protocol over standard input and output."""
    try:
        from mlform.lsp.server import make
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol"}:
            raise
        text = "The language server needs pygls. Install it: pip install 'mlform[lsp]'.\n"
        say([("red bold", "Error"), ("bold", ": Not installed\n\n"), ("", text)], error=True)
        raise typer.Exit(1) from None
    make().start_io()
