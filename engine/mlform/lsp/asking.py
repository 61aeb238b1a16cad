"""Completion and hover: what may stand at a place, and what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from mlform.config.declare import LABELS, OUTPUT
from mlform.config.lifecycle import ARGUMENTS as LIFECYCLE
from mlform.config.load import CALL
from mlform.config.modules import is_local
from mlform.config.resources import META
from mlform.config.variables import ARGUMENTS as VARIABLE
from mlform.lang import functions
from mlform.lsp.symbols import Symbol, declared, symbol_at
from mlform.lsp.workspace import Module
from mlform.registry import KINDS, Offer
from mlform.sdk.docs import field_docs
from mlform.syntax.tree import Block

_REFERENCE: Final = re.compile(r"[\w-]+(?:\[[^\]]*\])?(?:\.[\w-]*(?:\[[^\]]*\])?)+$")
_TYPE: Final = re.compile(r'^\s*(\w+)\s+"[^"]*$')
_WORD: Final = re.compile(r"^\s*[\w-]*$")
_RULE: Final = (("condition", "error_message"), ())
_INSIDE: Final[Mapping[str, tuple[Sequence[str], Sequence[str]]]] = {
    "lifecycle": (LIFECYCLE, ("precondition", "postcondition")),
    "precondition": _RULE,
    "postcondition": _RULE,
    "validation": _RULE,
    "assert": _RULE,
    "variable": (VARIABLE, ("validation",)),
    "output": (OUTPUT, ("precondition",)),
    "check": ((), ("assert",)),
    "module": (CALL, ()),
    "mlform": (("required_version",), ("required_providers", "backend")),
    "backend": (("path",), ()),
    "provider": (("alias",), ()),
    "moved": (("from", "to"), ()),
    "removed": (("from",), ("lifecycle",)),
    "import": (("to", "id"), ()),
    "dynamic": (("for_each", "iterator"), ("content",)),
}
"""Block → the arguments and the blocks that it takes."""
_ROOTS: Final = ("var", "local", "module", "prior", "path", "each", "count", "mlform")


@dataclass(frozen=True)
class Item:
    """One completion: the text, what kind of thing it is, and what it is for."""

    label: str
    kind: str
    detail: str = ""
    insert: str = ""


def complete(module: Module, file: str, offset: int) -> list[Item]:
    """Return what may be written at a place."""
    text = module.texts.get(file, "")
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    if found := _TYPE.match(line):
        return [Item(t, "type") for t in _types(module, found[1])]
    if found := _REFERENCE.search(line):
        return list(_members(module, found[0]))
    if _WORD.match(line):
        # A word alone is no argument yet: the block around it is read without it.
        begun = len(line.lstrip())
        whole = text[: offset - begun] + " " * begun + text[offset:]
        without = Module(module.root, {**module.texts, file: whole}, module.registry)
        return list(_statements(without, without.around(file, offset)))
    return [
        *(Item(name, "function", _signature(name), f"{name}(") for name in functions()),
        *(Item(root, "root") for root in (*_ROOTS, *KINDS)),
    ]


def _types(module: Module, kind: str) -> list[str]:
    if kind == "provider":
        return sorted(module.registry.providers())
    return module.registry.types(kind) if KINDS.get(kind) == 2 else []


def _statements(module: Module, around: list[Block]) -> Iterator[Item]:
    if not around:
        yield from (Item(name, "block") for name in LABELS)
        return
    block = around[-1]
    if block.kind in _INSIDE:
        arguments, blocks = _INSIDE[block.kind]
        left = [n for n in arguments if n not in block.body.attributes]
        yield from (Item(name, "argument", insert=f"{name} = ") for name in left)
        yield from (Item(name, "block") for name in blocks)
        return
    offer = _offer(module, around[0])
    if offer is None or len(around) > 1:
        return
    docs = field_docs(offer.resource.arguments)
    fields = offer.resource.arguments.model_fields
    for name, info in sorted(fields.items(), key=lambda f: not f[1].is_required()):
        written = info.alias or name
        if written not in block.body.attributes:
            needed = "required. " if info.is_required() else ""
            yield Item(written, "argument", needed + docs.get(name, ""), f"{written} = ")
    for name in META:
        if name not in block.body.attributes:
            yield Item(name, "argument", insert=f"{name} = ")
    yield Item("lifecycle", "block")


def _members(module: Module, written: str) -> Iterator[Item]:
    steps = re.split(r"\.|\[[^\]]*\]\.?", written)[:-1]
    if steps[:1] == ["prior"]:
        steps = steps[1:]
        if not steps:
            yield from (Item(kind, "root") for kind in KINDS)
            return
    folder = module.folder
    match steps:
        case ["var"]:
            yield from (Item(v.name, "variable", v.description) for v in folder.variables.values())
        case ["local"]:
            yield from (Item(name, "variable", a.text[:80]) for name, a in folder.locals.items())
        case ["module"]:
            yield from (Item(name, "module") for name in folder.calls)
        case ["module", name]:
            yield from (Item(output, "attribute") for output in _outputs(module, name))
        case ["each"]:
            yield from (Item(name, "variable") for name in ("key", "value"))
        case ["count"]:
            yield Item("index", "variable")
        case ["path"]:
            yield from (Item(name, "variable") for name in ("module", "root", "cwd"))
        case ["mlform"]:
            yield Item("workspace", "variable")
        case [kind] if kind in KINDS:
            yield from (Item(a.name, "resource") for a in folder.blocks if a.kind == kind)
        case [kind, name] if kind in KINDS:
            block = declared(module, Symbol(kind, name))
            offer = _offer(module, block) if block else None
            docs = field_docs(offer.resource.attributes) if offer else {}
            for attribute in offer.resource.attributes.model_fields if offer else ():
                yield Item(attribute, "attribute", docs.get(attribute, ""))
        case _:
            return


def _outputs(module: Module, name: str) -> list[str]:
    """Return the outputs of a module beside this one."""
    block = module.folder.calls.get(name)
    written = block.body.attributes.get("source") if block else None
    source = written.text.strip('"') if written else ""
    if not is_local(source):
        return []
    return list(Module.read(module.root / source, {}, module.registry).folder.outputs)


def _offer(module: Module, block: Block) -> Offer | None:
    if block.kind not in KINDS or not block.labels:
        return None
    return module.registry.find(block.kind, block.labels[0].text if KINDS[block.kind] == 2 else "")


def _signature(name: str) -> str:
    function: Any = import_module("mlform.lang.functions").FUNCTIONS[name]
    parameters = [p.name for p in getattr(function, "parameters", ())]
    rest = getattr(function, "rest", None)
    return f"{name}({', '.join([*parameters, *([f'{rest.name}…'] if rest else [])])})"


def hover(module: Module, file: str, offset: int) -> str:
    """Return what stands at a place, as Markdown; empty if there is nothing to say."""
    around = module.around(file, offset)
    for _, block in module.blocks():
        if block.source.file == file and block.start <= offset <= block.header_end:
            return _type_text(module, block, offset)
    if around and (offer := _offer(module, around[0])) and len(around) == 1:
        for name, attribute in around[0].body.attributes.items():
            if attribute.start <= offset <= attribute.start + len(name):
                return _argument(offer, name)
    if symbol := symbol_at(module, file, offset):
        return _symbol(module, symbol)
    text = module.texts.get(file, "")
    for found in re.finditer(r"\w+(?=\s*\()", text):
        if found.start() <= offset <= found.end() and found[0] in functions():
            function: Any = import_module("mlform.lang.functions").FUNCTIONS[found[0]]
            return f"```hcl\n{_signature(found[0])}\n```\n{function.run.__doc__ or ''}"
    return ""


def _type_text(module: Module, block: Block, offset: int) -> str:
    offer = _offer(module, block)
    if offer is None or block.labels[0].end < offset:
        symbol = symbol_at(module, block.source.file, offset)
        return _symbol(module, symbol) if symbol else ""
    return f'**{block.kind} "{offer.resource.type}"**\n\n{type(offer.resource).__doc__ or ""}'


def _argument(offer: Offer, name: str) -> str:
    model = offer.resource.arguments
    for field, info in model.model_fields.items():
        if (info.alias or field) == name:
            needed = "required" if info.is_required() else "optional"
            return f"**{name}** ({needed})\n\n{field_docs(model).get(field, '')}".strip()
    return ""


def _symbol(module: Module, symbol: Symbol) -> str:
    folder = module.folder
    if symbol.root == "var" and (variable := folder.variables.get(symbol.name)):
        default = f" = {variable.default.text}" if variable.default else ""
        head = f"```hcl\nvar.{variable.name}: {variable.written}{default}\n```"
        return f"{head}\n{variable.description}".strip()
    if symbol.root == "local" and (local := folder.locals.get(symbol.name)):
        return f"```hcl\nlocal.{symbol.name} = {local.text}\n```"
    block = declared(module, symbol)
    if block is None:
        return ""
    labels = " ".join(f'"{label.text}"' for label in block.labels)
    return f"```hcl\n{block.kind} {labels}\n```"
