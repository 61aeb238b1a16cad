"""The blocks of one folder of spec files, each read by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from mlform.address import Address
from mlform.config.blocks import Reader, Rule, Variable, is_name
from mlform.config.model import Check, Output
from mlform.config.overrides import overridden
from mlform.config.variables import read_variable
from mlform.diagnostics import Diagnostics, Span, closest, did_you_mean
from mlform.lazy import dataclass, field
from mlform.registry import KINDS
from mlform.syntax.tree import Attribute, Block, Body, ObjectExpr

LABELS: Final[Mapping[str, int]] = {
    **KINDS,
    "variable": 1,
    "output": 1,
    "provider": 1,
    "module": 1,
    "check": 1,
    "locals": 0,
    "mlform": 0,
    "moved": 0,
    "removed": 0,
    "import": 0,
}
"""Block → how many labels it takes."""


class _Placed(Protocol):
    @property
    def span(self) -> Span: ...


RESERVED: Final = frozenset(
    {"source", "version", "providers", "count", "for_each", "depends_on", "lifecycle", "locals"}
)
"""What no variable can be called, as in Terraform."""

_TERRAFORM: Final = {
    "terraform": " Here that is `mlform`.",
    "data": ' Here that is `dataset "TYPE" "NAME"`, which is read where it is declared.',
    "ephemeral": " Here variables and outputs of modules are `ephemeral`, and arguments that are "
    "secrets take them.",
    "action": " What runs is a `training_job`; what is to happen by itself, a `trigger`.",
}
"""What people who know Terraform's blocks may be looking for."""

OUTPUT: Final = ("value", "description", "sensitive", "ephemeral", "depends_on")


