"""Which commands there are, where each is, and carrying out the one that a command line names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Final

from mlform.cli.parsing import HELP, Exit, Function, UsageError, parse


class Group:
    """Commands under one name; ``itself`` is what the name alone does."""

    def __init__(self, said: str, commands: Mapping[str, str], itself: str = "") -> None:
        self.said, self.commands, self.itself = said, commands, itself


_SAID: Final = "Terraform for machine learning: plan and apply from data to monitor."
COMMANDS: Final[Mapping[str, str | Group]] = {
    "init": "app:init",
    "get": "modules:get",
    "validate": "app:validate",
    "plan": "app:plan",
    "apply": "app:apply",
    "destroy": "app:destroy",
    "show": "recorded:show",
    "report": "recorded:report",
    "output": "recorded:output",
    "why": "recorded:why",
    "savings": "recorded:savings",
    "logs": "logs:logs",
    "audit": "auditing:audit",
    "reproduce": "reproducing:reproduce",
    "approve": "approving:approve",
    "approvals": "approving:approvals",
    "keys": Group(
        "The key that approvals are signed with.",
        {"new": "approving:keys_new", "show": "approving:keys_show"},
    ),
    "promote": "channels:promote",
    "rollback": "channels:rollback",
    "quarantine": "channels:quarantine",
    "history": "channels:history",
    "serve": "serving:serve",
    "reapply": "loop:reapply",
    "watch": "loop:watch",
    "update": "loop:update",
    "monitor": Group(
        "Let monitors look.", {"run": "loop:monitor_run", "alarms": "loop:monitor_alarms"}
    ),
    "import": "importing:import_",
    "taint": "modules:taint",
    "untaint": "modules:untaint",
    "state": Group(
        "Look at what is recorded, or change it by hand.",
        {
            "list": "state:list_",
            "show": "state:show",
            "history": "state:history",
            "diff": "state:diff",
            "pull": "state:pull",
            "push": "state:push",
            "mv": "state:mv",
            "rm": "state:rm",
            "replace-provider": "state:replace_provider",
            "encrypt": "state:encrypt",
        },
    ),
    "store": Group(
        "Check and clean the artifact store.",
        {
            "gc": "storing:gc",
            "verify": "storing:verify",
            "push": "storing:push",
            "pull": "storing:pull",
        },
    ),
    "workspace": Group(
        "Several states of one spec.",
        {
            "list": "workspaces:list_",
            "show": "workspaces:show",
            "new": "workspaces:new",
            "select": "workspaces:select",
            "delete": "workspaces:delete",
        },
    ),
    "force-unlock": "workspaces:force_unlock",
    "test": "testing:run_tests",
    "fmt": "loop:fmt",
    "console": "console:console",
    "graph": "providers:graph",
    "providers": Group(
        "The providers that are installed.",
        {"schema": "providers:schema"},
        itself="providers:providers",
    ),
    "metadata": Group("What the language has.", {"functions": "providers:functions"}),
    "lsp": "lsp:serve",
    "version": "app:version",
}
"""Each command as ``"module:function"`` of this room: what is not called is not loaded."""


def run(arguments: Sequence[str]) -> None:
    """Carry out the command that a command line names. Raises ``UsageError`` and ``Exit``."""
    left = list(arguments)
    _before(left)
    if not left:
        sys.stderr.write(_help("mlform", COMMANDS, _SAID))
        raise Exit(1)
    if left[0].startswith("-"):
        if left[0].lstrip("-") in HELP:
            sys.stdout.write(_help("mlform", COMMANDS, _SAID))
            return
        raise UsageError("Unknown option", f"There is no option {left[0]} before a command.")
    path, where = _named(left)
    if where is None:
        return
    function = _loaded(where)
    given = parse(function, left, _EVERYWHERE)
    if given is None:
        from mlform.cli.helping import of_command

        sys.stdout.write(of_command(path, function))
        return
    function(**given)


def _named(left: list[str]) -> tuple[str, str | None]:
    """Take the names of the command away; say how it is called and where it is, if to run it."""
    name = left.pop(0)
    found = COMMANDS.get(name)
    if found is None:
        raise _unknown("mlform", name, COMMANDS)
    path = f"mlform {name}"
    if isinstance(found, str):
        return path, found
    if left and left[0] in found.commands:
        inner = left.pop(0)
        return f"{path} {inner}", found.commands[inner]
    asked = bool(left) and left[0].startswith("-") and left[0].lstrip("-") in HELP
    if found.itself and not asked:
        return path, found.itself
    if left and not left[0].startswith("-"):
        raise _unknown(path, left[0], found.commands)
    (sys.stdout if asked else sys.stderr).write(_help(path, found.commands, found.said))
    if not asked:
        raise Exit(1)
    return path, None


def _unknown(path: str, name: str, among: Mapping[str, object]) -> UsageError:
    from mlform.diagnostics import closest

    near = closest(name, among)
    hint = f"Did you mean {near}? " if near is not None else ""
    return UsageError(
        "Unknown command", f"There is no `{path} {name}`. {hint}`{path} -help` lists what there is."
    )


def _help(path: str, commands: Mapping[str, str | Group], said: str) -> str:
    from mlform.cli.helping import of_group

    return of_group(path, said, dict(_described(commands)))


def _described(commands: Mapping[str, str | Group]) -> Iterator[tuple[str, str]]:
    for name, it in commands.items():
        if isinstance(it, Group):
            yield name, f"{it.said} ({', '.join(it.commands)})"
        else:
            yield name, (_loaded(it).__doc__ or "").partition("\n")[0]


def _loaded(where: str) -> Function:
    module, _, name = where.partition(":")
    found: Function = getattr(import_module(f"mlform.cli.{module}"), name)
    return found


def _colourless(text: str) -> None:
    if _truth("no-color", text):
        os.environ["NO_COLOR"] = "1"


def _asking(text: str) -> None:
    if not _truth("input", text):
        os.environ["MLF_INPUT"] = "0"


def _truth(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise UsageError("Invalid option", f"-{name} is true or false.")
    return text == "true"


_EVERYWHERE: Final[Mapping[str, Callable[[str], None]]] = {
    "no-color": _colourless,
    "input": _asking,
}
"""Options that every command takes; each sets the variable of the environment that says so, too."""
_WHOLE: Final = frozenset({"--version", "-version", "-v"})


def _before(left: list[str]) -> None:
    """Take what stands before the command: ``-chdir=DIR``, which goes there first."""
    while left and left[0].startswith("-"):
        name, equals, value = left[0].lstrip("-").partition("=")
        if left[0] in _WHOLE:
            left[0] = "version"
        elif name in _EVERYWHERE:
            _EVERYWHERE[name](value if equals else "true")
            del left[0]
        elif name in {"chdir", "C"}:
            option = left.pop(0).partition("=")[0]
            if not equals:
                value = left.pop(0) if left else ""
            try:
                os.chdir(value)
            except OSError as error:
                detail = f'{option} "{value}": {error.strerror}.'
                raise UsageError("No such folder", detail) from None
        else:
            return
