"""Approving: keys, signing what a plan would do, and what was signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import can_ask, explained, say, say_json

if TYPE_CHECKING:
    from mlform.commands.approving import Given


Key = Annotated[
    Path | None,
    Option(
        "--key",
        metavar="FILE",
        help="The private key; else $MLF_SIGNING_KEY, else ~/.config/mlform/signing.pem.",
    ),
]


def keys_new(directory: opt.Directory = opt.HERE, key: Key = None) -> None:
    """Make a private key, and say how its public half goes into a spec."""
    from mlform.commands.approving import new_key, signing_key

    session = opt.open_session(directory)
    with explained(session):
        file = signing_key(key)
        public = new_key(file)
        say(f"The private key is in {file}: keep it to yourself. In the mlform block of a spec:\n")
        say(f'\n  approver "NAME" {{\n    key   = "{public}"\n    users = ["NAME"]\n  }}\n')


def keys_show(directory: opt.Directory = opt.HERE, key: Key = None) -> None:
    """Print the public half of the private key."""
    import os

    from mlform.commands.approving import PASSPHRASE, signing_key
    from mlform.state.signing import Signer

    session = opt.open_session(directory)
    with explained(session):
        say(f"{Signer.read(signing_key(key), os.environ.get(PASSPHRASE)).public}\n")


def approve(
    plan: Annotated[Path, Argument(metavar="PLAN", help="A plan saved by plan -out.")],
    directory: opt.Directory = opt.HERE,
    for_: Annotated[
        list[str] | None,
        Option("--for", metavar="ADDRESS", help="Only this; by default all that takes approvals."),
    ] = None,
    expires: Annotated[
        str | None, Option("--expires", metavar="TIME", help="In 7d or 12h, or a date.")
    ] = None,
    comment: Annotated[str, Option("--comment", help="Why, or on what condition.")] = "",
    key: Key = None,
    auto_approve: opt.AutoApprove = False,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Agree, with a signature, to what a plan would do; `apply` then finds that you did."""
    from mlform.commands.approving import approve as sign
    from mlform.commands.planfile import saved_plan
    from mlform.diagnostics import stop
    from mlform.render.plan import plan as shown

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        made = saved_plan(session, plan)
        if not auto_approve:
            if json or not can_ask():
                detail = "There is nobody to ask: pass -auto-approve to sign without looking."
                raise stop("Approval needed", detail)
            say(shown(made))
            say("\nSign this? Only `yes` is taken: ")
            if sys.stdin.readline().strip() != "yes":
                say("Nothing was signed.\n")
                raise Exit(1)
        text = plan.read_text(encoding="utf-8")
        given = sign(session, made, text, for_ or (), key=key, expires=expires, comment=comment)
        if json:
            say_json([_data(it) for it in given])
            return
        for it in given:
            say(f"{it.by} approved {it.address}{_until(it)}.\n")


def approvals(
    address: Annotated[str | None, Argument(help="Only of this resource.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
) -> None:
    """List every approval that was given, and whether it counts."""
    from mlform.commands.approving import approvals as all_given
    from mlform.commands.queries import parsed

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        wanted = None if address is None else str(parsed(address))
        given = [it for it in all_given(session) if wanted in {None, it.address}]
        if json:
            say_json([_data(it) for it in given])
            return
        for it in given:
            roles = f" ({', '.join(it.roles)})" if it.roles else ""
            state = f"does not count: {it.why}" if it.why else f"counts{_until(it)}"
            what = f"{it.address} as {it.subject[7:19]}"
            comment = f'  "{it.comment}"' if it.comment else ""
            say(f"{it.at:%Y-%m-%d %H:%M}  {it.by}{roles}  {what}  {state}{comment}\n")
        if not given:
            say("Nothing was approved.\n")


def _until(it: Given) -> str:
    return "" if it.expires is None else f" until {it.expires:%Y-%m-%d %H:%M} UTC"


def _data(it: Given) -> dict[str, Any]:
    return {
        "address": it.address,
        "subject": it.subject,
        "by": it.by,
        "roles": list(it.roles),
        "at": it.at.isoformat(),
        "expires": it.expires and it.expires.isoformat(),
        "comment": it.comment,
        "counts": not it.why,
        "why": it.why,
    }
