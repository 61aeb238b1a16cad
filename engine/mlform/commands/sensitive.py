"""The sensitive values that carrying out a plan needs: no plan holds any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlform.commands.session import Session
from mlform.values import is_sensitive

if TYPE_CHECKING:
    from mlform.plan import Plan
    from mlform.values import Value


def secrets_of(session: Session, plan: Plan) -> Mapping[str, Value]:
    """Return the sensitive variables; none where nothing of the plan needs any."""
    found: list[object] = [s.arguments for s in plan.steps]
    found += [o.value for o in plan.outputs.values()]
    found += [c for s in plan.steps for c in (*s.before, *s.after)]
    found += [c for o in plan.outputs.values() for c in o.before]
    found += [c for cs in plan.checks.values() for c in cs]
    if not any(map(_mentions_secrets, found)):
        return {}
    return {n: v for n, v in session.configured[0].variables.items() if is_sensitive(v)}


def _mentions_secrets(value: object) -> bool:
    """Tell whether anything inside needs a sensitive variable."""
    from mlform.plan import Condition, Deferred

    match value:
        case Deferred(secrets=secrets, bindings=bindings):
            return bool(secrets) or _mentions_secrets(bindings)
        case Condition(condition=condition, message=message):
            return _mentions_secrets(condition) or _mentions_secrets(message)
        case Mapping():
            return any(map(_mentions_secrets, value.values()))
        case list() | tuple():
            return any(map(_mentions_secrets, value))
        case _:
            return False
