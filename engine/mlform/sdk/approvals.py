"""What people must agree to before a resource may be done, and who has."""

from __future__ import annotations

from collections.abc import Sequence

from mlform.lazy import dataclass


@dataclass(frozen=True)
class Approval:
    """One person's agreement to exactly what is applied. The engine has checked it."""

    by: str
    roles: tuple[str, ...] = ()
    subject: str = ""
    """The digest of what it was given for."""


@dataclass(frozen=True)
class Approvals:
    """How many people must agree, and the roles that must be among them."""

    count: int = 0
    roles: tuple[str, ...] = ()

    def missing(self, given: Sequence[Approval]) -> str:
        """Say what is missing, in words; nothing if all is there. A person counts once."""
        lacking = max(self.count, 1 if self.roles else 0) - len({it.by for it in given})
        held = {role for it in given for role in it.roles}
        roles = [role for role in self.roles if role not in held]
        said = f"{lacking} approval{'' if lacking == 1 else 's'}" if lacking > 0 else ""
        if roles:
            said = f"{said or 'an approval'} with the role {' and '.join(roles)}"
        return said
