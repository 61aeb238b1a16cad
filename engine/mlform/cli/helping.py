"""``-help``: what a command takes, and which commands there are, from the same table."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from mlform.cli.parsing import Function, Parameter, parameters

_WIDEST: Final = 100
_LEFT: Final = 28


def of_command(path: str, function: Function) -> str:
    """Describe one command; ``path`` is what calls it: ``"mlform state mv"``."""
    given = parameters(function)
    places = [it for it in given if not it.options]
    usage = " ".join([f"Usage: {path} [OPTIONS]", *map(_place, places)])
    said = inspect.getdoc(function) or ""
    text = f"{usage}\n\n{textwrap.indent(said, '  ')}\n"
    if any(it.argument.help for it in places):
        rows = [(_place(it), it.argument.help) for it in places]
        text += f"\nArguments:\n{_table(rows)}"
    rows = [row for it in given for row in _options(it)]
    return f"{text}\nOptions:\n{_table([*rows, ('-help', 'Show this.')])}"


def of_group(path: str, said: str, commands: Mapping[str, str]) -> str:
    """Describe a group of commands, by the first line of what each says."""
    return (
        f"Usage: {path} COMMAND [OPTIONS]\n\n  {said}\n\nCommands:\n{_table(commands.items())}"
        f"\n`{path} COMMAND -help` says what a command takes.\n"
    )


def _place(it: Parameter) -> str:
    name = f"{it.metavar}..." if it.many else it.metavar
    return name if it.required else f"[{name}]"


def _options(it: Parameter) -> Iterable[tuple[str, str]]:
    for option in it.options:
        names = ", ".join(f"-{name.lstrip('-')}" for name in sorted(option.names, key=len))
        said = option.help
        if it.switch:
            usual = bool(it.default)
            if usual:
                names, said = f"{names}=false", f"{said} Done unless this is false."
        else:
            names = f"{names}={option.metavar or it.metavar}"
            if isinstance(it.default, int | str) and it.default:
                said = f"{said} [default: {it.default}]"
        if it.many:
            said = f"{said} May be repeated."
        yield names, said


def _table(rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows)
    left = min(_LEFT, max(len(name) for name, _ in rows))
    wide = min(_WIDEST, shutil.get_terminal_size().columns) - left - 4
    text = ""
    for name, said in rows:
        lines = textwrap.wrap(said, max(wide, 20)) or [""]
        if len(name) > left:
            text += f"  {name}\n"
            name = ""  # noqa: PLW2901 - it stands on a line of its own
        for line in lines:
            text += f"  {name:<{left}}  {line}".rstrip() + "\n"
            name = ""  # noqa: PLW2901 - it stands in the first line alone
    return text
