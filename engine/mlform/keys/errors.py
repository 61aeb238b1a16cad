"""What is wrong with user code, before any of it runs."""

from __future__ import annotations


class CodeError(Exception):
    """User code that cannot be read: the detail says where (``file:line``) and what to do."""

    def __init__(self, summary: str, detail: str) -> None:
        super().__init__(f"{summary}: {detail}")
        self.summary, self.detail = summary, detail
