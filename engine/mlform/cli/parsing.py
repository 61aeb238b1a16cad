"""What a command takes, read from the signature of its function, and command lines read by that.

A parameter is ``Annotated[TYPE, Option("--name", …)]``, ``Annotated[TYPE, Argument(…)]`` or, as an
argument without more to say, ``TYPE``. Help and parsing both come from it.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Final

Function = Callable[..., None]


class Exit(Exception):  # noqa: N818 - it is no error: how a command says its exit code
    """End the command with an exit code."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(code)
        self.code = code


class UsageError(Exception):
    """A command line that the program does not take: what is wrong, and what to do."""

    def __init__(self, summary: str, detail: str) -> None:
        super().__init__(f"{summary}: {detail}")
        self.summary, self.detail = summary, detail


class Argument:
    """What is given by its place."""

    def __init__(self, *, metavar: str = "", help: str = "") -> None:  # noqa: A002 - as it is read
        self.metavar, self.help = metavar, help


class Option:
    """What is given by name: ``-name VALUE``, ``-name=VALUE``; a switch (of type bool) alone.

    ``alone``: the value where none is written. ``parser`` makes a value of text and raises
    ``ValueError`` with the reason where it is none. ``tag``: each value goes into the list as
    (tag, text), so that options that share a parameter keep the order they were given in.
    """

    def __init__(
        self,
        *names: str,
        help: str,  # noqa: A002 - as it is read
        metavar: str = "",
        parser: Callable[[str], Any] | None = None,
        alone: str | None = None,
        tag: str = "",
        least: int | None = None,
    ) -> None:
        self.names, self.help, self.metavar = names, help, metavar
        self.parser, self.alone, self.tag, self.least = parser, alone, tag, least

    @property
    def name(self) -> str:
        """Its long name: ``"chdir"``."""
        return max(self.names, key=len).lstrip("-")


class Parameter:
    """A parameter of a command, how it is given, and its type without ``| None``, ``list[…]``."""

    def __init__(self, parameter: inspect.Parameter, hint: Any) -> None:
        self.key, self.default = parameter.name, parameter.default
        self.required = parameter.default is inspect.Parameter.empty
        told: tuple[Any, ...] = ()
        if typing.get_origin(hint) is typing.Annotated:
            hint, *rest = typing.get_args(hint)
            told = tuple(rest)
        self.options = [it for it in told if isinstance(it, Option)]
        self.argument = next((it for it in told if isinstance(it, Argument)), Argument())
        if typing.get_origin(hint) in {UnionType, typing.Union}:
            hint = next(it for it in typing.get_args(hint) if it is not NoneType)
        self.many = typing.get_origin(hint) is list
        self.type = typing.get_args(hint)[0] if self.many else hint
        self.switch = self.type is bool

    @property
    def metavar(self) -> str:
        """What stands for it in help: ``ADDRESS``."""
        return self.argument.metavar.strip("[]") or self.key.strip("_").upper()

    def value(self, name: str, text: str, option: Option | None = None) -> Any:
        """Make a value of text. Raises ``UsageError``."""
        if option is not None and option.tag:
            return option.tag, text
        parser = None if option is None else option.parser
        try:
            made = (parser or self.type)(text)
        except ValueError as error:
            kind = None if parser else _KINDS.get(self.type)
            reason = str(error) if kind is None else f'"{text}" is no {kind}.'
            raise UsageError("Invalid option", f"-{name}: {reason}") from None
        if option is not None and option.least is not None and made < option.least:
            raise UsageError("Invalid option", f"-{name}: {text} is less than {option.least}.")
        return made


_KINDS: Final = {int: "whole number", float: "number"}


def parameters(function: Function) -> list[Parameter]:
    """Return what a command takes."""
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    return [Parameter(it, hints[it.name]) for it in signature.parameters.values()]


def parse(
    function: Function, arguments: Sequence[str], everywhere: Mapping[str, Callable[[str], None]]
) -> dict[str, Any] | None:
    """Return what to call a command with; ``None`` where help is asked for. Raises ``UsageError``.

    ``everywhere`` are the options that all commands take: each is told its value.
    """
    line = _Line(parameters(function), everywhere)
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            line.words += left
            break
        if not word.startswith("-") or word == "-":
            line.words.append(word)
        elif word.lstrip("-") in HELP:
            return None
        else:
            line.take(word, left)
    return line.found()


HELP: Final = frozenset({"help", "h"})
_BOOLEANS: Final = {"true": True, "false": False}


class _Line:
    """A command line that is being read."""

    def __init__(
        self, given: list[Parameter], everywhere: Mapping[str, Callable[[str], None]]
    ) -> None:
        self.places = [it for it in given if not it.options]
        self.options = {
            name.lstrip("-"): (it, option)
            for it in given
            for option in it.options
            for name in option.names
        }
        self.everywhere = everywhere
        self.words: list[str] = []
        self.values: dict[str, Any] = {}

    def take(self, word: str, left: list[str]) -> None:
        """Take an option, with its value from what is left where it stands there."""
        name, equals, text = word.lstrip("-").partition("=")
        if name in self.everywhere:
            self.everywhere[name](text if equals else "true")
            return
        negated = name not in self.options and name.startswith("no-")
        known = self.options.get(name.removeprefix("no-") if negated else name)
        if known is None:
            raise self._unknown(name)
        it, option = known
        if it.switch:
            text = text if equals else "true"
            if text not in _BOOLEANS or (negated and equals):
                raise UsageError(
                    "Invalid option",
                    f"-{name} is a switch: write it alone, or -{option.name}=false.",
                )
            self.values[it.key] = _BOOLEANS[text] is not negated
            return
        if negated:
            if option.alone is None or equals:
                raise self._unknown(name)
            text = "false"
        elif not equals:
            if option.alone is not None:
                text = option.alone
            elif left:
                text = left.pop(0)
            else:
                what = option.metavar or it.metavar
                raise UsageError("Invalid option", f"-{name} needs a value: -{name}={what}")
        made = it.value(name, text, option)
        if it.many:
            self.values.setdefault(it.key, []).append(made)
        else:
            self.values[it.key] = made

    def _unknown(self, name: str) -> UsageError:
        from mlform.diagnostics import closest

        near = closest(name, self.options)
        hint = f" Did you mean -{near}?" if near is not None else ""
        return UsageError("Unknown option", f"There is no option -{name} here.{hint}")

    def found(self) -> dict[str, Any]:
        """Return the values of all parameters."""
        words = list(self.words)
        for it in self.places:
            if it.many and words:
                self.values[it.key] = [it.value(it.metavar, word) for word in words]
                words = []
            elif words:
                self.values[it.key] = it.value(it.metavar, words.pop(0))
            elif it.required:
                raise UsageError("Missing argument", f"{it.metavar} has to be given.")
        if words:
            raise UsageError("Too many arguments", f'Nothing here takes "{words[0]}".')
        return self.values
