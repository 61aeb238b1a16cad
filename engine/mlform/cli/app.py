"""The commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Exit, Option
from mlform.cli.terminal import can_ask, explained, reporter, say, say_json, say_plan
from mlform.cli.watching import watched
from mlform.diagnostics import counted
from mlform.lazy import replace

if TYPE_CHECKING:
    from mlform.commands.applying import Applied
    from mlform.commands.session import Session
    from mlform.plan import Plan


def init(
    directory: opt.Directory = opt.HERE,
    example: Annotated[
        bool,
        Option("--example", help="Write an example where there is no spec."),
    ] = True,
    migrate_state: Annotated[
        bool,
        Option("--migrate-state", help="Move the state, all of it, to the backend configured now."),
    ] = False,
    source: Annotated[
        str | None,
        Option(
            "--from", metavar="URL", help="Where to move it from, if not from where it was last."
        ),
    ] = None,
    reconfigure: Annotated[
        bool, Option("--reconfigure", help="Go on with the state in the backend of now.")
    ] = False,
    values: opt.Values = None,
) -> None:
    """Prepare a folder; in one without a spec, write a small example that runs."""
    from mlform.commands.backends import migrate, remember
    from mlform.commands.starting import init as start

    session = opt.open_session(directory, values)
    with explained(session):
        if migrate_state:
            moved = migrate(session, source)
            say(
                f"Moved {counted(len(moved.workspaces), 'workspace')} ({moved.rows} rows) from "
                f"{moved.source} to {moved.target}, and checked them there. What was left is a "
                "backup.\n"
            )
            return
        if reconfigure:
            remember(session.local, session.configured_place)
        done = start(directory.resolve(), example=example)
        for name in done.written:
            say(f"wrote {name}\n")
        say(f"Ready. Providers: {', '.join(done.providers) or 'none'}. Next: mlform plan\n")


def validate(
    directory: opt.Directory = opt.HERE,
    values: opt.Values = None,
    json: opt.Json = False,
) -> None:
    """Check the spec: everything that can be known without state, data or network."""
    from mlform.commands.explaining import ordered
    from mlform.commands.queries import validate as check
    from mlform.render.diagnostics import document

    session = opt.open_session(directory, values)
    session.given = replace(session.given, partial=True)
    with explained(session, as_json=json):
        check(session)
        if json:
            say_json(document(ordered(session.diagnostics, session.texts)), lines=True)
        else:
            count = len(session.configured[0].resources)
            say(f"The spec is valid: {counted(count, 'resource')}.\n")


def plan(
    directory: opt.Directory = opt.HERE,
    out: Annotated[Path | None, Option("--out", help="Save the plan for apply.")] = None,
    json: opt.Json = False,
    markdown: opt.Markdown = False,
    html: Annotated[
        Path | None, Option("--html", help="Write a web page with the graph, too.")
    ] = None,
    detailed_exitcode: Annotated[
        bool, Option("--detailed-exitcode", help="Exit with 2 where changes are pending.")
    ] = False,
    drift_exitcode: Annotated[
        bool,
        Option(
            "--drift-exitcode",
            help="Exit with 5 where all that is pending was changed from outside, else as above.",
        ),
    ] = False,
    destroy: Annotated[bool, Option("--destroy", help="Plan to take it all down.")] = False,
    purge: opt.Purge = False,
    target: opt.Target = None,
    refresh: opt.Refresh = "true",
    refresh_only: opt.RefreshOnly = False,
    adopt: opt.Adopt = None,
    revert: opt.Revert = None,
    as_of: opt.AsOf = None,
    exclude: opt.Exclude = None,
    replace: opt.Replace = None,
    parallelism: opt.Parallelism = 2,
    generate_config_out: opt.GenerateConfig = None,
    values: opt.Values = None,
) -> None:
    """Show what apply would do, and why. Changes nothing."""
    from mlform.commands.options import PlanOptions
    from mlform.commands.planfile import written
    from mlform.commands.queries import plan as make
    from mlform.files import write_file

    session = opt.open_session(directory, values)
    with explained(session, as_json=json):
        chosen = PlanOptions(
            tuple(target or ()),
            opt.refreshing(refresh),
            destroy,
            as_of,
            tuple(exclude or ()),
            tuple(replace or ()),
            refresh_only=refresh_only,
            adopt=tuple(adopt or ()),
            revert=tuple(revert or ()),
            generate=generate_config_out,
            purge=purge,
        )
        with watched(session, json=json):
            made = make(session, chosen)
        if out is not None:
            write_file(out, written(session, made).encode())
        if html is not None:
            from mlform.render.page import page

            write_file(html, page(made, parallelism).encode())
        say_plan(made, session, parallelism, json=json, markdown=markdown)
        if out is not None and not json and not markdown:
            say(f"Saved to {out}: apply exactly this with `mlform apply {out}`.\n")
        if drift_exitcode and made.only_drift:
            raise Exit(5)
        if (detailed_exitcode or drift_exitcode) and not made.empty:
            raise Exit(2)


def apply(
    saved: Annotated[
        Path | None, Argument(metavar="[PLAN]", help="A plan saved by plan -out.")
    ] = None,
    directory: opt.Directory = opt.HERE,
    auto_approve: opt.AutoApprove = False,
    json: opt.Json = False,
    parallelism: opt.Parallelism = 2,
    target: opt.Target = None,
    refresh: opt.Refresh = "true",
    refresh_only: opt.RefreshOnly = False,
    adopt: opt.Adopt = None,
    revert: opt.Revert = None,
    as_of: opt.AsOf = None,
    exclude: opt.Exclude = None,
    replace: opt.Replace = None,
    purge: opt.Purge = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Plan, ask, and do it; or carry out a saved plan."""
    from mlform.commands.applying import apply as carry_out
    from mlform.commands.options import PlanOptions
    from mlform.commands.planfile import saved_plan

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json, lines=True):
        given = None if saved is None else saved_plan(session, saved)
        quiet = auto_approve or given is not None
        approve = _approval(quiet=quiet, json=json, parallelism=parallelism)
        chosen = PlanOptions(
            tuple(target or ()),
            opt.refreshing(refresh),
            as_of=as_of,
            exclude=tuple(exclude or ()),
            replace=tuple(replace or ()),
            refresh_only=refresh_only,
            adopt=tuple(adopt or ()),
            revert=tuple(revert or ()),
            purge=purge,
        )
        with reporter(json=json) as report, watched(session, json=json, events=True):
            applied = carry_out(
                session, approve, report, chosen, saved=given, parallelism=parallelism
            )
    finish(applied, session, json=json)


