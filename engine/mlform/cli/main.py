"""The ``mlform`` program: spelling of options, exit codes, and errors as people see them."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from typing import Final, NoReturn

ERROR: Final = 1
INTERRUPTED: Final = 130
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_SWITCH: Final = re.compile(r"--([a-z-]+)=(true|false)")
_NEGATED: Final = frozenset({"write", "example", "list"})
_SWITCHES: Final = _NEGATED | {
    "auto-approve",
    "json",
    "detailed-exitcode",
    "drift-exitcode",
    "refresh-only",
    "destroy",
    "purge",
    "check",
    "dry-run",
    "force",
    "or-create",
    "migrate-state",
    "reconfigure",
}
_ALIKE: Final = {"--no-refresh": "--refresh=false", "--refresh": "--refresh=true"}
"""Options with a value that may be written without one."""
_EVERYWHERE: Final = {
    "--no-color": ("NO_COLOR", "1"),
    "--input=false": ("MLF_INPUT", "0"),
    "--input=true": ("", ""),
    "--input": ("", ""),
}
"""Options that every command takes, and the variable of the environment that means the same."""
_WHOLE: Final = {"--version": ["version"], "-v": ["version"]}
_SINGLE_DASH: Final = re.compile(r"-[a-zA-Z][a-zA-Z]+(?:-[a-zA-Z]+)*(?:=.*)?", re.DOTALL)


def main() -> NoReturn:
    """Run the command line; every option works with one dash or two."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    # Nothing is left to stop, and a signal now would end in the middle of Python's own farewell.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if code == INTERRUPTED:
        sys.stderr.write("Interrupted. What was recorded stands; the next run goes on.\n")
    sys.exit(code)


def _run() -> int:
    """Run the command that the arguments name; return its exit code."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What a command loads, reads and plans stays until it ends: there is no garbage in it to find.
    gc.set_threshold(200_000, 20, 100)
    from mlform.cli.app import app, only

    try:
        arguments = [spelled for a in sys.argv[1:] for spelled in _spelling(a)]
        arguments = _before(arguments)
        only(arguments[0] if arguments else "")
        code = app(args=arguments, prog_name="mlform", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`mlform plan | head`): say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets words, not a traceback
        return _explain(error)
    return code if isinstance(code, int) else 0


def _spelling(argument: str) -> list[str]:
    """Take Terraform's spellings: one dash for long options, and ``-refresh=false``."""
    if _SINGLE_DASH.fullmatch(argument):
        argument = f"-{argument}"
    if argument in _EVERYWHERE:
        name, value = _EVERYWHERE[argument]
        os.environ.update({name: value} if name else {})
        return []
    if argument == "-h":
        return ["--help"]
    argument = _ALIKE.get(argument, argument)
    switch = _SWITCH.fullmatch(argument)
    if switch is None or switch[1] not in _SWITCHES:
        return [argument]
    if switch[2] == "true":
        return [f"--{switch[1]}"]
    return [f"--no-{switch[1]}"] if switch[1] in _NEGATED else []


def _before(arguments: list[str]) -> list[str]:
    """Take what Terraform has before the command: ``-chdir=DIR``, which goes there first."""
    left = list(arguments)
    while left and left[0].partition("=")[0] in {"--chdir", "-C"}:
        option, equals, folder = left.pop(0).partition("=")
        if not equals:
            folder = left.pop(0) if left else ""
        try:
            os.chdir(folder)
        except OSError as error:
            sys.stderr.write(f'Error: No such folder\n\n{option} "{folder}": {error.strerror}.\n')
            sys.exit(ERROR)
    return _WHOLE.get(left[0], left[0:1]) + left[1:] if left else left


def _explain(error: Exception) -> int:
    if type(error).__name__ == "Abort":
        return INTERRUPTED
    # Typer has brought a copy of click's exceptions since 0.29: known by name, not by class.
    if any(base.__name__ == "ClickException" for base in type(error).__mro__):
        error.show()  # type: ignore[attr-defined]
        return ERROR
    if os.environ.get("MLFORM_TRACE"):
        raise error
    sys.stderr.write(
        f"Error: Internal error\n\n{type(error).__name__}: {error}\n\n"
        "This is a bug in mlform; nothing that was recorded is lost. Run the command again with "
        "MLFORM_TRACE=1 and report what it prints.\n"
    )
    return ERROR
