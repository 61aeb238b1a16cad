"""What an expression refers to, and what it is worth. Knows no resource and no state."""

from mlform.lang.calls import functions
from mlform.lang.constraints import parse_type
from mlform.lang.conversion import ConversionError, convert
from mlform.lang.evaluate import evaluate
from mlform.lang.evaluator import Scope
from mlform.lang.references import Reference, references
from mlform.types import Type
from mlform.values import SetValue

__all__ = [
    "ConversionError",
    "Reference",
    "Scope",
    "SetValue",
    "Type",
    "convert",
    "evaluate",
    "functions",
    "parse_type",
    "references",
]
