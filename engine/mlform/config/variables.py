"""The values of variables: who gives them, in Terraform's order of precedence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlform.config.sources import ENVIRONMENT, Given, Sources
from mlform.diagnostics import Diagnostics, Span, did_you_mean
from mlform.lang import ConversionError, convert, evaluate, parse_type
from mlform.syntax import parse, parse_expression
from mlform.syntax.tree import Attribute, Block
from mlform.values import Sensitive, Value, is_known, plain

_ARGUMENTS = ("type", "default", "description", "sensitive", "nullable", "ephemeral")


@dataclass(frozen=True)
class _Candidate:
    """A value someone gave: where, and whether it is text still to be read as the type says."""

    value: Value
    at: Span | None
    origin: str
    raw: bool


class Variables:
    """Works out one module's variables; notes what is wrong with any of them."""

    def __init__(self, sources: Sources, given: Given, diagnostics: Diagnostics) -> None:
        self.sources, self.given, self.diagnostics = sources, given, diagnostics
        self.blocks: dict[str, Block] = {}

    def declare(self, block: Block) -> None:
        """Take one ``variable`` block."""
        name = block.labels[0].text
        if name in self.blocks:
            detail = f'Variable "{name}" was already declared at {self.blocks[name].header_span}.'
            self.diagnostics.error("Duplicate variable", detail, at=block.header_span)
            return
        for attribute in block.body.attributes.values():
            if attribute.name not in _ARGUMENTS:
                detail = (
                    f'A variable has no "{attribute.name}".'
                    f"{did_you_mean(attribute.name, _ARGUMENTS)}"
                )
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)
        self.blocks[name] = block

    def values(self) -> dict[str, Value]:
        """Return every variable's value."""
        candidates = self._candidates()
        result = {name: self._value(name, b, candidates) for name, b in self.blocks.items()}
        for name, block in self.blocks.items():
            self._validate(name, block, result)
        return result

    def _candidates(self) -> dict[str, _Candidate]:
        found: dict[str, _Candidate] = {}
        for key, text in self.given.environment.items():
            name = key.removeprefix(ENVIRONMENT)
            if key.startswith(ENVIRONMENT) and name in self.blocks:
                found[name] = _Candidate(text, None, f"the environment variable {key}", raw=True)
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
            elif name not in self.blocks:
                self._undeclared(name, f"-var {name}", None, error=True)
            else:
                found[name] = _Candidate(text, None, f"-var {name}", raw=True)
        return found

    def _from_file(self, file: str) -> dict[str, _Candidate]:
        body = parse(self.sources.values[file], file, self.diagnostics)
        found = {}
        for block in body.blocks:
            detail = "A file of values holds only `name = value`."
            self.diagnostics.error("Unexpected block", detail, at=block.header_span)
        for name, attribute in body.attributes.items():
            if name not in self.blocks:
                self._undeclared(name, file, attribute.name_span, error=False)
                continue
            value = evaluate(attribute.expr, {}, self.diagnostics, attribute.source)
            found[name] = _Candidate(value, attribute.value_span, file, raw=False)
        return found

    def _undeclared(self, name: str, origin: str, at: Span | None, *, error: bool) -> None:
        note = self.diagnostics.error if error else self.diagnostics.warning
        detail = (
            f'{origin} gives a value for "{name}", which no variable block declares.'
            f"{did_you_mean(name, self.blocks)}"
        )
        note("Undeclared variable", detail, at=at)

    def _value(self, name: str, block: Block, candidates: Mapping[str, _Candidate]) -> Value:
        attributes = block.body.attributes
        secret = self._flag(attributes.get("sensitive")) or self._flag(attributes.get("ephemeral"))
        candidate = candidates.get(name)
        if candidate is None:
            default = attributes.get("default")
            if default is None:
                detail = (
                    f'Variable "{name}" has no default and no value was given: pass '
                    f"-var {name}=…, set {ENVIRONMENT}{name}, or put it into mlform.mlfvars.hcl."
                )
                self.diagnostics.error("Variable not set", detail, at=block.header_span)
                return None
            value = evaluate(default.expr, {}, self.diagnostics, default.source)
            candidate = _Candidate(value, default.value_span, "The default", raw=False)
        value = self._typed(name, block, candidate, secret=secret)
        if value is None and not self._flag(attributes.get("nullable"), default=True):
            default = attributes.get("default")
            if default is not None:
                value = evaluate(default.expr, {}, self.diagnostics, default.source)
            else:
                detail = (
                    f'{candidate.origin} gives variable "{name}" null, which `nullable = false` '
                    "does not allow, and there is no default."
                )
                at = candidate.at or block.header_span
                self.diagnostics.error("Invalid variable value", detail, at=at)
        return Sensitive(value) if secret else value

    def _typed(self, name: str, block: Block, it: _Candidate, *, secret: bool) -> Value:
        written = block.body.attributes.get("type")
        type_ = None
        if written is not None:
            type_ = parse_type(written.expr, written.source, self.diagnostics)
        value = it.value
        text = written.text if written is not None else "string"
        if it.raw and isinstance(value, str) and text not in {"string", "any"}:
            problems = Diagnostics()
            expr, source = parse_expression(value, it.origin, problems)
            value = None if problems.errors else evaluate(expr, {}, problems, source)
            if problems.errors:
                shown = "(sensitive value)" if secret else f'"{it.value}"'
                detail = f'{it.origin}: {shown} is no {text} for variable "{name}".'
                self.diagnostics.error("Invalid variable value", detail, at=it.at)
                return None
        if type_ is None:
            return value
        try:
            return convert(value, type_)
        except ConversionError as error:
            detail = f'{it.origin} gives variable "{name}" a value that is no {text}: {error}.'
            if secret:
                detail = f'{it.origin} gives variable "{name}" a value that is no {text}.'
            self.diagnostics.error("Invalid variable value", detail, at=it.at or block.header_span)
            return None

    def _flag(self, attribute: Attribute | None, *, default: bool = False) -> bool:
        if attribute is None:
            return default
        return evaluate(attribute.expr, {}, self.diagnostics, attribute.source) is True

    def _validate(self, name: str, block: Block, values: Mapping[str, Value]) -> None:
        scope: dict[str, Value] = {"var": dict(values)}
        for rule in block.body.blocks:
            if rule.kind != "validation":
                detail = f'A variable has no block "{rule.kind}", only "validation".'
                self.diagnostics.error("Unknown block", detail, at=rule.header_span)
                continue
            condition = rule.body.attributes.get("condition")
            message = rule.body.attributes.get("error_message")
            if condition is None or message is None:
                detail = 'A validation needs "condition" and "error_message".'
                self.diagnostics.error("Missing argument", detail, at=rule.header_span)
                continue
            outcome = evaluate(condition.expr, scope, self.diagnostics, condition.source)
            outcome = outcome.value if isinstance(outcome, Sensitive) else outcome
            if not isinstance(outcome, bool) and is_known(outcome):
                detail = "The condition of a validation is true or false; this is neither."
                at = condition.value_span
                self.diagnostics.error("Invalid condition", detail, at=at)
            if outcome is False:
                said: Any = evaluate(message.expr, scope, self.diagnostics, message.source)
                said = said if isinstance(said, str) else "(the message is sensitive)"
                value = values[name]
                shown = "(sensitive value)" if not _showable(value) else repr(plain(value))
                detail = f'Variable "{name}" is {shown}. {said}'
                self.diagnostics.error("Invalid variable value", detail, at=condition.value_span)


def _showable(value: Value) -> bool:
    return not isinstance(value, Sensitive) and is_known(value)
