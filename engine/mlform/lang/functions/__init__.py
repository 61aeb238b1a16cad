"""The built-in functions: Terraform's names, arguments, results and errors."""

from mlform.lang.functions import (
    collections,
    conversion,
    crypto,
    datetime,
    encoding,
    filesystem,
    formatting,
    network,
    numeric,
    sets,
    strings,
    templates,
    yaml,
)
from mlform.lang.registry import FUNCTIONS

__all__ = [
    "FUNCTIONS",
    "collections",
    "conversion",
    "crypto",
    "datetime",
    "encoding",
    "filesystem",
    "formatting",
    "network",
    "numeric",
    "sets",
    "strings",
    "templates",
    "yaml",
]
