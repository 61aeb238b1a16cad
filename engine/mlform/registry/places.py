"""Where expressions find a resource among the roots."""

from __future__ import annotations

from mlform.address import Address
from mlform.values import UNKNOWN, Value


def place(scope: dict[str, Value], address: Address, value: Value) -> None:
    """Put a resource's value where expressions look for it, beside its other instances."""
    kind = scope.setdefault(address.kind, {})
    assert isinstance(kind, dict)
    if address.key is None:
        kind[address.name] = value
        return
    if isinstance(address.key, int):
        instances = kind.setdefault(address.name, [])
        while len(instances) <= address.key:
            instances.append(UNKNOWN)
        instances[address.key] = value
    else:
        kind.setdefault(address.name, {})[address.key] = value
