"""Blocks → meaning: variables, locals, resources, expansion. The last room that sees blocks."""

from mlform.config.load import load
from mlform.config.locals import Locals
from mlform.config.model import Lifecycle, Output, Project, ResourceConfig, Settings
from mlform.config.names import Names
from mlform.config.sources import Given, Sources

__all__ = [
    "Given",
    "Lifecycle",
    "Locals",
    "Names",
    "Output",
    "Project",
    "ResourceConfig",
    "Settings",
    "Sources",
    "load",
]
