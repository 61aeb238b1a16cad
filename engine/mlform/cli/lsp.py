"""``lsp``: the language server, for editors."""

from __future__ import annotations

from mlform.cli.parsing import Exit
from mlform.cli.terminal import say


def serve() -> None:
    """Speak the Language Server Protocol over standard input and output."""
    try:
        from mlform.lsp.server import make
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol"}:
            raise
        text = "The language server needs pygls. Install it: pip install 'mlform[lsp]'.\n"
        say([("red bold", "Error"), ("bold", ": Not installed\n\n"), ("", text)], error=True)
        raise Exit(1) from None
    make().start_io()
