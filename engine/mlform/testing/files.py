"""Test files: which there are, and what their blocks say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from mlform.config.blocks import Reader, Rule
from mlform.config.sources import parse_file, read_text
from mlform.diagnostics import Diagnostics, Span, stop
from mlform.lang import references
from mlform.lazy import dataclass, field
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Block, Literal, ObjectExpr

SUFFIXES: Final = (".mlftest.hcl", ".mlftest.json")
_OVERRIDES: Final = ("override_resource", "override_module")
_LABELS: Final = {
    "run": 1,
    "mock_provider": 1,
    "mock_resource": 2,
    "provider": 1,
    **dict.fromkeys(("variables", "assert", "plan_options", "module", *_OVERRIDES), 0),
}
"""Block → how many labels it takes."""
_BLOCKS: Final = ("variables", "run", "provider", "mock_provider", *_OVERRIDES)
_RUN: Final = ("command", "expect_failures", "providers", "state_key")
_PLAN: Final = ("refresh", "replace", "target")


Stubs: TypeAlias = Mapping[tuple[str, ...], Mapping[str, Attribute]]
"""Calls of modules that make nothing, by the names on the way, and their outputs."""


@dataclass(frozen=True)
class Mocks:
    """What is not made for real: whole providers, and single resources by address."""

    providers: frozenset[str] = frozenset()
    defaults: Mapping[tuple[str, str], Attribute] = field(default_factory=dict)
    """(kind, type) → attributes of what is mocked."""
    overrides: Mapping[str, Attribute | None] = field(default_factory=dict)
    """Address → its attributes."""
    modules: Stubs = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One ``run`` block. ``apply`` says whether it applies what it plans."""

    name: str
    span: Span
    apply: bool
    variables: Mapping[str, Attribute]
    rules: tuple[Rule, ...]
    expected: tuple[str, ...]
    """Addresses whose conditions must fail."""
    targets: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    state: str = ""
    module: str = ""
    """The folder of another module to be tested, relative to the root's."""
    overrides: Mapping[str, Attribute | None] = field(default_factory=dict)
    modules: Stubs = field(default_factory=dict)
    providers: Attribute | None = None
    """Which provider blocks of the file stand for which of what is tested."""


@dataclass(frozen=True)
class TestFile:
    """One file of tests."""

    __test__ = False

    name: str
    text: str
    variables: Mapping[str, Attribute]
    mocks: Mocks
    runs: tuple[Run, ...]
    providers: tuple[Block, ...] = ()


def read_files(
    root: Path, folder: str, chosen: Sequence[str], diagnostics: Diagnostics
) -> list[TestFile]:
    """Read the test files of a spec's folder, and of a folder beneath it, in name order.

    Raises ``DiagnosedError`` where one cannot be read, or ``chosen`` names one that is not there.
    """
    found = _tests(root)
    if not (root / folder).resolve().is_relative_to(root.resolve()):
        raise stop("Invalid test folder", f'"{folder}" is not beneath the folder of the spec.')
    found += _tests(root / folder)
    names = {p.relative_to(root).as_posix(): p for p in found}
    for name in chosen:
        if Path(name).as_posix() not in names:
            there = ", ".join(names) or "none"
            raise stop("No such test file", f"There is no test file {name}. There is {there}.")
    wanted = {Path(name).as_posix() for name in chosen} or set(names)
    files = [
        _File(name, text, diagnostics).read()
        for name, path in names.items()
        if name in wanted and (text := read_text(path, name, diagnostics)) is not None
    ]
    diagnostics.stop_on_errors()
    return files


def _tests(folder: Path) -> list[Path]:
    return sorted(p for suffix in SUFFIXES for p in folder.glob(f"*{suffix}"))


