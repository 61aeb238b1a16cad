"""Native HCL text to a tree. What reads it is loaded when there is something to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mlform.diagnostics import Diagnostics
from mlform.syntax.limits import too_deep, too_large, uncollected
from mlform.syntax.problems import SyntaxProblem
from mlform.syntax.tree import Body, Expr, Literal, Source

if TYPE_CHECKING:
    from mlform.syntax.bodies import FileScanner

_BOM: Final = "\ufeff"


def parse(text: str, file: str, diagnostics: Diagnostics) -> Body:
    """Read a whole file of native HCL syntax.

    Problems are noted in ``diagnostics``, at most 20; the body holds the items that are sound.
    ``file`` is the name that positions show. A byte order mark is left out and not counted.
    """
    source = Source(file, text.removeprefix(_BOM))
    if too_large(source, diagnostics):
        return Body(0, 0, {}, (), source)
    scanner = _scanner()
    with uncollected(len(text)):
        return scanner(source, diagnostics).file()


def parse_expression(text: str, file: str, diagnostics: Diagnostics) -> tuple[Expr, Source]:
    """Read a text that is one expression, as on a command line; line breaks may surround it.

    After an error, which is noted, the expression is a null literal.
    """
    return _parse_one(text.removeprefix(_BOM), file, diagnostics, lambda it: it.only_expression())


def parse_template(text: str, file: str, diagnostics: Diagnostics) -> tuple[Expr, Source]:
    """Read a whole text as a template without quotes, as a template file is.

    A text without sequences is a string literal, one ``${ }`` and nothing else a
    ``TemplateWrap``. After an error, which is noted, the expression is a null literal.
    """
    return _parse_one(text, file, diagnostics, lambda it: it.whole_template())


def _parse_one(
    text: str, file: str, diagnostics: Diagnostics, read: Callable[[FileScanner], Expr]
) -> tuple[Expr, Source]:
    source = Source(file, text)
    nothing = Literal(0, len(text), None)
    if too_large(source, diagnostics):
        return nothing, source
    scanner = _scanner()(source, diagnostics)
    with uncollected(len(text)):
        try:
            return read(scanner), source
        except SyntaxProblem as problem:
            scanner.note(problem)
        except RecursionError:
            scanner.note(too_deep(0, len(text)))
    return nothing, source


def _scanner() -> type[FileScanner]:
    from mlform.syntax.bodies import FileScanner  # noqa: PLC0415 - a kept tree does without

    return FileScanner
