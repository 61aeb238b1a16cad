"""(kind, type) → implementation, when first asked. Importing a provider waits until then."""

from mlform.registry.kinds import KINDS, SERVING
from mlform.registry.registry import ENGINE, Offer, Registry

__all__ = ["ENGINE", "KINDS", "SERVING", "Offer", "Registry"]
