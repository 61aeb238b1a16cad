"""Read the files of all modules into one ``Project``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from mlform.config import stead
from mlform.config.blocks import Reader
from mlform.config.changes import changes
from mlform.config.declare import LABELS, Folder
from mlform.config.ephemeral import as_null
from mlform.config.expand import Recorded, expand, unexpanded
from mlform.config.model import Call, Module, Project, Settings
from mlform.config.modules import Fetched, GitSource, SourceError, is_local, local_folder
from mlform.config.names import Names
from mlform.config.providers import provider_names, read_providers, settled
from mlform.config.resources import Providers, Resources
from mlform.config.scope import ModuleScope
from mlform.config.settings import SettingsBlock
from mlform.config.sources import Given, Sources, parse_file
from mlform.config.steady import Steady
from mlform.config.torn import sound
from mlform.config.variables import Variables
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.provided import Provided
from mlform.lazy import replace
from mlform.registry import Registry
from mlform.syntax.tree import Attribute, Block, Body, Literal
from mlform.values import Value

DEEPEST: Final = 20
"""Modules within modules."""

_NESTED: Final = {
    "lifecycle": 0,
    "validation": 0,
    "required_providers": 0,
    "refresh": 0,
    "precondition": 0,
    "postcondition": 0,
    "assert": 0,
    "content": 0,
    "backend": 1,
    "dynamic": 1,
    "executor": 2,
    "pool": 1,
    "resources": 0,
    "retry": 0,
}
BLOCKS: Final = {**LABELS, **_NESTED}
CALL: Final = ("source", "providers", "count", "for_each", "depends_on")


def load(
    sources: Sources,
    registry: Registry,
    given: Given,
    diagnostics: Diagnostics,
    recorded: Recorded | None = None,
    as_of: str | None = None,
) -> tuple[Project, Names]:
    """Return the project the files declare, and its names. Notes everything that is wrong.

    ``recorded`` is what resources are worth now: how many instances there are may rest on it.
    ``as_of`` is the time the plan is made as of.
    """
    reader = _Modules(sources, registry, diagnostics, given.modules)
    bodies = reader.parse(sources.files)
    if diagnostics.errors:
        reader.parse_others(bodies)
        diagnostics.partial = True
        bodies = [sound(body, diagnostics.errors) for body in bodies]
    root = Folder.read(bodies, diagnostics)
    values = Variables(root.variables, sources, given, diagnostics).values()
    module = reader.module(root, ".", (), values)
    names = Names(module, diagnostics)
    project = Project(
        root=sources.root,
        settings=Settings(),
        module=module,
        variables=values,
        modules={},
        resources={},
        declared={a: b.header_span for m in module.tree() for a, b in m.blocks.items()},
        workspace=given.workspace,
        as_of=as_of,
        provided=Provided(registry.providers, registry.functions),
    )
    scope = unexpanded(project, names, diagnostics, recorded)
    project = replace(project, settings=_settings(root, scope, names, registry))
    blocks = stead.providers(root.providers, given.providers)
    known = read_providers(blocks, scope, names, registry, diagnostics)
    providers = Providers(known, registry, diagnostics)
    steady = Steady(project, names)
    reads = Resources(registry, names, providers, project.settings, steady, diagnostics)
    project = expand(project, names, scope, reads, diagnostics, recorded)
    return changes(project, names, reader.changes, diagnostics), names


def settings(
    sources: Sources, registry: Registry, given: Given, diagnostics: Diagnostics
) -> Settings:
    """Return the settings alone: what a command needs that looks at the state, not at the spec.

    Whatever else may be wrong with the spec, a variable without a value too, is left alone.
    """
    reader = _Modules(sources, registry, diagnostics)
    bodies = reader.parse(sources.files)
    diagnostics.stop_on_errors()
    root = Folder.read(bodies, Diagnostics())
    module = reader.module(replace(root, calls={}), ".", ())
    values = Variables(module.variables, sources, given, Diagnostics()).values()
    names = Names(module, diagnostics)
    project = Project(
        sources.root, Settings(), module, values, {}, {}, {}, workspace=given.workspace
    )
    found = _settings(root, unexpanded(project, names, diagnostics), names, registry)
    diagnostics.stop_on_errors()
    return found


def _settings(root: Folder, scope: ModuleScope, names: Names, registry: Registry) -> Settings:
    found = SettingsBlock(registry, scope.diagnostics, partial(settled, scope, names))
    for block in root.settings:
        found.read(block)
    return found.settings()


def called(
    files: Mapping[str, str],
    diagnostics: Diagnostics,
    root: tuple[Sources, Given] | None = None,
) -> dict[str, tuple[str, Attribute]]:
    """Return the source of each module that the files of one folder call, and where it stands.

    With ``root``, where the values of its variables come from, a source may use them.
    """
    bodies = [parse_file(name, text, diagnostics, BLOCKS) for name, text in files.items()]
    folder = Folder.read(bodies, Diagnostics())
    scope: dict[str, Value] = {}
    if root is not None:
        scope["var"] = Variables(folder.variables, *root, Diagnostics()).values()
    found = {}
    for name, block in folder.calls.items():
        written = block.body.attributes.get("source")
        source = Reader(diagnostics).text(written, scope=scope)
        if written is not None and source:
            found[name] = source, written
    return found


class _Modules:
    """Reads a module and those it calls."""

    def __init__(
        self,
        sources: Sources,
        registry: Registry,
        diagnostics: Diagnostics,
        given: Mapping[tuple[str, ...], Mapping[str, Attribute]] | None = None,
    ) -> None:
        self.sources, self.registry, self.diagnostics = sources, registry, diagnostics
        self.given = given or {}
        self.fetched = Fetched.read(sources.root)
        self.changes: list[tuple[tuple[str, ...], Block]] = []
        self._bodies: dict[str, Body] = {}

    def parse(self, files: Mapping[str, str]) -> list[Body]:
        """Return the syntax trees of some files, each parsed once."""
        for name, text in files.items():
            if name not in self._bodies:
                self._bodies[name] = self._parse(name, text)
        return [self._bodies[name] for name in files]

    def _parse(self, name: str, text: str) -> Body:
        if (known := self.sources.parsed.get(name)) is not None:
            return known
        found = Diagnostics()
        body = self.sources.tree(name, text, found, BLOCKS)
        self.diagnostics.extend(found)
        if not list(found):
            self.sources.parsed[name] = body
        return body

    def parse_others(self, bodies: Iterable[Body], place: str = ".") -> None:
        """Note the syntax errors of all other files of a spec that cannot be read further."""
        if place == ".":
            for name, text in self.sources.values.items():
                parse_file(name, text, self.diagnostics, {})
        for block in (b for body in bodies for b in body.blocks if b.kind == "module"):
            match block.body.attributes.get("source"):
                case Attribute(expr=Literal(value=str() as source)) if is_local(source):
                    folder = local_folder(place, source)
                    if folder not in self.sources.modules:
                        files = self.sources.module(folder, self.diagnostics)
                        self.parse_others(self.parse(files), folder)
                case _:
                    pass

    def module(
        self,
        folder: Folder,
        place: str,
        path: tuple[str, ...],
        values: Mapping[str, Value] | None = None,
    ) -> Module:
        """Return what a folder declares, with the modules that it calls.

        ``values`` are the variables that a source may use: those of the root module.
        """
        if path not in self.given:
            self.changes += [(path, block) for block in folder.changes]
        calls: dict[str, Call] = {}
        unread: set[str] = set()
        for name, block in folder.calls.items() if path not in self.given else ():
            call = self._call(name, block, (place, path), {"var": values or {}})
            if call is None:
                unread.add(name)
            else:
                calls[name] = call
        found = Module(
            path=path,
            folder=place,
            variables=folder.variables,
            locals=folder.locals,
            outputs=folder.outputs,
            checks=folder.checks,
            blocks=folder.blocks,
            calls=calls,
            unread=frozenset(unread),
        )
        if path in self.given:
            found = stead.module(found, self.given[path], self.diagnostics)
        return as_null(found)

    def _call(
        self,
        name: str,
        block: Block,
        at: tuple[str, tuple[str, ...]],
        scope: Mapping[str, Value],
    ) -> Call | None:
        place, path = at
        reader, attributes = Reader(self.diagnostics), block.body.attributes
        for inner in block.body.blocks:
            detail = f'A module block holds no block "{inner.kind}".'
            self.diagnostics.error("Unexpected block", detail, at=inner.header_span)
        if (version := attributes.get("version")) is not None:
            detail = (
                "Modules come from folders and from git, which have no registry of versions: take "
                '`version` away, and name a tag or commit in `source`: "git::https://host/path.git'
                '//folder?ref=v1.2".'
            )
            self.diagnostics.error("Unknown argument", detail, at=version.name_span)
        given = reader.required(block, "source")
        errors = len(self.diagnostics.errors)
        source = reader.text(given[0], scope=scope) if given else ""
        if given is None or len(self.diagnostics.errors) > errors:
            return None
        inside = (*path, name)
        where = self._place(source, place, inside, given[0])
        if where is None:
            return None
        if len(inside) > DEEPEST:
            detail = (
                f"Modules call each other more than {DEEPEST} deep: {'.'.join(inside[:3])}… "
                f'Does "{where}" call itself?'
            )
            self.diagnostics.error("Modules too deep", detail, at=block.header_span)
            return None
        files = self.sources.module(where, self.diagnostics)
        if not files:
            detail = (
                f'There is no spec file in "{where}", where module "{name}" should be. Mend '
                "`source`, or write the module there."
            )
            self.diagnostics.error("Module not found", detail, at=given[0].value_span)
            return None
        errors = len(self.diagnostics.errors)
        bodies = self.parse(files)
        if len(self.diagnostics.errors) > errors:
            self.parse_others(bodies, where)
            return None
        folder = Folder.read(bodies, self.diagnostics, inside)
        self._child_settings(folder)
        inputs = {n: a for n, a in attributes.items() if n not in {*CALL, "version"}}
        self._check_inputs(name, block, inputs, folder)
        module = self.module(folder, where, inside)
        return Call(
            name,
            block,
            module,
            inputs,
            provider_names(attributes.get("providers"), self.diagnostics),
        )

    def _place(self, source: str, place: str, inside: tuple[str, ...], at: Attribute) -> str | None:
        if is_local(source):
            return local_folder(place, source)
        try:
            GitSource.parse(source)
        except SourceError as error:
            self.diagnostics.error("Invalid module source", str(error), at=at.value_span)
            return None
        folder = self.fetched.folder(".".join(inside), source)
        if folder is None:
            detail = f'Module "{inside[-1]}" is not here yet. Fetch it: `mlform get`.'
            self.diagnostics.error("Module not fetched", detail, at=at.value_span)
        return folder

    def _child_settings(self, folder: Folder) -> None:
        for block in folder.settings:
            SettingsBlock(self.registry, self.diagnostics).read(block, root=False)
        for block in folder.providers:
            detail = (
                "A called module configures no provider: put the block into the root module, and "
                "pass it with `providers` if it has an alias."
            )
            self.diagnostics.error("Misplaced block", detail, at=block.header_span)

    def _check_inputs(
        self, name: str, block: Block, inputs: Mapping[str, Attribute], folder: Folder
    ) -> None:
        for given, attribute in inputs.items():
            if given not in folder.variables:
                detail = (
                    f'Module "{name}" has no variable "{given}".'
                    f"{did_you_mean(given, [*folder.variables, *CALL])}"
                )
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)
        for variable in folder.variables.values():
            if variable.default is None and variable.name not in inputs:
                detail = f'Module "{name}" needs "{variable.name}" ({variable.written}).'
                self.diagnostics.error("Missing argument", detail, at=block.header_span)
