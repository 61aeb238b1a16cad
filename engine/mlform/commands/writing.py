"""``plan -generate-config-out``: blocks for what is imported, written from what is read of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from mlform.commands.importing import Reading, look_without_blocks
from mlform.commands.session import Session
from mlform.diagnostics import stop
from mlform.files import write_file
from mlform.lazy import replace

if TYPE_CHECKING:
    from mlform.config import Import
    from mlform.registry import Offer
    from mlform.sdk import AnyResource
    from mlform.state.model import Snapshot


def generate(session: Session, file: Path, snapshot: Snapshot) -> None:
    """Write the blocks that imports lack, from what is read, and plan as if they had been there.

    The file stays even if the spec is not complete with it: what could not be read is named there.
    """
    from mlform.syntax.write import write_blocks

    if file.exists():
        detail = f"{file} exists already. Name a new file, or move that one away."
        raise stop("File exists", detail)
    project, _ = session.configured
    lacking = [
        it
        for it in project.imports
        if it.target not in project.resources and it.target.config not in project.declared
    ]
    readings = [r for it in lacking if (r := _without_block(session, it)) is not None]
    session.diagnostics.stop_on_errors()
    if not readings:
        return
    found = look_without_blocks(session, readings, snapshot)
    texts = [_HEADER]
    for reading in readings:
        address, resource = reading.it.target, reading.offer.resource
        arguments = _worth_writing(resource, found[address].arguments)
        if lacks := _required(resource, arguments):
            texts.append(f"# Not to be read of {reading.it.id}: {', '.join(lacks)}. Write it.\n")
        provider = {"provider": _PROVIDER} if reading.it.provider else {}
        block = (address.kind, [resource.type, address.name], {**provider, **arguments})
        written = write_blocks([block])
        texts.append(written.replace(f'"{_PROVIDER}"', reading.it.provider) + "\n")
    text = "".join(texts).rstrip("\n") + "\n"
    write_file(file, text.encode())
    session.sources = replace(session.sources, files={**session.sources.files, file.name: text})
    session.reread()


_PROVIDER: Final = "the provider of the import"
_HEADER: Final = """\
# Written by mlform for what is imported: read it through, and move it where it belongs.

"""


def _without_block(session: Session, it: Import) -> Reading | None:
    """Return what to look at for an import without a block, or note why that is not to be told."""
    address, registry = it.target, session.registry
    if address.key is not None or address.module:
        detail = (
            f"{address} has no block, and none can be written for it: one instance of several, or "
            "one in a module, does not say what the others are. Write the block."
        )
        session.diagnostics.error("No block for the import", detail, at=it.to, of=str(address))
        return None
    types = registry.types(address.kind)
    if it.type or address.kind == "trigger" or not types:
        offer = registry.find(address.kind, it.type, it.provider)
        if offer is None:
            detail = registry.missing(address.kind, it.type)
            at = it.type_at or it.to
            session.diagnostics.error("Unknown resource type", detail, at=at, of=str(address))
            return None
        return Reading(it, offer, None, {})
    able = [t for t in types if (o := registry.find(address.kind, t)) and _imports(o)]
    offers = [registry.find(address.kind, t, it.provider) for t in able or types[:1]]
    if len(offers) == 1 and offers[0] is not None:
        return Reading(it, offers[0], None, {})
    choice = " or ".join(f'"{name}"' for name in able or types)
    detail = (
        f"Which type of {address.kind} {address} is cannot be told from its address. Write "
        f"`type` into the import block: {choice}."
    )
    session.diagnostics.error("Type not known", detail, at=it.to, of=str(address))
    return None


def _imports(offer: Offer) -> bool:
    from mlform.sdk import Resource

    return type(offer.resource).import_ is not Resource.import_


def _worth_writing(resource: AnyResource, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments to write: those that are no defaults, and hold no handle."""
    from mlform.values import handles

    fields = {i.alias or n: i for n, i in resource.arguments.model_fields.items()}
    found = {}
    for name, value in arguments.items():
        info = fields[name]
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        plain = default.model_dump(mode="json") if isinstance(default, BaseModel) else default
        if not handles(value) and (info.is_required() or value != plain):
            found[name] = value
    return found


def _required(resource: AnyResource, arguments: Mapping[str, Any]) -> list[str]:
    fields = {i.alias or n: i for n, i in resource.arguments.model_fields.items()}
    return [n for n, i in fields.items() if i.is_required() and n not in arguments]