@dataclass
class Folder:
    """Everything that the files of one folder declare, references not yet looked at."""

    diagnostics: Diagnostics
    path: tuple[str, ...]
    variables: dict[str, Variable] = field(default_factory=dict)
    locals: dict[str, Attribute] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    blocks: dict[Address, Block] = field(default_factory=dict)
    calls: dict[str, Block] = field(default_factory=dict)
    providers: list[Block] = field(default_factory=list)
    settings: list[Block] = field(default_factory=list)
    changes: list[Block] = field(default_factory=list)
    """``moved``, ``removed`` and ``import`` blocks."""

    @classmethod
    def read(
        cls, bodies: Sequence[Body], diagnostics: Diagnostics, path: tuple[str, ...] = ()
    ) -> Folder:
        """Read the blocks of all files of a folder."""
        found = cls(diagnostics, path)
        readers = found._readers()
        for body in overridden(bodies, diagnostics):
            for attribute in body.attributes.values():
                like_block = isinstance(attribute.expr, ObjectExpr)
                hint = _suggested(attribute.name) if like_block else " Put it into one."
                detail = f'"{attribute.name}" stands outside any block.{hint}'
                diagnostics.error("Misplaced argument", detail, at=attribute.name_span)
            for block in body.blocks:
                if (read := readers.get(block.kind)) is None:
                    found._unknown(block)
                elif found._labels(block):
                    read(block)
        return found

    def _readers(self) -> dict[str, Callable[[Block], None]]:
        return {
            "variable": self._variable,
            "locals": self._locals,
            "output": self._output,
            "check": self._check,
            "module": self._module,
            "mlform": self.settings.append,
            "provider": self.providers.append,
            "moved": self.changes.append,
            "removed": self.changes.append,
            "import": self._import,
            **dict.fromkeys(KINDS, self._resource),
        }

    def _labels(self, block: Block) -> bool:
        wanted = LABELS[block.kind]
        if len(block.labels) == wanted:
            return True
        shape = " ".join([block.kind, *['"TYPE"', '"NAME"'][2 - wanted :]])
        detail = (
            f"{block.kind} takes {_labels(wanted)}, and this has {_labels(len(block.labels))}. "
            f"Write `{shape} {{ … }}`."
        )
        self.diagnostics.error("Wrong number of labels", detail, at=block.header_span)
        return False

    def _unknown(self, block: Block) -> None:
        hint = _TERRAFORM.get(block.kind) or _suggested(block.kind)
        detail = f'There is no block "{block.kind}".{hint}'
        self.diagnostics.error("Unknown block", detail, at=block.header_span)

    def _named(self, block: Block, summary: str, known: Mapping[str, _Placed]) -> str | None:
        """Return the name of a block, unless it is none or was given before."""
        label = block.labels[-1]
        if not is_name(label.text):
            detail = (
                f'"{label.text}" is no name. A name has letters, digits, "_" and "-", and begins '
                "with a letter or _."
            )
            at = block.source.span(label.start, label.end)
            self.diagnostics.error("Invalid name", detail, at=at)
            return None
        if label.text in known:
            detail = (
                f'{block.kind.capitalize()} "{label.text}" was already declared at '
                f"{known[label.text].span}. Rename one, or take it away."
            )
            self.diagnostics.error(summary, detail, at=block.header_span)
            return None
        return label.text

    def _variable(self, block: Block) -> None:
        if block.labels[0].text in RESERVED:
            detail = (
                f'A module block has a meaning of its own for "{block.labels[0].text}", so no '
                "variable can be called so. Choose another name."
            )
            label = block.labels[0]
            at = block.source.span(label.start, label.end)
            self.diagnostics.error("Invalid name", detail, at=at)
        elif name := self._named(block, "Duplicate variable", self.variables):
            self.variables[name] = read_variable(block, self.diagnostics)

    def _module(self, block: Block) -> None:
        if name := self._named(block, "Duplicate module", self.calls):
            self.calls[name] = block

    def _import(self, block: Block) -> None:
        if self.path:
            detail = "Import blocks stand in the root module: a module has no state of its own."
            self.diagnostics.error("Misplaced block", detail, at=block.header_span)
        else:
            self.changes.append(block)

    def _resource(self, block: Block) -> None:
        spot = tuple((name, None) for name in self.path)
        address = Address(block.kind, block.labels[-1].text, module=spot)
        if (first := self.blocks.get(address)) is not None:
            detail = (
                f"{address} was already declared at {first.header_span}. A name is unique within "
                "its kind, whatever the type."
            )
            self.diagnostics.error("Duplicate resource", detail, at=block.header_span)
        elif self._named(block, "Duplicate resource", {}):
            self.blocks[address] = block

    def _locals(self, block: Block) -> None:
        Reader(self.diagnostics).only(block, block.body.attributes)
        for name, attribute in block.body.attributes.items():
            if name in self.locals:
                first = self.locals[name].name_span
                detail = f'Local value "{name}" was already set at {first}. Keep one.'
                self.diagnostics.error("Duplicate local value", detail, at=attribute.name_span)
            self.locals[name] = attribute

    def _output(self, block: Block) -> None:
        reader, attributes = Reader(self.diagnostics), block.body.attributes
        reader.only(block, OUTPUT, ("precondition",))
        known = {name: output.value for name, output in self.outputs.items()}
        name = self._named(block, "Duplicate output", known)
        given = reader.required(block, "value")
        if name is None or given is None:
            return
        ephemeral = reader.flag(attributes.get("ephemeral"))
        if ephemeral and not self.path:
            detail = "An output of the root module is recorded, so it cannot be ephemeral."
            at = attributes["ephemeral"].span
            self.diagnostics.error("Invalid output", detail, at=at)
        self.outputs[name] = Output(
            name,
            given[0],
            reader.flag(attributes.get("sensitive")),
            reader.text(attributes.get("description")),
            ephemeral,
            attributes.get("depends_on"),
            tuple(rule for _, rule in reader.rules(block, "precondition")),
        )

    def _check(self, block: Block) -> None:
        reader = Reader(self.diagnostics)
        reader.only(block, (), ("assert",))
        rules: tuple[Rule, ...] = tuple(rule for _, rule in reader.rules(block, "assert"))
        if not rules and not block.body.blocks:
            detail = 'A check block holds at least one block "assert".'
            self.diagnostics.error("Missing block", detail, at=block.header_span)
        if name := self._named(block, "Duplicate check", self.checks):
            self.checks[name] = Check(name, rules, block.header_span)


def _labels(number: int) -> str:
    return {0: "no label", 1: "1 label"}.get(number, f"{number} labels")


def _suggested(written: str) -> str:
    """Say what block may have been meant, for people who know Terraform's too."""
    if closest(written, known := [*LABELS, "resource"]) == "resource":
        return f' A resource is written KIND "TYPE" "NAME"; kinds: {", ".join(KINDS)}.'
    return did_you_mean(written, known)
