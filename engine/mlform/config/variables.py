"""The values of the root's variables: who gives them, in Terraform's order of precedence."""

from __future__ import annotations

from collections.abc import Mapping

from mlform.config.blocks import Reader, Variable
from mlform.config.inputs import Inputs
from mlform.config.sources import ENVIRONMENT, Given, Sources, parse_file
from mlform.diagnostics import Diagnostics, Span, did_you_mean
from mlform.lang import evaluate, parse_type
from mlform.lazy import dataclass
from mlform.syntax import parse_expression
from mlform.syntax.tree import Block
from mlform.types import Primitive
from mlform.values import UNKNOWN, Sensitive, Unknown, Value

ARGUMENTS = ("type", "default", "description", "sensitive", "nullable", "ephemeral")


def read_variable(block: Block, diagnostics: Diagnostics) -> Variable:
    """Read one ``variable`` block."""
    reader, attributes = Reader(diagnostics), block.body.attributes
    reader.only(block, ARGUMENTS, ("validation",))
    written = attributes.get("type")
    type_ = None
    if written is not None:
        type_ = parse_type(written.expr, written.source, diagnostics)
    return Variable(
        name=block.labels[0].text,
        span=block.header_span,
        type=type_,
        written="any" if written is None else written.text,
        default=attributes.get("default"),
        description=reader.text(attributes.get("description")),
        sensitive=reader.flag(attributes.get("sensitive")),
        ephemeral=reader.flag(attributes.get("ephemeral")),
        nullable=reader.flag(attributes.get("nullable"), default=True),
        rules=tuple(rule for _, rule in reader.rules(block, "validation")),
    )


@dataclass(frozen=True)
class _Candidate:
    """A value someone gave: where, and whether it is text still to be read as the type says."""

    value: Value
    at: Span | None
    origin: str
    raw: bool


class Variables:
    """Works out the values of the root module's variables; notes what is wrong with any."""

    def __init__(
        self,
        declared: Mapping[str, Variable],
        sources: Sources,
        given: Given,
        diagnostics: Diagnostics,
    ) -> None:
        self.declared, self.sources, self.given = declared, sources, given
        self.diagnostics = diagnostics
        self.torn = False

    def values(self) -> dict[str, Value]:
        """Return every variable's value."""
        candidates = self._candidates()
        return {n: self._value(v, candidates.get(n)) for n, v in self.declared.items()}

    def _candidates(self) -> dict[str, _Candidate]:
        found: dict[str, _Candidate] = {}
        for key, text in self.given.environment.items():
            name = key.removeprefix(ENVIRONMENT)
            if key.startswith(ENVIRONMENT) and name in self.declared:
                found[name] = _Candidate(text, None, f"The environment variable {key}", raw=True)
        given_files = {what for how, what in self.given.items if how == "file"}
        for file in self.sources.values:
            if file not in given_files:
                found |= self._from_file(file)
        for how, what in self.given.items:
            if how == "file":
                if what in self.sources.values:
                    found |= self._from_file(what)
                continue
            name, equals, text = what.partition("=")
            if not equals:
                detail = f'-var wants name=value, not "{what}".'
                self.diagnostics.error("Invalid variable option", detail)
            elif name not in self.declared:
                self._undeclared(name, f"-var {name}", None, error=True)
            else:
                found[name] = _Candidate(text, None, f"-var {name}", raw=True)
        for name, value in self.given.values.items():
            if name in self.declared:
                found[name] = _Candidate(value, None, "The test", raw=False)
            else:
                self._undeclared(name, "The test", None, error=True)
        return found

    def _from_file(self, file: str) -> dict[str, _Candidate]:
        errors = len(self.diagnostics.errors)
        body = parse_file(file, self.sources.values[file], self.diagnostics, {})
        self.torn |= len(self.diagnostics.errors) > errors
        found = {}
        for block in body.blocks:
            detail = "A file of values holds only `name = value`, and no block."
            self.diagnostics.error("Unexpected block", detail, at=block.header_span)
        for name, attribute in body.attributes.items():
            if name not in self.declared:
                self._undeclared(name, file, attribute.name_span, error=False)
                continue
            value = evaluate(attribute.expr, {}, self.diagnostics, attribute.source)
            found[name] = _Candidate(value, attribute.value_span, file, raw=False)
        return found

    def _undeclared(self, name: str, origin: str, at: Span | None, *, error: bool) -> None:
        detail = (
            f'{origin} gives a value for "{name}", which no variable block declares.'
            f"{did_you_mean(name, self.declared)} Declare it, or take the value away."
        )
        if error:
            self.diagnostics.error("Undeclared variable", detail, at=at, missing=True)
        elif not self.diagnostics.partial:
            self.diagnostics.warning("Undeclared variable", detail, at=at)

    def _value(self, variable: Variable, candidate: _Candidate | None) -> Value:
        inputs = Inputs(self.diagnostics)
        if candidate is None:
            if variable.default is not None:
                return inputs.default(variable)
            open_: Value = UNKNOWN if variable.type is None else Unknown(variable.type)
            open_ = Sensitive(open_) if variable.secret else open_
            if self.given.partial or self.torn or self.diagnostics.partial:
                return open_
            detail = (
                f'Variable "{variable.name}" has no default and no value was given: pass '
                f"-var {variable.name}=…, set {ENVIRONMENT}{variable.name}, or put it into "
                "mlform.mlfvars.hcl."
            )
            self.diagnostics.error("Variable not set", detail, at=variable.span, missing=True)
            return open_
        value = candidate.value
        if candidate.raw and isinstance(value, str):
            value, problems = self._read(variable, value, candidate.origin)
            if problems.errors:
                shown = "(sensitive value)" if variable.secret else f'"{candidate.value}"'
                written = "string" if variable.written == "any" else variable.written
                why = "" if variable.secret else f" {problems.errors[0].detail}"
                detail = (
                    f"{candidate.origin}: {shown} is no {written} for variable "
                    f'"{variable.name}".{why}'
                )
                at = candidate.at or variable.span
                self.diagnostics.error("Invalid variable value", detail, at=at)
                return UNKNOWN
        return inputs.accept(variable, value, candidate.origin, candidate.at)

    def _read(self, variable: Variable, text: str, origin: str) -> tuple[Value, Diagnostics]:
        """Read text as the type says: an expression, except for one word or number."""
        problems = Diagnostics()
        if variable.type is None or isinstance(variable.type, Primitive):
            return text, problems
        expr, source = parse_expression(text, origin, problems)
        if problems.errors:
            return None, problems
        return evaluate(expr, {}, problems, source), problems
