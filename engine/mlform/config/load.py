"""Read the blocks of all files into one ``Project``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mlform.address import Address
from mlform.config.model import Output, Project, ResourceConfig
from mlform.config.names import Names
from mlform.config.resources import Resources
from mlform.config.settings import SettingsBlock
from mlform.config.sources import JSON_SUFFIX, Given, Sources
from mlform.config.variables import Variables
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang import evaluate
from mlform.registry import KINDS, Registry
from mlform.syntax import parse
from mlform.syntax.tree import Attribute, Block, Body
from mlform.values import Value

_LATER = {"module": "Modules", "moved": "Moved blocks", "removed": "Removed blocks"}
_LATER |= {"import": "Import blocks", "check": "Check blocks"}
_NESTED = {"lifecycle": 0, "validation": 0, "required_providers": 0, "backend": 1}
_LABELS = {**KINDS, "variable": 1, "output": 1, "provider": 1, "locals": 0, "mlform": 0}


def load(
    sources: Sources, registry: Registry, given: Given, diagnostics: Diagnostics
) -> tuple[Project, Names]:
    """Return the project the files declare, and its names. Notes everything that is wrong."""
    bodies = [_parse(name, text, diagnostics) for name, text in sources.files.items()]
    diagnostics.stop_on_errors()
    loader = _Loader(sources, registry, given, diagnostics)
    for body in bodies:
        loader.take(body)
    return loader.project()


def _parse(name: str, text: str, diagnostics: Diagnostics) -> Body:
    if name.endswith(JSON_SUFFIX):
        from mlform.syntax.json import parse_json  # noqa: PLC0415 - few specs have JSON

        return parse_json(text, name, diagnostics, {**_LABELS, **_NESTED})
    return parse(text, name, diagnostics)


class _Loader:
    def __init__(
        self, sources: Sources, registry: Registry, given: Given, diagnostics: Diagnostics
    ) -> None:
        self.sources, self.registry, self.diagnostics = sources, registry, diagnostics
        self.variables = Variables(sources, given, diagnostics)
        self.settings = SettingsBlock(registry, diagnostics)
        self.locals: dict[str, Attribute] = {}
        self.outputs: dict[str, Output] = {}
        self.providers: list[Block] = []
        self.blocks: dict[Address, Block] = {}
        self.readers: dict[str, Callable[[Block], None]] = {
            "variable": self.variables.declare,
            "locals": self._locals,
            "output": self._output,
            "mlform": self.settings.read,
            "provider": self.providers.append,
            **dict.fromkeys(KINDS, self._resource),
        }

    def take(self, body: Body) -> None:
        for attribute in body.attributes.values():
            detail = f'"{attribute.name}" stands outside any block. Put it into one.'
            self.diagnostics.error("Misplaced argument", detail, at=attribute.name_span)
        for block in body.blocks:
            if (read := self.readers.get(block.kind)) is None:
                self._unknown(block)
            elif self._labels(block):
                read(block)

    def project(self) -> tuple[Project, Names]:
        self._providers()
        values = self.variables.values()
        names = Names(values, self.locals, self.blocks, self.diagnostics)
        scope: dict[str, Value] = {"var": dict(values)}
        scope["path"] = {"module": ".", "root": ".", "cwd": str(self.sources.root)}
        reader = Resources(self.registry, names, scope, self.locals, self.diagnostics)
        resources: dict[Address, ResourceConfig] = {}
        for address, block in self.blocks.items():
            resources |= reader.read(address, block)
        for local in self.locals.values():
            names.needed(local)
        for output in self.outputs.values():
            names.needed(output.value)
        declared = {a: b.header_span for a, b in self.blocks.items()}
        project = Project(
            root=self.sources.root,
            settings=self.settings.settings(),
            variables=values,
            locals=self.locals,
            resources=resources,
            outputs=self.outputs,
            declared=declared,
        )
        return project, names

    def _labels(self, block: Block) -> bool:
        wanted = _LABELS[block.kind]
        if len(block.labels) == wanted:
            return True
        shape = " ".join([block.kind, *['"TYPE"', '"NAME"'][2 - wanted :]])
        detail = f"A {block.kind} block has {wanted} label(s), not {len(block.labels)}: {shape}."
        self.diagnostics.error("Wrong number of labels", detail, at=block.header_span)
        return False

    def _unknown(self, block: Block) -> None:
        if block.kind in _LATER:
            detail = f"{_LATER[block.kind]} are not available in this version of mlform."
            self.diagnostics.error("Not available yet", detail, at=block.header_span)
            return
        known = [*self.readers, *_LATER]
        detail = f'There is no block "{block.kind}".{did_you_mean(block.kind, known)}'
        if block.kind == "resource" and len(block.labels) == 2:
            detail += f' A resource is written KIND "TYPE" "NAME"; kinds: {", ".join(KINDS)}.'
        self.diagnostics.error("Unknown block", detail, at=block.header_span)

    def _resource(self, block: Block) -> None:
        name = block.labels[-1]
        address = Address(block.kind, name.text)
        if not name.text.replace("-", "_").isidentifier():
            detail = f'"{name.text}" is no name: letters, digits, "_" and "-", not first a digit.'
            at = block.source.span(name.start, name.end)
            self.diagnostics.error("Invalid name", detail, at=at)
        elif (first := self.blocks.get(address)) is not None:
            detail = (
                f"{address} was already declared at {first.header_span}. A name is unique within "
                "its kind, whatever the type."
            )
            self.diagnostics.error("Duplicate resource", detail, at=block.header_span)
        else:
            self.blocks[address] = block

    def _locals(self, block: Block) -> None:
        self._no_blocks(block)
        for name, attribute in block.body.attributes.items():
            if name in self.locals:
                detail = f'Local value "{name}" was already set at {self.locals[name].name_span}.'
                self.diagnostics.error("Duplicate local value", detail, at=attribute.name_span)
            self.locals[name] = attribute

    def _output(self, block: Block) -> None:
        name, attributes = block.labels[0].text, block.body.attributes
        self._no_blocks(block)
        self._only(attributes.values(), ["value", "description", "sensitive"], "An output")
        if name in self.outputs:
            detail = f'Output "{name}" was already declared at {self.outputs[name].value.span}.'
            self.diagnostics.error("Duplicate output", detail, at=block.header_span)
        elif (value := attributes.get("value")) is None:
            detail = f'Output "{name}" needs "value".'
            self.diagnostics.error("Missing argument", detail, at=block.header_span)
        else:
            constant = {
                n: evaluate(a.expr, {}, self.diagnostics, a.source)
                for n, a in attributes.items()
                if n != "value"
            }
            sensitive = constant.get("sensitive") is True
            description = str(constant.get("description") or "")
            self.outputs[name] = Output(name, value, sensitive, description)

    def _providers(self) -> None:
        given: dict[str, dict[str, object]] = {}
        known = self.registry.providers()
        for block in self.providers:
            name = block.labels[0].text
            if name not in known:
                detail = (
                    f'No provider "{name}" is installed.{did_you_mean(name, known)} '
                    f"Installed: {', '.join(known) or 'none'}."
                )
                self.diagnostics.error("Unknown provider", detail, at=block.header_span)
                continue
            given[name] = {
                a.name: evaluate(a.expr, {}, self.diagnostics, a.source)
                for a in block.body.attributes.values()
            }
        self.registry.settings = {**self.registry.settings, **given}

    def _only(self, attributes: Iterable[Attribute], known: Sequence[str], what: str) -> None:
        for attribute in attributes:
            if attribute.name not in known:
                detail = f'{what} has no "{attribute.name}".{did_you_mean(attribute.name, known)}'
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)

    def _no_blocks(self, block: Block) -> None:
        for inner in block.body.blocks:
            article = "An" if block.kind[0] in "aeiou" else "A"
            detail = f'{article} {block.kind} block holds no block "{inner.kind}".'
            self.diagnostics.error("Unexpected block", detail, at=inner.header_span)
