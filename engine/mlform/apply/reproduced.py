"""What came of making a past result again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlform.address import Address
from mlform.lazy import dataclass, field


@dataclass(frozen=True)
class Reproduced:
    """What came of making one result again.

    ``verdict`` is ``equal`` (bitwise), ``within`` the tolerance of the type, ``different``, or
    ``failed``, and ``problem`` says why it could not be made. ``differences`` say in what the two
    differ, each ``{"what", "text", "within"}``. ``environment`` has what is installed otherwise
    than it was: name → before and now. ``code`` says where user code was taken from.
    """

    address: Address
    run: str
    before: str
    verdict: str
    after: str = ""
    seconds: float = 0.0
    differences: Sequence[Mapping[str, Any]] = ()
    environment: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    code: str = ""
    determinism: str = "none"
    problem: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is what was promised: the same, and bitwise so where that was the promise."""
        return self.verdict == "equal" or (
            self.verdict == "within" and self.determinism != "bitwise"
        )
