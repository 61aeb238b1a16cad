"""(kind, type) → implementation, when first asked. Importing a provider waits until then."""

from mlform.registry.kinds import KINDS, Trigger
from mlform.registry.registry import Offer, Registry

__all__ = ["KINDS", "Offer", "Registry", "Trigger"]
