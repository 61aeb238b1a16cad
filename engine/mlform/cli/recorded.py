"""What is recorded: the commands that show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Argument, Option
from mlform.cli.terminal import explained, say, say_json, say_plan

if TYPE_CHECKING:
    pass


def show(
    saved: Annotated[Path | None, Argument(metavar="[PLAN]", help="A saved plan.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    markdown: opt.Markdown = False,
    html: Annotated[bool, Option("--html", help="A plan as a web page.")] = False,
) -> None:
    """Show a saved plan, or the whole state."""
    from mlform.commands.planfile import saved_plan
    from mlform.render.records import record, snapshot_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        if saved is not None:
            made = saved_plan(session, saved)
            if html:
                from mlform.render.page import page

                say(page(made))
            else:
                say_plan(made, session, json=json, markdown=markdown)
            return
        snapshot = session.snapshot()
        if json:
            say_json(snapshot_data(snapshot))
            return
        for address in sorted(snapshot.records):
            say([*record(snapshot.records[address]), ("", "\n")])
        if not snapshot.records:
            say("Nothing is recorded.\n")


def report(
    address: Annotated[str, Argument(help="The resource, as gate.quality.")],
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    out: Annotated[
        Path | None, Option("--out", metavar="FILE", help="Where to write the page.")
    ] = None,
) -> None:
    """Write what a resource has to look at: the page of a verdict, the card of a model."""
    from mlform.commands.reporting import report as write

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        path = write(session, address, out)
        if json:
            say_json({"address": address, "page": str(path)})
        else:
            say(f"{path}\n")


def output(
    name: Annotated[str | None, Argument(help="One output.")] = None,
    directory: opt.Directory = opt.HERE,
    json: opt.Json = False,
    raw: Annotated[bool, Option("--raw", help="The bare text of one output.")] = False,
) -> None:
    """Show outputs as recorded by the last apply."""
    from mlform.commands.queries import outputs
    from mlform.diagnostics import stop
    from mlform.render.events import outputs as shown
    from mlform.render.events import outputs_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        recorded = outputs(session, name)
        found = {n: it["value"] for n, it in recorded.items()}
        if raw:
            if name is None or not isinstance(found[name], str | int | float):
                raise stop("No raw form", "-raw wants the NAME of one output that is text.")
            say(str(found[name]))
        elif json:
            say_json(found[name] if name else outputs_data(recorded))
        else:
            say(shown(found) or "No outputs are recorded.\n")


def why(
    address: str,
    directory: opt.Directory = opt.HERE,
    not_: Annotated[
        bool, Option("--not", help="Why it did not run, or will not by a plan of now.")
    ] = False,
    run: Annotated[
        str | None, Option("--run", metavar="RUN", help="About this run; `last` is one.")
    ] = None,
    plan: Annotated[
        Path | None, Option("--plan", metavar="FILE", help="About this saved plan.")
    ] = None,
    json: opt.Json = False,
    values: opt.Values = None,
) -> None:
    """Explain why a resource ran, or did not: the chain of causes down to its leaf."""
    from mlform.commands.asking import why as explain
    from mlform.commands.asking import why_not as explain_not
    from mlform.commands.planfile import saved_plan
    from mlform.diagnostics import stop
    from mlform.render.why import chain, chain_data, why_not, why_not_data

    session = opt.open_session(directory, values)
    with explained(session, as_json=json):
        if run is not None and plan is not None:
            raise stop("Two questions at once", "Ask about a run or about a plan: not both.")
        made = None if plan is None else saved_plan(session, plan)
        if not_:
            answer = explain_not(session, address, run=run, plan=made)
            if json:
                say_json(why_not_data(answer))
            else:
                say(why_not(answer))
            return
        links = explain(session, address, run=run, plan=made)
        if json:
            say_json(chain_data(links))
        else:
            say(chain(links))


def savings(
    directory: opt.Directory = opt.HERE,
    since: Annotated[
        str | None,
        Option("--since", metavar="TIME", help="Only runs since 2026-01-31, 30d or 12h ago."),
    ] = None,
    json: opt.Json = False,
) -> None:
    """Show what was not computed, since its result was there or came out the same."""
    from mlform.commands.saving import savings as added
    from mlform.render.savings import savings as shown
    from mlform.render.savings import savings_data

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = added(session, since)
        if json:
            say_json(savings_data(found))
        else:
            say(shown(found))
