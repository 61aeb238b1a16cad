"""``mlform store``: the artifact store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import explained, say, say_json

Grace = Annotated[
    str,
    Option("--grace", metavar="TIME", help="Keep what was put less than this ago: 24h, 2d, 0s."),
]
Place = Annotated[
    str | None,
    Argument(metavar="[STORE]", help="s3://BUCKET/PREFIX or a folder; else the spec's."),
]
Endpoint = Annotated[
    str | None, Option("--endpoint-url", metavar="URL", help="Where its server is.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Only say what it would delete.")]


def gc(
    directory: opt.Directory = opt.HERE,
    grace: Grace = "24h",
    dry_run: DryRun = False,
    drop: Annotated[
        str | None,
        Option(
            "--drop", metavar="LINEAGE", help="Let go of what a state that is no more has held."
        ),
    ] = None,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Delete the artifacts that nothing holds: no record, no lineage, no state that shares them."""
    from mlform.commands.storing import collect
    from mlform.config.quantities import seconds
    from mlform.diagnostics import stop
    from mlform.render.storing import collected, collected_data

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        wait = seconds(grace)
        if wait is None:
            raise stop("Invalid option", f'-grace is a time such as 24h, 2d or 0s, not "{grace}".')
        done, others = collect(session, grace=wait, dry_run=dry_run, drop=drop)
        if json:
            say_json(collected_data(done, others, dry_run=dry_run))
        else:
            say(collected(done, others, dry_run=dry_run))


def verify(directory: opt.Directory = opt.HERE, json: opt.Json = False) -> None:
    """Read every artifact; set aside what is corrupt, and say who uses it. Exit code 1 then."""
    from mlform.commands.storing import verify as check
    from mlform.render.storing import verified, verified_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = check(session)
        if json:
            say_json(verified_data(found))
        else:
            say(verified(found))
    if found.corrupt or found.missing:
        raise Exit(1)


def push(
    place: Place = None,
    endpoint_url: Endpoint = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
) -> None:
    """Copy what this state holds to another store, as far as it is not there."""
    _copy("push", place, endpoint_url, directory, json=json)


def pull(
    place: Place = None,
    endpoint_url: Endpoint = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
) -> None:
    """Copy what this state holds here from another store. Exit code 1 if something is nowhere."""
    _copy("pull", place, endpoint_url, directory, json=json)


def _copy(
    way: str, place: str | None, endpoint_url: str | None, directory: Path, *, json: bool
) -> None:
    from mlform.cli.terminal import can_ask
    from mlform.commands import copying
    from mlform.render.storing import copied, copied_data, copying_line

    session = opt.open_session(directory)

    def seen(done: int, total: int, size: int) -> None:
        if json:
            say_json({"type": "progress", "done": done, "total": total, "size": size}, lines=True)
        elif can_ask():
            say(copying_line(done, total, size))

    with explained(session, as_json=json):
        go = copying.push if way == "push" else copying.pull
        found = go(session, place, endpoint_url, seen)
        if json:
            say_json({"type": "copied", **copied_data(found)}, lines=True)
        else:
            say(copied(found, way))
    if found.missing or found.corrupt:
        raise Exit(1)