def destroy(
    directory: opt.Directory = opt.HERE,
    auto_approve: opt.AutoApprove = False,
    json: opt.Json = False,
    parallelism: opt.Parallelism = 2,
    target: opt.Target = None,
    purge: opt.Purge = False,
    values: opt.Values = None,
    lock_timeout: opt.LockTimeout = 0.0,
) -> None:
    """Stop what runs and forget what is recorded; with -purge delete what it made, too.

    Data at their sources are left alone.
    """
    from mlform.commands.applying import apply as carry_out
    from mlform.commands.options import PlanOptions

    session = opt.open_session(directory, values, lock_timeout)
    with explained(session, as_json=json, lines=True):
        approve = _approval(quiet=auto_approve, json=json, parallelism=parallelism)
        chosen = PlanOptions(tuple(target or ()), refresh=False, destroy=True, purge=purge)
        with reporter(json=json) as report:
            applied = carry_out(
                session, approve, report, chosen, parallelism=parallelism, operation="destroy"
            )
    finish(applied, session, json=json)


def _approval(*, quiet: bool, json: bool, parallelism: int) -> Any:
    from mlform.diagnostics import stop
    from mlform.render.plan import plan as shown

    def approve(made: Plan) -> bool:
        if not json:
            say(shown(made, parallelism))
        if quiet:
            return True
        if json or not can_ask():
            detail = "There is nobody to ask: pass -auto-approve, or apply a saved plan."
            raise stop("Approval needed", detail)
        say("\nDo this? Only `yes` is taken: ")
        return sys.stdin.readline().strip() == "yes"

    return approve


def finish(applied: Applied, session: Session, *, json: bool) -> None:
    """Say what came of an apply, and exit with the code that means it."""
    from mlform.commands.explaining import ordered
    from mlform.render.diagnostics import diagnostic
    from mlform.render.events import outcome, outcome_data, problem, warnings
    from mlform.render.plan import plan as shown

    if not applied.approved:
        say("Nothing was done.\n")
        raise Exit(1)
    assert applied.outcome is not None, "an approved plan has an outcome"
    if json:
        say_json(outcome_data(applied.outcome), lines=True)
    elif applied.plan.empty and not applied.outcome.done:
        say(shown(applied.plan))
    else:
        if applied.unfinished:
            cut = ", ".join(applied.unfinished)
            say(f"\nAn earlier run was cut off in {cut}; this one went on from there.")
        say("\n")
        told = [problem(failure, session.texts) for failure in applied.outcome.failures]
        said = {(it.summary, it.detail) for it in session.diagnostics}
        found = warnings(applied.outcome, session.texts)
        told += [it for it in found if (it.summary, it.detail) not in said]
        for it in ordered(told, session.texts):
            say([*diagnostic(it, session.texts), ("", "\n")], error=True)
        say(outcome(applied.outcome))
    if applied.outcome.interrupted:
        raise Exit(130)
    if not applied.outcome.complete:
        raise Exit(1)
    if applied.outcome.held:
        raise Exit(3)


def version(json: opt.Json = False) -> None:
    """Say which mlform this is, and which providers are installed."""
    from mlform.keys import installed_version
    from mlform.registry import Registry

    number, providers = installed_version("mlform"), sorted(Registry().providers())
    if json:
        say_json({"mlform": number, "providers": providers})
    else:
        say(f"mlform {number}\nproviders: {', '.join(providers) or 'none'}\n")
