"""``console``: piped, a line an expression; at a terminal, with history and completion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Exit, Option
from mlform.cli.terminal import explained, say
from mlform.diagnostics import DiagnosedError

if TYPE_CHECKING:
    from mlform.commands.consoling import Console

_PROMPT, _MORE = "> ", ": "
_DELIMITERS = " \t\n()[]{},+-*/%<>=!&|?:\"'"
_HISTORY = 1000


def console(
    directory: opt.Directory = opt.HERE,
    plan: Annotated[
        bool, Option("--plan", help="Against what a plan of now says, not the state alone.")
    ] = False,
    values: opt.Values = None,
) -> None:
    """Evaluate expressions against the spec and the state. `exit` or Ctrl-D ends it."""
    from mlform.commands.consoling import Console

    session = opt.open_session(directory, values)
    with explained(session):
        made = Console(session, planned=plan)
        assert made.roots is not None, "a spec that is wrong is told of before the first line"
        if sys.stdin.isatty():
            with _editing(made, session.local):
                _talk(made)
        else:
            _pipe(made)


def _pipe(made: Console) -> None:
    """Answer line by line; the first error ends it with exit code 1."""
    waiting = ""
    for line in sys.stdin:
        waiting += line
        if made.goes_on(waiting):
            continue
        text, waiting = waiting, ""
        if text.strip() == "exit":
            return
        if text.strip() and not _answer(made, text):
            raise Exit(1)
    if waiting.strip() and not _answer(made, waiting):
        raise Exit(1)


def _talk(made: Console) -> None:
    waiting = ""
    while True:
        try:
            waiting += input(_MORE if waiting else _PROMPT) + "\n"
        except EOFError:
            say("\n")
            return
        except KeyboardInterrupt:
            say("\n")
            waiting = ""
            continue
        if made.goes_on(waiting) and waiting.strip():
            continue
        text, waiting = waiting, ""
        if text.strip() == "exit":
            return
        if text.strip():
            _answer(made, text)


def _answer(made: Console, text: str) -> bool:
    """Say what an expression is worth, or what is wrong with it; tell whether it was right."""
    from mlform.commands.consoling import INPUT
    from mlform.render.diagnostics import diagnostic

    try:
        say(f"{made.told(text)}\n")
    except DiagnosedError as error:
        for problem in error.diagnostics:
            say([*diagnostic(problem, {INPUT: text}), ("", "\n")], error=True)
        return False
    return True


@contextmanager
def _editing(made: Console, local: Path) -> Iterator[None]:
    """Give lines history, kept beside the other local data, and completion with the tab key."""
    try:
        import readline
    except ImportError:  # not built with it: lines are read as they come
        yield
        return
    history = local / "console-history"
    with suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_HISTORY)
    readline.set_completer_delims(_DELIMITERS)
    found: list[str] = []

    def complete(start: str, number: int) -> str | None:
        if number == 0:
            found[:] = made.completions(start)
        return found[number] if number < len(found) else None

    readline.set_completer(complete)
    bind = "bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete"
    readline.parse_and_bind(bind)
    try:
        yield
    finally:
        if local.is_dir():
            with suppress(OSError):
                readline.write_history_file(history)
