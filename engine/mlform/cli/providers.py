"""What there is to a spec: ``providers``, ``providers schema``, ``graph``."""

from __future__ import annotations

from typing import Annotated

from mlform.cli import options as opt
from mlform.cli.parsing import Option
from mlform.cli.terminal import explained, say, say_json


def providers(directory: opt.Directory = opt.HERE, json: opt.Json = False) -> None:
    """Show which types of which provider the spec uses, and where."""
    from mlform.commands.providing import used

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = used(session)
        if json:
            say_json(found)
            return
        for name, types in sorted(found.items()):
            say([("bold", f"{name}"), ("", "\n" if types else "  not used here\n")])
            for type_, addresses in sorted(types.items()):
                say(f"  {type_}  {', '.join(addresses)}\n")


def schema(directory: opt.Directory = opt.HERE, json: opt.Json = False) -> None:
    """Write everything that installed providers offer: kinds, types, arguments, attributes."""
    from mlform.commands.providing import schema as offered
    from mlform.sdk.docs import sentence

    session = opt.open_session(directory)
    with explained(session, as_json=json):
        found = offered(session.registry)
        if json:
            say_json(found)
            return
        for name, provider in sorted(found["providers"].items()):
            for type_, resource in sorted(provider["resources"].items()):
                say([("bold", f"{type_}"), ("dim", f"  ({name} {provider['version']})\n")])
                say(f"  {sentence(resource['description'])}\n")
                for argument, field in resource["arguments"].items():
                    needed = ", required" if field["required"] else ""
                    said = sentence(field["description"])
                    say(f"    {argument}  {field['class']}{needed}{said and f'  {said}'}\n")


def functions(json: opt.Json = False) -> None:
    """List the built-in functions; with -json what each takes and gives, as Terraform does."""
    from mlform.commands.providing import signatures
    from mlform.sdk.docs import sentence

    found = signatures()
    if json:
        say_json(found)
        return
    for name, function in found["function_signatures"].items():
        say([("bold", f"{name}"), ("", f"  {sentence(function['description'])}\n")])


def graph(
    directory: opt.Directory = opt.HERE,
    format_: Annotated[str, Option("--format", help="dot, mermaid or json.")] = "dot",
    type_: Annotated[
        str,
        Option("--type", help="instances, config (blocks) or plan (with what would be done)."),
    ] = "instances",
    values: opt.Values = None,
) -> None:
    """Write the graph: who takes what from whom."""
    from mlform.commands.drawing import TYPES, drawn
    from mlform.diagnostics import stop
    from mlform.render.graph import as_data, dot, mermaid

    session = opt.open_session(directory, values)
    with explained(session):
        if format_ not in {"dot", "mermaid", "json"}:
            raise stop("Unknown format", f'-format is dot, mermaid or json, not "{format_}".')
        if type_ not in TYPES:
            raise stop("Unknown graph", f'-type is {", ".join(TYPES)}, not "{type_}".')
        made = drawn(session, type_)
        if format_ == "json":
            say_json(as_data(made))
        else:
            say(dot(made) if format_ == "dot" else mermaid(made))
