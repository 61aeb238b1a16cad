"""Channels of models, moved by people: ``promote``, ``rollback``, ``quarantine``, ``history``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import can_ask, explained, reporter, say, say_json

if TYPE_CHECKING:
    from pathlib import Path

    from mlform.sdk.channels import Ordered
    from mlform.state.channels import Asked

Channel = Annotated[
    str | None, Option("--channel", metavar="NAME", help="Which channel; the champion.")
]
Reason = Annotated[str, Option("--reason", help="Why, for the history and the next plans.")]
Model = Annotated[str, Argument(help="The model, as model.risk.")]
Version = Annotated[str, Argument(help="Its number, or its digest or the beginning of that.")]


def promote(
    address: Model,
    version: Version,
    directory: opt.Directory = opt.HERE,
    channel: Channel = None,
    reason: Reason = "",
    auto_approve: opt.AutoApprove = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Put a version that may be there into a channel; the next apply serves it."""
    _order(
        (directory, values, lock_timeout),
        address,
        "promote",
        quiet=auto_approve,
        json=json,
        channel=channel,
        version=version,
        why=reason,
        roll=False,
    )


def rollback(
    address: Annotated[str, Argument(help="A deployment, or a model.")],
    directory: opt.Directory = opt.HERE,
    channel: Channel = None,
    to: Annotated[
        str, Option("--to", metavar="VERSION", help="Which version; the one before.")
    ] = "",
    reason: Reason = "",
    auto_approve: opt.AutoApprove = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Go back to the version before, and serve it, at once; what was there is quarantined."""
    _order(
        (directory, values, lock_timeout),
        address,
        "rollback",
        quiet=auto_approve,
        json=json,
        channel=channel,
        version=to,
        why=reason,
    )


def quarantine(
    address: Model,
    version: Version,
    directory: opt.Directory = opt.HERE,
    reason: Reason = "",
    lift: Annotated[bool, Option("--lift", help="It is fit again: it may be promoted.")] = False,
    auto_approve: opt.AutoApprove = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Have a version serve nowhere, and never again until that is lifted."""
    _order(
        (directory, values, lock_timeout),
        address,
        "lift" if lift else "quarantine",
        quiet=auto_approve,
        json=json,
        version=version,
        why=reason,
    )


def history(
    address: Annotated[str, Argument(help="A model, or a deployment.")],
    directory: opt.Directory = opt.HERE,
    channel: Annotated[str | None, Option("--channel", metavar="NAME", help="Only this.")] = None,
    json: opt.Json = False,
) -> None:
    """List every move of a model's channels: who, when, from which plan, why."""
    from mlform.commands.channels import history as moves
    from mlform.render import channels as render

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = moves(session, address, channel)
        if json:
            say_json(render.history_data(found))
        else:
            say(render.history(found))


def _order(
    where: tuple[Path, list[tuple[str, str]] | None, float],
    address: str,
    what: Ordered,
    *,
    quiet: bool,
    json: bool,
    channel: str | None = None,
    version: str = "",
    why: str = "",
    roll: bool = True,
) -> None:
    from mlform.cli.app import finish
    from mlform.commands.channels import order
    from mlform.diagnostics import stop
    from mlform.render import channels as render

    def approve(asked: Asked) -> bool:
        if json:
            say_json({"type": "order", **render.asked_data(asked)}, lines=True)
        else:
            say(render.asked(asked))
        if quiet:
            return True
        if json or not can_ask():
            detail = "There is nobody to ask: pass -auto-approve."
            raise stop("Approval needed", detail)
        say("\nDo this? Only `yes` is taken: ")
        return sys.stdin.readline().strip() == "yes"

    session = opt.open_session(*where)
    with explained(session, as_json=json, lines=True), reporter(json=json) as report:
        done = order(
            session,
            address,
            what,
            approve,
            report,
            channel=channel,
            version=version,
            why=why,
            roll=roll,
        )
        for text in done.warnings:
            session.diagnostics.warning("Channels not told", text)
        if not done.approved:
            say("Nothing was done.\n")
            raise Exit(1)
        if not json:
            later = "; the next apply serves it" if what == "promote" else ""
            say(f"{done.asked.address}: done and recorded{later}.\n")
    if done.applied is not None:
        finish(done.applied, session, json=json)
