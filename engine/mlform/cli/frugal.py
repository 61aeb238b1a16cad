"""Commands that convert only the options that were given."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Frugal(TyperCommand):
    """A command whose defaults are taken as they stand.

    Typer makes a pydantic model of each option to convert it, which takes longer than most
    commands do; a default has the type of its option already.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        _keep_defaults(self.get_params(ctx))
        return super().parse_args(ctx, args)


class FrugalGroup(TyperGroup):
    """The same for what has commands below it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        _keep_defaults(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _keep_defaults(params: Any) -> None:
    for param in params:
        if not param.required:
            param.process_value = _kept(param, param.process_value)


def _kept(param: Any, convert: Any) -> Any:
    def process_value(ctx: Any, value: Any) -> Any:
        source = ctx.get_parameter_source(param.name)
        if source is None or source.name != "DEFAULT":
            return convert(ctx, value)
        return value if param.callback is None else param.callback(ctx, param, value)

    return process_value