class _File:
    def __init__(self, name: str, text: str, diagnostics: Diagnostics) -> None:
        self.name, self.text, self.diagnostics = name, text, diagnostics
        self.reader = Reader(diagnostics)

    def read(self) -> TestFile:
        body = parse_file(self.name, self.text, self.diagnostics, _LABELS)
        for attribute in body.attributes.values():
            detail = f'"{attribute.name}" stands outside any block. Put it into one.'
            self.diagnostics.error("Misplaced argument", detail, at=attribute.name_span)
        variables: dict[str, Attribute] = {}
        runs: list[Run] = []
        for block in body.blocks:
            if block.kind not in _BLOCKS:
                detail = f'A test file holds no block "{block.kind}", only {", ".join(_BLOCKS)}.'
                self.diagnostics.error("Unknown block", detail, at=block.header_span)
            elif block.kind == "variables":
                variables |= block.body.attributes
            elif block.kind == "run" and (run := self._run(block, runs)):
                runs.append(run)
        providers = tuple(b for b in body.blocks if b.kind == "provider")
        for block in providers:
            if len(block.labels) != 1:
                detail = 'A provider block has one label: provider "NAME".'
                self.diagnostics.error("Wrong number of labels", detail, at=block.header_span)
        mocks = self._mocks(body.blocks)
        return TestFile(self.name, self.text, variables, mocks, tuple(runs), providers)

    def _run(self, block: Block, before: Sequence[Run]) -> Run | None:
        inner = ("variables", "assert", "plan_options", "module", *_OVERRIDES)
        self.reader.only(block, _RUN, inner)
        if len(block.labels) != 1:
            detail = 'A run block has one label: run "NAME".'
            self.diagnostics.error("Wrong number of labels", detail, at=block.header_span)
            return None
        name = block.labels[0].text
        if any(r.name == name for r in before):
            detail = f'There is a run "{name}" in this file already.'
            self.diagnostics.error("Duplicate run", detail, at=block.header_span)
        attributes = block.body.attributes
        options = self._options(block)
        variables = self.reader.once(block, "variables")
        return Run(
            name=name,
            span=block.header_span,
            apply=self._command(attributes.get("command")),
            variables=variables.body.attributes if variables else {},
            rules=tuple(rule for _, rule in self.reader.rules(block, "assert")),
            expected=self._addresses(attributes.get("expect_failures")),
            targets=self._addresses(options.get("target")),
            replace=self._addresses(options.get("replace")),
            refresh=self.reader.flag(options.get("refresh"), default=True),
            state=self.reader.text(attributes.get("state_key")),
            module=self._module(block),
            overrides=self._overrides(block.body.blocks),
            modules=self._stubs(block.body.blocks),
            providers=attributes.get("providers"),
        )

    def _command(self, attribute: Attribute | None) -> bool:
        if attribute is None:
            return True
        if attribute.text not in {"plan", "apply"}:
            detail = f"`command` is plan or apply, not {attribute.text}."
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
        return attribute.text != "plan"

    def _options(self, block: Block) -> Mapping[str, Attribute]:
        options = self.reader.once(block, "plan_options")
        if options is None:
            return {}
        self.reader.only(options, _PLAN)
        return options.body.attributes

    def _module(self, block: Block) -> str:
        inner = self.reader.once(block, "module")
        if inner is None:
            return ""
        self.reader.only(inner, ("source",))
        given = self.reader.required(inner, "source")
        return self.reader.text(given[0]) if given else ""

    def _addresses(self, attribute: Attribute | None) -> tuple[str, ...]:
        if attribute is None:
            return ()
        text = attribute.source.text
        return tuple(text[r.start : r.end] for r in references(attribute.expr))

    def _mocks(self, blocks: Sequence[Block]) -> Mocks:
        providers: set[str] = set()
        defaults: dict[tuple[str, str], Attribute] = {}
        for block in (b for b in blocks if b.kind == "mock_provider"):
            self.reader.only(block, (), ("mock_resource",))
            providers |= {label.text for label in block.labels}
            for inner in block.body.blocks:
                labels = [label.text for label in inner.labels]
                given = self.reader.required(inner, "defaults")
                if len(labels) != 2 or labels[0] not in KINDS:
                    detail = 'A mocked type is written mock_resource "KIND" "TYPE".'
                    self.diagnostics.error("Wrong number of labels", detail, at=inner.header_span)
                elif given:
                    defaults[labels[0], labels[1]] = given[0]
        overrides, modules = self._overrides(blocks), self._stubs(blocks)
        return Mocks(frozenset(providers), defaults, overrides, modules)

    def _stubs(self, blocks: Sequence[Block]) -> dict[tuple[str, ...], Mapping[str, Attribute]]:
        found: dict[tuple[str, ...], Mapping[str, Attribute]] = {}
        for block in (b for b in blocks if b.kind == "override_module"):
            self.reader.only(block, ("target", "outputs"))
            given = self.reader.required(block, "target")
            if given is None:
                continue
            steps = given[0].text.split(".")
            if len(steps) % 2 or {*steps[::2]} != {"module"} or "[" in given[0].text:
                detail = "The target is a call with all of its instances: module.NAME."
                self.diagnostics.error("Invalid address", detail, at=given[0].value_span)
                continue
            found[tuple(steps[1::2])] = self._outputs(block.body.attributes.get("outputs"))
        return found

    def _outputs(self, attribute: Attribute | None) -> dict[str, Attribute]:
        if attribute is None:
            return {}
        if not isinstance(attribute.expr, ObjectExpr):
            detail = "`outputs` is an object: { NAME = VALUE }."
            self.diagnostics.error("Invalid argument", detail, at=attribute.value_span)
            return {}
        if found := list(references(attribute.expr)):
            at = attribute.source.span(found[0].start, found[0].end)
            detail = "What an overridden module gives is a value, and refers to nothing."
            self.diagnostics.error("Invalid argument", detail, at=at)
            return {}
        text, source = attribute.source.text, attribute.source
        made = {}
        for key, value in attribute.expr.items:
            name = key.value if isinstance(key, Literal) else text[key[0] : key[1]]
            made[str(name)] = Attribute(key[0], value[1], str(name), value, source)
        return made

    def _overrides(self, blocks: Sequence[Block]) -> dict[str, Attribute | None]:
        found: dict[str, Attribute | None] = {}
        for block in (b for b in blocks if b.kind == "override_resource"):
            self.reader.only(block, ("target", "values"))
            given = self.reader.required(block, "target")
            for address in self._addresses(given[0]) if given else ():
                found[address] = block.body.attributes.get("values")
        return found
