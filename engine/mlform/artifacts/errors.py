"""What goes wrong with a store that is not here."""

from __future__ import annotations

from mlform.diagnostics import DiagnosedError, Diagnostics
from mlform.sdk import ResourceError


class StoreError(DiagnosedError, ResourceError):
    """The store cannot be reached or used: the user's to mend, in the engine and in a worker."""

    def __init__(self, summary: str, detail: str) -> None:
        ResourceError.__init__(self, summary, detail)
        self.diagnostics = Diagnostics()
        self.diagnostics.error(summary, detail)
