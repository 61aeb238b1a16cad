"""The commands that close the loop, and those that rewrite files."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import explained, reporter, say, say_json

if TYPE_CHECKING:
    from mlform.commands.reapplying import Reapplied
    from mlform.commands.session import Session


def reapply(
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    parallelism: opt.Parallelism = 2,
    out: Annotated[
        Path | None,
        Option("--out", metavar="FOLDER", help="Where to write what is only proposed."),
    ] = None,
    dismiss: Annotated[
        list[str] | None,
        Option("--dismiss", metavar="TRIGGER", help="Let what waits for this trigger go."),
    ] = None,
    as_of: Annotated[
        str | None,
        Option("--as-of", metavar="TIME", help="Act as if it were then, as 2026-01-31T06:00:00Z."),
    ] = None,
    detailed_exitcode: Annotated[
        bool,
        Option("--detailed-exitcode", help="Exit with 2 if anything was done, 6 if proposed."),
    ] = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Let triggers act on alarms and ticks, then plan and apply what follows. For cron and CI."""
    from mlform.cli.app import finish
    from mlform.commands.reapplying import dismiss as let_go
    from mlform.commands.reapplying import reapply as run

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json, lines=True):
        if dismiss:
            for name in dismiss:
                say(f"{name}: {let_go(session, name)} let go.\n")
            return
        with reporter(json=json) as report:
            done = run(session, report, parallelism=parallelism, out=out, as_of=as_of)
        _told(done, json=json)
    finish(done.applied, session, json=json)
    if detailed_exitcode and done.proposals:
        raise Exit(6)
    if detailed_exitcode and done.applied.outcome and done.applied.outcome.done:
        raise Exit(2)


def _told(done: Reapplied, *, json: bool) -> None:
    from mlform.render.loop import proposal_data, proposals, pull_data, pulls

    if json:
        for data in (*map(pull_data, done.pulls), *map(proposal_data, done.proposals)):
            say_json(data, lines=True)
    else:
        say([*pulls(done.pulls), *proposals(done.proposals)])


def watch(
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    interval: Annotated[
        float,
        Option(
            "--interval", metavar="60s", help="From one round to the next.", parser=opt.duration
        ),
    ] = 60.0,
    listen: Annotated[
        str | None,
        Option("--listen", metavar="HOST:PORT", help="Where to answer for health and metrics."),
    ] = None,
    rounds: Annotated[
        int | None, Option("--rounds", metavar="N", least=1, help="End after going so many.")
    ] = None,
    out: Annotated[
        Path | None,
        Option("--out", metavar="FOLDER", help="Where to write what is only proposed."),
    ] = None,
    parallelism: opt.Parallelism = 2,
    values: opt.Values = None,
) -> None:
    """Stay, and let monitors look and triggers act, round after round, until it is stopped."""
    from mlform.commands.looping import Teller, Watch
    from mlform.commands.looping import watch as stay
    from mlform.render.loop import leader_data, round_data, told_leader, told_round

    def leader(it: Any) -> None:
        if json:
            say_json(leader_data(it), lines=True)
        else:
            say(told_leader(it))

    def tell(it: Any) -> None:
        if json:
            say_json(round_data(it), lines=True)
        else:
            say(told_round(it))

    def listening(place: str) -> None:
        if json:
            say_json({"type": "watch", "listening": place}, lines=True)
        else:
            say(f"listening at http://{place}: /healthz, /readyz, /metrics\n")

    def begin() -> Session:
        return opt.open_session(directory, values)

    first = begin()
    with explained(first, as_json=json, lines=True), reporter(json=json) as report:
        how = Watch(interval, listen, rounds, out, parallelism)
        stay(begin, how, report, Teller(listening, leader, tell))


def update(
    dataset: Annotated[list[str] | None, Argument(help="Which; all by default.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
) -> None:
    """Move pinned datasets to what lies at their sources (.mlform.lock.hcl)."""
    from mlform.commands.reapplying import update as run
    from mlform.render.loop import moved, moved_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = run(session, dataset or ())
        if json:
            say_json([moved_data(m) for m in found])
        else:
            say(moved(found))


def monitor_run(
    monitor: Annotated[list[str] | None, Argument(help="Which; all by default.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Look at what was served since the last look; raise alarms."""
    from mlform.commands.reapplying import run_monitors
    from mlform.render.loop import watched, watched_data

    session = opt.open_session(directory, lock_timeout=lock_timeout)
    with explained(session, as_json=json):
        with reporter(json=json) as report:
            seen = run_monitors(session, monitor or (), report)
        if json:
            say_json([watched_data(w) for w in seen])
        else:
            say(watched(seen))
    if any(w.error for w in seen):
        raise Exit(1)


def monitor_alarms(directory: opt.Directory = opt.HERE, json: opt.Json = False) -> None:
    """List the alarms there were, and what became of them."""
    from mlform.render.loop import alarm_data, alarms

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = session.store.alarms()
        if json:
            say_json([alarm_data(a) for a in found])
        else:
            say(alarms(found))


def fmt(
    paths: Annotated[
        list[str] | None, Argument(help="Files or folders; - is standard input.")
    ] = None,
    check: Annotated[
        bool, Option("--check", help="Change nothing; exit with 3 if something would.")
    ] = False,
    diff: Annotated[bool, Option("--diff", help="Show what changes.")] = False,
    recursive: Annotated[bool, Option("--recursive", help="Folders inside too.")] = False,
    write: Annotated[bool, Option("--write", help="Rewrite the files.")] = True,
    list_: Annotated[bool, Option("--list", help="Name the files that change.")] = True,
) -> None:
    """Lay spec files out in the one style."""
    from mlform.commands.formatting import files, lay_out
    from mlform.commands.session import Session
    from mlform.config import Sources

    session = Session(Path.cwd())
    with explained(session):
        wanted = paths or ["."]
        texts = (
            {"<stdin>": sys.stdin.read()}
            if wanted == ["-"]
            else files([Path(p) for p in wanted], recursive=recursive)
        )
        session.sources = Sources(session.root, texts, {})
        laid = {n: lay_out(n, t, session.diagnostics) for n, t in texts.items()}
        session.diagnostics.stop_on_errors()
        changed = {n: t for n, t in laid.items() if t != texts[n]}
        if wanted == ["-"]:
            say(laid["<stdin>"])
        else:
            _rewrite(texts, changed, diff=diff, write=write and not check, named=list_)
        if check and changed:
            raise Exit(3)


def _rewrite(
    before: Mapping[str, str],
    changed: Mapping[str, str],
    *,
    diff: bool,
    write: bool,
    named: bool,
) -> None:
    from mlform.files import write_file

    for name, text in changed.items():
        if named:
            say(f"{name}\n")
        if diff:
            old, new = before[name].splitlines(keepends=True), text.splitlines(keepends=True)
            say("".join(difflib.unified_diff(old, new, f"old/{name}", f"new/{name}")))
        if write:
            write_file(Path(name), text.encode())
