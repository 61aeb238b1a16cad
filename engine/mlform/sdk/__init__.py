"""What a provider author imports, all of it. Providers may import nothing else of the engine."""

from mlform.sdk import code
from mlform.sdk.context import Artifacts, CancelledError, Context, Doing, Looking
from mlform.sdk.fields import (
    Arguments,
    Artifact,
    Attributes,
    Baseline,
    Carrier,
    Code,
    Decision,
    Facets,
    Handle,
    Held,
    Identity,
    Metadata,
    Operational,
    Reference,
    Secret,
    Volatile,
)
from mlform.sdk.provider import AnyResource, Provider, Settings
from mlform.sdk.resource import Alarm, Inputs, MonitorResource, Resource, ResourceError, Stored

__all__ = [
    "Alarm",
    "AnyResource",
    "Arguments",
    "Artifact",
    "Artifacts",
    "Attributes",
    "Baseline",
    "CancelledError",
    "Carrier",
    "Code",
    "Context",
    "Decision",
    "Doing",
    "Facets",
    "Handle",
    "Held",
    "Identity",
    "Inputs",
    "Looking",
    "Metadata",
    "MonitorResource",
    "Operational",
    "Provider",
    "Reference",
    "Resource",
    "ResourceError",
    "Secret",
    "Settings",
    "Stored",
    "Volatile",
    "code",
]
