"""Blocks → meaning: variables, locals, resources, expansion. The last room that sees blocks."""

from mlform.config.expand import scopes
from mlform.config.load import load, settings
from mlform.config.model import (
    Import,
    Lifecycle,
    Module,
    Output,
    Project,
    ResourceConfig,
    Settings,
)
from mlform.config.names import Names
from mlform.config.scope import ModuleScope
from mlform.config.sources import Given, Sources

__all__ = [
    "Given",
    "Import",
    "Lifecycle",
    "Module",
    "ModuleScope",
    "Names",
    "Output",
    "Project",
    "ResourceConfig",
    "Settings",
    "Sources",
    "load",
    "scopes",
    "settings",
]
