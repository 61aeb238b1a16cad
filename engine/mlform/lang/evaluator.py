"""The walk over an expression: dispatch by node type, errors, names in reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from mlform.diagnostics import Diagnostics
from mlform.lang.bounds import OPEN_BOOL
from mlform.lang.marks import reveal
from mlform.lang.operations import OperationError, scalar
from mlform.syntax.tree import Binary, Call, Expr, GetAttr, Index, Source, Unary
from mlform.types import BOOL
from mlform.values import UNKNOWN, Unknown, Value

Scope: TypeAlias = Mapping[str, Value]
"""Root name → value: ``var``, ``local``, and one entry for each resource kind."""

Bound: TypeAlias = Mapping[str, Value]
"""Names bound by ``for`` around an expression, and what they stand for."""

Handler: TypeAlias = "Callable[[Evaluator, Any, Bound], Value]"

ITEM: Final = "\0item"
"""What a splat binds: no name can be written so."""

UNKNOWN_REFERENCE: Final = "Unknown reference"
UNKNOWN_FUNCTION: Final = "Unknown function"
WRONG_COUNT: Final = "Wrong number of arguments"
MISTAKES: Final = frozenset({UNKNOWN_REFERENCE, UNKNOWN_FUNCTION, WRONG_COUNT})
"""What is wrong in the text itself, and so even where its value is not needed."""

_BARE_IF_WRONG: Final = (Binary, Call, GetAttr, Index, Unary)

HIDDEN: Final = "The values are sensitive, so they are not shown. "


MOST: Final = 1_000_000
"""Parts of a value, and rounds of the loops of an expression: a short text fills no memory."""
LONGEST: Final = 10_000_000
"""Characters of what a template gives."""


class TooMuchError(Exception):
    """An expression makes more than is worth holding. No ``try`` of the language catches it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)


class Evaluator:
    """One evaluation: the scope, and where problems are noted."""

    def __init__(
        self,
        handlers: Mapping[type, Handler],
        scope: Scope,
        diagnostics: Diagnostics,
        source: Source,
    ) -> None:
        self.handlers, self.scope = handlers, scope
        self.diagnostics, self.source = diagnostics, source
        self.templates: tuple[str, ...] = ()
        self.faults = 0
        self.made = [0]
        self._hushed = 0
        self._noted: set[tuple[str, int, int]] = set()

    def value(self, expr: Expr, bound: Bound) -> Value:
        """Return what ``expr`` is worth."""
        return self.handlers[type(expr)](self, expr, bound)

    def count(self) -> None:
        """Count a round of a loop. Raises ``TooMuchError``."""
        self.made[0] += 1
        if self.made[0] > MOST:
            raise TooMuchError(f"Its loops go round more than {MOST:,} times")

    def fault(self, summary: str, detail: str, at: Expr, *, missing: bool = False) -> Value:
        """Note an error whose detail shows only what stands in the source.

        One at a place is enough: a ``for`` comes by once for each element.
        """
        self.faults += 1
        if (summary, at[0], at[1]) not in self._noted:
            self._noted.add((summary, at[0], at[1]))
            span = self.source.span(at[0], at[1])
            # What a spec says early is evaluated though a name in it was found wrong before.
            if summary != UNKNOWN_REFERENCE or not self.diagnostics.noted(summary, span):
                self.diagnostics.error(summary, detail, at=span, missing=missing)
        return UNKNOWN

    def error(
        self,
        summary: str,
        detail: str,
        at: Expr,
        *,
        marked: bool,
        hint: str = "Check them.",
        missing: bool = False,
    ) -> Value:
        """Note an error whose detail shows values: not if they are ``marked`` as sensitive."""
        if marked or self._hushed:
            detail = HIDDEN + hint
        return self.fault(summary, detail, at, missing=missing)

    @contextmanager
    def hushed(self, *, marked: bool) -> Iterator[None]:
        """Show no values in errors: names are bound to parts of a sensitive one."""
        self._hushed += marked
        try:
            yield
        finally:
            self._hushed -= marked

    @contextmanager
    def aside(self) -> Iterator[Diagnostics]:
        """Note errors apart for a while: whether they count is still to be seen."""
        kept, self.diagnostics = self.diagnostics, Diagnostics()
        noted, self._noted = self._noted, set()
        faults = self.faults
        try:
            yield self.diagnostics
        finally:
            self.diagnostics, self._noted, self.faults = kept, noted, faults

    def unused(self, made: Callable[[Evaluator], Value]) -> Value:
        """Return a value that may not be needed: what is wrong with it is no error here.

        Mistakes are. What is wrong may cost it its mark, as it does in HCL.
        """
        with self.aside() as problems:
            value = made(self)
        self.keep_mistakes(problems)
        if not problems.errors or isinstance(self, Unused):
            return value
        other = Unused(self.handlers, self.scope, Diagnostics(), self.source)
        other.templates, other.made = self.templates, self.made
        return made(other)

    def keep_mistakes(self, problems: Diagnostics) -> None:
        """Note those of some problems that are wrong in whatever way the values turn out."""
        self.diagnostics.extend(d for d in problems.errors if d.summary in MISTAKES)

    def nested(self, scope: Scope, source: Source, diagnostics: Diagnostics) -> Evaluator:
        """Return an evaluator for another text, with names of its own."""
        other = Evaluator(self.handlers, scope, diagnostics, source)
        other.templates = self.templates
        other._hushed = self._hushed
        other.made = self.made
        return other

    def condition(
        self, expr: Expr, bound: Bound, *, strict: bool = False, quiet: bool = False
    ) -> tuple[Any, bool]:
        """Return a condition as a bool or an unknown (UNKNOWN: it is none), and if it is marked.

        Of one that is ``strict``, even an unknown must be of a type that may be a bool. Of one
        that is ``quiet`` it is not noted that it is no bool.
        """
        found, marked = reveal(self.value(expr, bound))
        if isinstance(found, Unknown) and not strict:
            return OPEN_BOOL, marked
        try:
            return scalar(found, BOOL), marked
        except OperationError as error:
            if quiet:
                return OPEN_BOOL, marked
            detail = f"A condition is true or false: {error}."
            return self.error("Invalid condition", detail, expr, marked=marked), False


class Unused(Evaluator):
    """An evaluation of what is wrong and not needed, for the marks it leaves.

    Calls, operators and ways into a value leave none if something in them is wrong.
    """

    def value(self, expr: Expr, bound: Bound) -> Value:
        """Return what ``expr`` is worth, or may be."""
        before = self.faults
        found = super().value(expr, bound)
        if self.faults > before and isinstance(expr, _BARE_IF_WRONG):
            found, _ = reveal(found)
        return found
