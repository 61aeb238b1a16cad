"""The built-in functions: Terraform's names, arguments, results and errors."""

from mlform.lang.functions import (
    choices,
    collections,
    conversion,
    crypto,
    datetime,
    encoding,
    filesystem,
    formatting,
    mappings,
    network,
    numeric,
    sets,
    strings,
    templates,
    yaml,
    yamldecode,
)
from mlform.lang.registry import FUNCTIONS

__all__ = [
    "FUNCTIONS",
    "choices",
    "collections",
    "conversion",
    "crypto",
    "datetime",
    "encoding",
    "filesystem",
    "formatting",
    "mappings",
    "network",
    "numeric",
    "sets",
    "strings",
    "templates",
    "yaml",
    "yamldecode",
]
