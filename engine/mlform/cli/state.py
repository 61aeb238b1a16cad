"""``mlform state``: what is recorded, what was, and changing it by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import explained, say, say_json

if TYPE_CHECKING:
    from mlform.state.differences import Revised

Serial = Annotated[int | None, Option("--serial", metavar="N", help="As it was at this serial.")]
At = Annotated[
    str | None,
    Option(
        "--at", metavar="TIME", help="As it was at 2026-01-31 (its end, UTC), a time, or 12h ago."
    ),
]
DryRun = Annotated[bool, Option("--dry-run", help="Only say what it would change.")]


def list_(
    directory: opt.Directory = opt.HERE,
    serial: Serial = None,
    at: At = None,
    json: opt.Json = False,
) -> None:
    """List what is recorded, or was."""
    from mlform.commands.past import past
    from mlform.render.records import records, snapshot_data
    from mlform.render.revisions import moment

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        then = past(session, serial=serial, at=at)
        if json:
            say_json(snapshot_data(then.snapshot))
            return
        if (serial, at) != (None, None):
            say(f"As of {moment(then)}:\n")
            if not then.snapshot.records:
                say("Nothing was recorded.\n")
                return
        say(records(then.snapshot))


def show(
    address: str,
    directory: opt.Directory = opt.HERE,
    serial: Serial = None,
    at: At = None,
    json: opt.Json = False,
) -> None:
    """Show one record whole, as it is or was."""
    from mlform.commands.past import past, record_at
    from mlform.render.records import record as shown
    from mlform.render.records import record_data
    from mlform.render.revisions import moment

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        then = past(session, serial=serial, at=at)
        found = record_at(address, then)
        if json:
            say_json(record_data(found))
            return
        if (serial, at) != (None, None):
            say(f"As of {moment(then)}:\n")
        say(shown(found))


def history(
    address: Annotated[str | None, Argument(help="Only this resource.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
) -> None:
    """Show the journal: what was done, when, by which run; of a resource, under all its names."""
    from mlform.commands.past import history as found_of
    from mlform.render.records import entries, entry_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = found_of(session, address)
        if json:
            say_json([entry_data(e) for e in found])
        else:
            say(entries(found))


def diff(
    before: Annotated[str, Argument(metavar="A", help="A serial, a time, or `now`.")],
    after: Annotated[str, Argument(metavar="B", help="A serial, a time, or `now`.")] = "now",
    directory: opt.Directory = opt.HERE,
    detailed_exitcode: Annotated[
        bool, Option("--detailed-exitcode", help="Exit with 2 where anything differs.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Show what differs between two moments, attribute by attribute."""
    from mlform.commands.past import differences
    from mlform.render.revisions import differences as shown
    from mlform.render.revisions import differences_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = differences(session, before, after)
        if json:
            say_json(differences_data(found))
        else:
            say(shown(found))
        if detailed_exitcode and found:
            raise Exit(2)


def pull(directory: opt.Directory = opt.HERE) -> None:
    """Write the whole state to standard output, as a document that `state push` takes."""
    from mlform.commands.pushing import pull as read

    session = opt.open_session(directory)
    with explained(session):
        say(read(session))


def push(
    file: Annotated[Path, Argument(help="What `state pull` wrote.")],
    directory: opt.Directory = opt.HERE,
    force: Annotated[
        bool, Option("--force", help="Even if it is older, altered, or of another state.")
    ] = False,
    dry_run: DryRun = False,
    json: opt.Json = False,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Make a document the state, all of it or nothing."""
    from mlform.commands.pushing import push as write
    from mlform.render.revisions import differences, differences_data

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        done = write(session, file, force=force, dry_run=dry_run)
        if json:
            say_json({**differences_data(done.differences), "serial": done.serial})
            return
        say(differences(done.differences))
        if done.serial is None or not done.differences:
            say("Nothing was changed.\n")
        else:
            say(f"This is the state now, at serial {done.serial}.\n")


def mv(
    source: Annotated[str, Argument(help="A resource, an instance or a module.")],
    target: Annotated[str, Argument(help="What it is called from now on.")],
    directory: opt.Directory = opt.HERE,
    dry_run: DryRun = False,
    json: opt.Json = False,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Record at one address what is recorded at another."""
    from mlform.commands.revising import move

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        _say(move(session, source, target, dry_run=dry_run), "moved", "would move", json=json)


def rm(
    addresses: Annotated[list[str], Argument(help="Resources, instances or modules.")],
    directory: opt.Directory = opt.HERE,
    dry_run: DryRun = False,
    json: opt.Json = False,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Forget what is recorded at addresses. Nothing that exists is touched."""
    from mlform.commands.revising import remove

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        _say(remove(session, addresses, dry_run=dry_run), "forgot", "would forget", json=json)


def replace_provider(
    source: Annotated[str, Argument(help="The provider that made it, as recorded.")],
    target: Annotated[str, Argument(help="The provider that looks after it from now on.")],
    directory: opt.Directory = opt.HERE,
    dry_run: DryRun = False,
    json: opt.Json = False,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Say that what one provider made is another's, which offers the same types."""
    from mlform.commands.revising import replace_provider as replace

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        done = replace(session, source, target, dry_run=dry_run)
        _say(done, "replaced the provider of", "would replace the provider of", json=json)


def encrypt(
    directory: opt.Directory = opt.HERE,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
    json: opt.Json = False,
) -> None:
    """Write all that is recorded anew, encrypted as the spec says now (or not at all)."""
    from mlform.commands.encrypting import encrypt as write

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json):
        count, encrypted = write(session)
        if json:
            say_json({"rows": count, "encrypted": encrypted})
        else:
            how = "encrypted" if encrypted else "in clear: the spec has no key to encrypt with"
            say(f"{count} rows written anew, {how}.\n")


def _say(it: Revised, done: str, would: str, *, json: bool) -> None:
    from mlform.render.revisions import revised, revised_data

    if json:
        say_json(revised_data(it))
    else:
        say(revised(it, done, would))
