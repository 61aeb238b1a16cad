"""Completion and hover: what may stand at a place, and what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from mlform.config.declare import LABELS, OUTPUT
from mlform.config.imports import ARGUMENTS as IMPORT
from mlform.config.lifecycle import ARGUMENTS as LIFECYCLE
from mlform.config.load import CALL
from mlform.config.resources import META
from mlform.config.sources import JSON_SUFFIX
from mlform.config.variables import ARGUMENTS as VARIABLE
from mlform.lang import functions
from mlform.lang.provided import PREFIX, made
from mlform.lazy import dataclass
from mlform.lsp.meanings import MEANINGS
from mlform.lsp.spots import Spot, spot
from mlform.lsp.symbols import Symbol, declared, symbol_at
from mlform.lsp.workspace import Module
from mlform.registry import KINDS, Offer
from mlform.sdk.docs import field_docs, told
from mlform.sdk.shapes import Field, choices, fields, within
from mlform.syntax.tree import Block

_REFERENCE: Final = re.compile(r"[\w-]+(?:\[[^\]]*\])?(?:\.[\w-]*(?:\[[^\]]*\])?)+$")
_PROVIDED: Final = re.compile(r"provider::[\w:-]*$")
_TYPE: Final = re.compile(r'^\s*(\w+)\s+"[^"]*$')
_WORD: Final = re.compile(r"(?:^\s*|[{,]\s*)([\w-]*)$")
_VALUE: Final = re.compile(r'([\w-]+)\s*[=:]\s*("?)[\w-]*$')
_IGNORED: Final = re.compile(r"ignore_changes\s*=\s*\[[^\]]*$")
_KEY: Final = re.compile(r'"([\w-]+)"(?=\s*:)')
_KEY_BEGUN: Final = re.compile(r'(?:^|[{,])\s*"([\w-]*)$')
_NAMED: Final = re.compile(r"(?:^[ \t]*|[{,][ \t]*)([\w-]+)(?=[ \t]*[=:{][^=])", re.MULTILINE)
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
    "mlform": (("required_version",), ("required_providers", "backend")),
    "backend": (("path", "url", "schema"), ()),
    "moved": (("from", "to"), ()),
    "removed": (("from",), ("lifecycle",)),
    "import": (IMPORT, ()),
    "dynamic": (("for_each", "iterator"), ("content",)),
}
"""Block → the arguments and the blocks that it takes."""
_FLAGS: Final = frozenset(
    {"sensitive", "nullable", "ephemeral", "create_before_destroy", "prevent_destroy", "enabled"}
    | {"destroy"}
)
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
    text = module.text(file)
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    if found := _TYPE.match(line):
        return [Item(t, "type") for t in _types(module, found[1])]
    if found := _PROVIDED.search(line):
        return list(_provided(module, found[0]))
    if found := _REFERENCE.search(line):
        return list(_members(module, file, offset - len(found[0]), found[0]))
    if file in module.values:
        given = {m[1] for m in re.finditer(r"^([\w-]+)\s*=", text, re.MULTILINE)}
        left = [v for v in module.folder.variables.values() if v.name not in given]
        word = _WORD.match(line)
        return [Item(v.name, "variable", v.description, f"{v.name} = ") for v in left if word]
    if file.endswith(JSON_SUFFIX):
        key = _KEY_BEGUN.search(line)
        return list(_keys(module, file, offset - len(key[1]) - 1, offset)) if key else []
    if found := _WORD.search(line):
        # A word alone is no argument yet: what is around it is read without it.
        there = _spot(module, file, offset - len(found[1]), offset)
        if there.open and (items := list(_statements(module, there))):
            return items
        if there.open and not found[0].startswith(("{", ",")):
            return []
    if _IGNORED.search(line):
        there = _spot(module, file, offset, offset)
        offer = _offer(module, there.around[0]) if there.around else None
        names = fields(offer.resource.arguments) if offer else ()
        return [Item(f.name, "argument", f.text) for f in names] + [Item("all", "root")]
    named = list(_choices(module, file, offset, line))
    if '"' in line and _VALUE.search(line) and line.count('"') % 2:
        return named
    return [
        *named,
        *(Item(name, "function", _signature(name), f"{name}(") for name in functions()),
        *(Item(root, "root") for root in (*_ROOTS, *KINDS)),
    ]


def _keys(module: Module, file: str, start: int, end: int) -> Iterator[Item]:
    """Yield what the key of a JSON object can be that is begun between two offsets."""
    text = module.text(file)
    before, after = text[:start], text[end:].removeprefix('"')
    if after.lstrip().startswith("}"):
        # What follows no other key needs no comma before it.
        before = re.sub(r",(?=\s*\Z)", " ", before)
    there = spot(file, before + " " * (len(text) - len(before) - len(after)) + after, start)
    for item in _statements(module, there):
        yield Item(item.label, item.kind, item.detail, item.label)


def _spot(module: Module, file: str, start: int, end: int) -> Spot:
    """Return where a place is once the text between two offsets is not there."""
    text = module.text(file)
    return spot(file, text[:start] + " " * (end - start) + text[end:], start)


def _choices(module: Module, file: str, offset: int, line: str) -> Iterator[Item]:
    """Yield the values that the argument at a place can have, if there are only some."""
    if (found := _VALUE.search(line)) is None:
        return
    text = module.text(file)
    end = offset + (text[offset : offset + 1] == '"' and bool(found[2]))
    there = _spot(module, file, offset - len(found[0]), end)
    values: list[Any] = []
    if found[1] in _FLAGS and there.around and there.around[-1].kind in _INSIDE:
        values = [True, False]
    for field in _fields(module, there):
        if field.name == found[1]:
            values = choices(field.annotation)
    for value in values:
        if isinstance(value, bool):
            yield Item(str(value).lower(), "value")
        else:
            yield Item(str(value), "value", insert=str(value) if found[2] else f'"{value}"')


def _types(module: Module, kind: str) -> list[str]:
    if kind == "provider":
        return sorted(module.registry.providers())
    if kind == "backend":
        return ["sqlite"]
    return module.registry.types(kind) if KINDS.get(kind) == 2 else []


def _statements(module: Module, there: Spot) -> Iterator[Item]:
    if not there.around:
        yield from (Item(name, "block", MEANINGS.get(name, "")) for name in LABELS)
        return
    block = there.around[-1]
    if block.kind in _INSIDE and not (there.path and there.path[-1] != block.kind):
        arguments, blocks = _INSIDE[block.kind]
        if block.kind == "lifecycle" and there.around[0].kind == "removed":
            arguments, blocks = ("destroy",), ()
        left = [n for n in arguments if n not in there.written]
        yield from (Item(n, "argument", MEANINGS.get(n, ""), f"{n} = ") for n in left)
        yield from (Item(n, "block", MEANINGS.get(n, "")) for n in blocks)
        return
    if block.kind == "required_providers":
        yield from (Item(n, "argument", insert=f"{n} = ") for n in module.registry.providers())
        return
    for field in _fields(module, there):
        if field.name not in there.written:
            needed = "required. " if field.required else ""
            yield Item(field.name, "argument", needed + field.text, f"{field.name} = ")
    if len(there.around) > 1 or there.path:
        return
    meta = {"module": CALL, "provider": ("alias",)}.get(block.kind, META)
    for name in meta if block.kind in {*KINDS, "module", "provider"} else ():
        if name not in there.written:
            yield Item(name, "argument", MEANINGS.get(name, ""), f"{name} = ")
    if block.kind in KINDS:
        yield Item("lifecycle", "block", MEANINGS["lifecycle"])
        yield Item("dynamic", "block", MEANINGS["dynamic"])


def _fields(module: Module, there: Spot) -> list[Field]:
    """Return what the block or object at a place takes, as its type or its module says."""
    block = there.around[0] if there.around else None
    if block is None:
        return []
    if (offer := _offer(module, block)) is not None:
        return within(offer.resource.arguments, there.path)
    if block.kind == "provider" and block.labels:
        settings = module.registry.settings_of(block.labels[0].text)
        return within(settings, there.path) if settings else []
    if block.kind == "module" and block.labels and not there.path:
        called = module.called(block.labels[0].text)
        variables = called.folder.variables.values() if called else ()
        found = [Field(v.name, v.default is None, v.description, Any) for v in variables]
        return sorted(found, key=lambda f: not f.required)
    return []


def _provided(module: Module, written: str) -> Iterator[Item]:
    provider, colons, _ = written.removeprefix(PREFIX).partition("::")
    if not colons:
        names = module.registry.providers()
        yield from (Item(f"{PREFIX}{n}::", "module") for n in names)
    elif provider in module.registry.providers():
        for name, function in module.registry.functions(provider).items():
            full = f"{PREFIX}{provider}::{name}"
            yield Item(full, "function", told(function.__doc__), f"{full}(")


def _members(module: Module, file: str, start: int, written: str) -> Iterator[Item]:
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
            called = module.called(name)
            for output in called.folder.outputs.values() if called else ():
                yield Item(output.name, "attribute", output.description)
        case ["each"]:
            yield from (Item(name, "variable") for name in ("key", "value"))
        case ["count"]:
            yield Item("index", "variable")
        case ["path"]:
            yield from (Item(name, "variable") for name in ("module", "root", "cwd"))
        case ["mlform"] | ["terraform"]:
            yield Item("workspace", "variable")
        case ["self"]:
            line = module.text(file).rfind("\n", 0, start) + 1
            there = _spot(module, file, line, start + len(written))
            yield from _attributes(module, there.around[0] if there.around else None)
        case [kind] if kind in KINDS:
            yield from (Item(a.name, "resource") for a in folder.blocks if a.kind == kind)
        case [kind, name] if kind in KINDS:
            yield from _attributes(module, declared(module, Symbol(kind, name)))
        case _:
            return


def _attributes(module: Module, block: Block | None) -> Iterator[Item]:
    offer = _offer(module, block) if block else None
    docs = field_docs(offer.resource.attributes) if offer else {}
    for attribute in offer.resource.attributes.model_fields if offer else ():
        yield Item(attribute, "attribute", docs.get(attribute, ""))


def _offer(module: Module, block: Block) -> Offer | None:
    if block.kind not in KINDS or not block.labels:
        return None
    return module.registry.find(block.kind, block.labels[0].text if KINDS[block.kind] == 2 else "")


def _signature(name: str) -> str:
    return _shown(import_module("mlform.lang.functions").FUNCTIONS[name], name)


def _shown(function: Any, name: str) -> str:
    parameters = [p.name for p in getattr(function, "parameters", ())]
    rest = getattr(function, "rest", None)
    return f"{name}({', '.join([*parameters, *([f'{rest.name}…'] if rest else [])])})"


def hover(module: Module, file: str, offset: int) -> str:
    """Return what stands at a place, as Markdown; empty if there is nothing to say."""
    text = module.text(file)
    for _, block in module.blocks():
        if block.source.file == file and block.start <= offset <= block.header_end:
            return _type_text(module, block, offset)
    if found := _name_at(module, file, text, offset):
        return found
    if symbol := symbol_at(module, file, offset):
        return _symbol(module, symbol)
    for call in re.finditer(r"[\w:]+(?=\s*\()", text):
        if call.start() <= offset <= call.end():
            return _function(module, call[0])
    return ""


def _name_at(module: Module, file: str, text: str, offset: int) -> str:
    """Return what is known of the argument or key whose name stands at a place."""
    pattern = _KEY if file.endswith(JSON_SUFFIX) else _NAMED
    for found in pattern.finditer(text):
        if found.start(1) <= offset <= found.end(1):
            there = spot(file, text, found.start(1))
            for field in _fields(module, there):
                if field.name == found[1]:
                    needed = "required" if field.required else "optional"
                    return f"**{field.name}** ({needed})\n\n{field.text}".strip()
            if there.around and not there.path and found[1] in MEANINGS:
                return f"**{found[1]}**\n\n{MEANINGS[found[1]]}"
            if found[1] in MEANINGS and there.around[-1:] and there.around[-1].kind in _INSIDE:
                return f"**{found[1]}**\n\n{MEANINGS[found[1]]}"
    return ""


def _function(module: Module, name: str) -> str:
    if name in functions():
        function: Any = import_module("mlform.lang.functions").FUNCTIONS[name]
    elif name.startswith(PREFIX):
        provider, _, inner = name.removeprefix(PREFIX).partition("::")
        known = module.registry.providers()
        offered = module.registry.functions(provider) if provider in known else {}
        if inner not in offered:
            return ""
        function = made(name, offered[inner])
    else:
        return ""
    return f"```hcl\n{_shown(function, name)}\n```\n{told(function.run.__doc__)}"


def _type_text(module: Module, block: Block, offset: int) -> str:
    offer = _offer(module, block)
    if offer is None or block.labels[0].end < offset:
        symbol = symbol_at(module, block.source.file, offset)
        if symbol:
            return _symbol(module, symbol)
        return f"**{block.kind}**\n\n{MEANINGS.get(block.kind, '')}".strip()
    return f'**{block.kind} "{offer.resource.type}"**\n\n{told(type(offer.resource).__doc__)}'


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
