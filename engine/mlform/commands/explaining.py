"""Problems as they are told: in the order of the files, each with the block it stands in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from mlform.config.load import BLOCKS
from mlform.config.sources import parse_file
from mlform.diagnostics import Diagnostic, Diagnostics, Severity, Span
from mlform.lazy import dataclass, replace
from mlform.registry import KINDS
from mlform.syntax.tree import Block


def ordered(problems: Iterable[Diagnostic], texts: Mapping[str, str]) -> list[Diagnostic]:
    """Return problems in the order to tell them in, with what they stand in.

    Warnings come first, so that errors stand where the eye ends up; then those about no place of
    the spec; then by file and position, whatever order they were found in. ``texts`` are the spec
    files by name.
    """
    found = list(problems)
    outlines: dict[str, _Outline] = {}
    for name in {d.subject.file for d in found if d.subject is not None}:
        if name in texts:
            outlines[name] = _Outline.read(name, texts[name])
    once: dict[object, Diagnostic] = {}
    for problem in found:
        # One mistake in a block is found in each of its instances, and in each call of its module.
        # What stands in no block is about its address alone.
        said = problem.detail
        if problem.subject is not None:
            said = said.replace(problem.address or "\0", "")
        once.setdefault((problem.severity, problem.summary, problem.subject, said), problem)
    return sorted((_placed(d, outlines) for d in once.values()), key=_position)


@dataclass(frozen=True)
class _Outline:
    """The outermost blocks of a file, by where they begin."""

    starts: list[tuple[int, int]]
    blocks: list[tuple[Span, Block]]

    @classmethod
    def read(cls, name: str, text: str) -> _Outline:
        """Parse a file once more; parsing recovers, so even one with mistakes has blocks."""
        found = [(b.span, b) for b in parse_file(name, text, Diagnostics(), BLOCKS).blocks]
        found.sort(key=lambda pair: pair[0])
        return cls([(at.line, at.column) for at, _ in found], found)

    def around(self, at: Span) -> tuple[Span, Block] | None:
        """Return the block that a stretch stands in."""
        index = bisect_right(self.starts, (at.line, at.column)) - 1
        if index < 0:
            return None
        span, block = self.blocks[index]
        inside = (at.end_line, at.end_column) <= (span.end_line, span.end_column)
        return (span, block) if inside else None


def _placed(problem: Diagnostic, outlines: Mapping[str, _Outline]) -> Diagnostic:
    subject = problem.subject
    if subject is None or subject.file not in outlines:
        return problem
    found = outlines[subject.file].around(subject)
    if found is None:
        return problem
    span, block = found
    address = problem.address
    named = not subject.file.endswith(".json") and "/" not in subject.file
    if address is None and named and KINDS.get(block.kind) == len(block.labels):
        address = f"{block.kind}.{block.labels[-1].text}"
    return replace(problem, context=span, address=address)


def _position(problem: Diagnostic) -> tuple[bool, bool, str, int, int]:
    error, at = problem.severity is Severity.ERROR, problem.subject
    if at is None:
        return error, False, "", 0, 0
    return error, True, at.file, at.line, at.column
