"""A value meets its variable: type, null, default, and the mark of what must not be shown."""

from __future__ import annotations

from mlform.config.blocks import Variable
from mlform.diagnostics import Diagnostics, Span
from mlform.lang import ConversionError, convert, evaluate
from mlform.lazy import dataclass
from mlform.values import UNKNOWN, Null, Sensitive, Value, is_sensitive

_SUMMARY = "Invalid variable value"


@dataclass(frozen=True)
class Inputs:
    """Checks values given to variables, from outside or by the module that calls."""

    diagnostics: Diagnostics

    def default(self, variable: Variable) -> Value:
        """Return the default of a variable that has one, as its type."""
        assert variable.default is not None, "asked only where there is one"
        attribute = variable.default
        value = evaluate(attribute.expr, {}, self.diagnostics, attribute.source)
        return self.accept(variable, value, "The default", attribute.value_span)

    def accept(self, variable: Variable, value: Value, origin: str, at: Span | None) -> Value:
        """Return a value as the variable's type, marked if it is a secret one."""
        secret = variable.secret and not isinstance(value, Sensitive)
        bare = value.value if isinstance(value, Sensitive) else value
        if (bare is None or isinstance(bare, Null)) and not variable.nullable:
            if variable.default is not None and origin != "The default":
                return self.default(variable)
            detail = (
                f'{origin} gives variable "{variable.name}" null, which `nullable = false` does '
                "not allow, and there is no default."
            )
            self.diagnostics.error(_SUMMARY, detail, at=at or variable.span)
            return UNKNOWN
        if variable.type is None:
            return Sensitive(value) if secret else value
        try:
            value = convert(value, variable.type)
        except ConversionError as error:
            why = f": {error}"
            if secret or is_sensitive(value):
                why = ""
            detail = (
                f'{origin} gives variable "{variable.name}" a value that is no '
                f"{variable.written}{why}."
            )
            self.diagnostics.error(_SUMMARY, detail, at=at or variable.span)
            value = UNKNOWN  # whatever else uses it is not to blame
        return Sensitive(value) if secret else value
