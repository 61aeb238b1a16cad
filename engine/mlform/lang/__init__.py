"""What an expression refers to, and what it is worth. Knows no resource and no state."""

from mlform.lang.evaluate import Scope, evaluate
from mlform.lang.references import Reference, references
from mlform.lang.types import ConversionError, Type, convert, parse_type

__all__ = [
    "ConversionError",
    "Reference",
    "Scope",
    "Type",
    "convert",
    "evaluate",
    "parse_type",
    "references",
]
