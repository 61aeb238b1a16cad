"""Problems a user can fix, as values.

A room that finds a problem notes it in the ``Diagnostics`` it was handed and carries on, so one
run reports everything that is wrong. Exceptions are for bugs, and for stopping between rooms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from enum import StrEnum

from mlform.lazy import dataclass, field


class Severity(StrEnum):
    """How much a problem matters: an error stops the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True, order=True)
class Span:
    """A stretch of one source file; lines and columns count characters from 1, end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One problem.

    The summary never changes for a kind of problem and names nothing of the user's; the detail
    says what is wrong with the values involved, and what to do. ``subject`` is what the caret
    marks, ``context`` the larger stretch it stands in. ``missing``: it is that something is not
    there, which may stand in what could not be read.
    """

    severity: Severity
    summary: str
    detail: str
    subject: Span | None = None
    context: Span | None = None
    address: str | None = None
    missing: bool = False


class DiagnosedError(Exception):
    """Raised between rooms when going on would only produce echoes of known errors."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__("; ".join(f"{d.summary}: {d.detail}" for d in diagnostics.errors))
        self.diagnostics = diagnostics


@dataclass
class Diagnostics:
    """The sink a command passes through its rooms."""

    _items: dict[Diagnostic, None] = field(default_factory=dict)
    """In the order they came."""
    _places: set[tuple[str, str, int, int]] = field(default_factory=set)
    """Summary, file, line and column of each error that has a place."""
    partial: bool = False
    """There may be more of the spec than could be read, so what is missing is no error yet."""

    def error(
        self,
        summary: str,
        detail: str,
        *,
        at: Span | None = None,
        within: Span | None = None,
        of: object = None,
        missing: bool = False,
    ) -> None:
        """Note a problem that makes the result unusable."""
        self._add(Severity.ERROR, summary, detail, at, within, of, missing=missing)

    def warning(
        self,
        summary: str,
        detail: str,
        *,
        at: Span | None = None,
        within: Span | None = None,
        of: object = None,
    ) -> None:
        """Note a problem the user should see but may live with."""
        self._add(Severity.WARNING, summary, detail, at, within, of)

    def _add(
        self,
        severity: Severity,
        summary: str,
        detail: str,
        at: Span | None,
        within: Span | None,
        of: object,
        *,
        missing: bool = False,
    ) -> None:
        address = None if of is None else str(of)
        self.extend([Diagnostic(severity, summary, detail, at, within, address, missing)])

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._items)

    def extend(self, items: Iterable[Diagnostic]) -> None:
        """Take over problems noted elsewhere."""
        for item in items:
            self._items.setdefault(item)
            if item.severity is Severity.ERROR and (at := item.subject) is not None:
                self._places.add((item.summary, at.file, at.line, at.column))

    def noted(self, summary: str, at: Span) -> bool:
        """Tell whether an error of that kind begins at the same place already."""
        return (summary, at.file, at.line, at.column) in self._places

    @property
    def errors(self) -> list[Diagnostic]:
        """The errors alone."""
        return [d for d in self._items if d.severity is Severity.ERROR]

    def stop_on_errors(self) -> None:
        """Raise ``DiagnosedError`` if anything noted so far is an error."""
        if self.partial:
            self._items = {d: None for d in self._items if not d.missing}
        if self.errors:
            raise DiagnosedError(self)


def stop(summary: str, detail: str, *, at: Span | None = None, of: object = None) -> DiagnosedError:
    """Return the error to raise where one problem alone ends the command."""
    diagnostics = Diagnostics()
    diagnostics.error(summary, detail, at=at, of=of)
    return DiagnosedError(diagnostics)


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the closest known name, or nothing."""
    near = closest(name, known)
    return f' Did you mean "{near}"?' if near is not None else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another may have been meant for."""
    from difflib import get_close_matches  # noqa: PLC0415 - most names are right

    return next(iter(get_close_matches(name, list(known), n=1)), None)
