"""Bodies of native HCL: attributes and blocks, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from mlform.diagnostics import Diagnostics
from mlform.syntax.expressions import ExpressionScanner
from mlform.syntax.limits import too_deep
from mlform.syntax.patterns import GAPS
from mlform.syntax.problems import (
    BAD_BLOCK_LINE,
    BAD_ITEM,
    BAD_LABEL,
    BAD_NAME,
    BAD_VALUE,
    DUPLICATE,
    MAX_ERRORS,
    MISSING_NEWLINE,
    UNCLOSED_BLOCK,
    SyntaxProblem,
)
from mlform.syntax.recover import resume
from mlform.syntax.steps import SAFE_LINKS
from mlform.syntax.tree import Attribute, Block, Body, Expr, Label, Source, make


class FileScanner(ExpressionScanner):
    """Reads bodies, and goes on after errors."""

    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        super().__init__(source)
        self.diagnostics = diagnostics
        self.errors = 0
        self.last = -1
        self.open: list[int] = []

    def note(self, problem: SyntaxProblem) -> None:
        """Note a problem where the user will see it, unless there are too many already."""
        if self.errors >= MAX_ERRORS or problem.start == self.last:
            return
        self.errors += 1
        self.last = problem.start
        detail = problem.detail
        if self.errors == MAX_ERRORS:
            detail += f" (These are {MAX_ERRORS} errors; what follows was not checked.)"
        self.diagnostics.error(
            problem.summary, detail, at=self.source.span(problem.start, problem.end)
        )

    def only_expression(self) -> Expr:
        """Read the whole text as one expression."""
        if blank := self.grammar.blank(self.text, 0):
            self.pos = blank.end()
        expr = self.whole_expression()
        blank = self.grammar.blank(self.text, self.pos)
        if blank is None or blank.end() < self.end:
            self.pos = blank.end() if blank else self.pos
            self.unexpected(BAD_VALUE, "nothing more after the expression")
        return expr

    def file(self) -> Body:
        """Read the whole text as a body."""
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        while self.errors < MAX_ERRORS:
            if blank := self.grammar.blank(self.text, self.pos):
                self.pos = blank.end()
            if self.pos >= self.end:
                break
            start = self.pos
            try:
                self._item(attributes, blocks)
            except SyntaxProblem as problem:
                self._recover(problem, start)
            except RecursionError:
                self._recover(too_deep(start, self.token_end(start)), start)
        return Body(0, self.end, attributes, (*blocks,), self.source)

    def _recover(self, problem: SyntaxProblem, start: int) -> None:
        self.note(problem)
        inside = bool(self.open)
        self.open.clear()
        self.depth, self.mode = 0, self.grammar.line
        at = problem.after
        if problem.summary == UNCLOSED_BLOCK:
            at = self.end
        self.pos = resume(self.grammar, self.text, start, at, inside=inside)

    def _item(self, attributes: dict[str, Attribute], blocks: list[Block]) -> None:
        found = self.grammar.item(self.text, self.pos)
        if found is None:
            self._irregular_item(blocks)
            return
        start, end = found.span(1)
        if not self.ascii_only:
            self.check_name(start, end)
        self.pos = found.end()
        self.links = 0
        group = found.lastindex
        if group == 1:
            expr = self.expression()
            if self.links > SAFE_LINKS:
                self.walkable(expr)
        elif group == 7:
            labels = self._labels(*found.span(6))
            header_end = labels[-1].end if labels else end
            blocks.append(self._block(start, header_end, found[1], labels, found.start(7)))
            self._line_end("block")
            return
        else:
            expr = self.simple(found, 2)
            if self.links > SAFE_LINKS:
                self.walkable(expr)
        name = found[1]
        if name in attributes:
            self._set_twice(start, end, name, attributes)
        else:
            attributes[name] = make(Attribute, (start, expr[1], name, expr, self.source))
        if group == 1:
            self._line_end("argument")

    def _labels(self, at: int, end: int) -> tuple[Label, ...]:
        labels: list[Label] = []
        while at < end and (label := self.grammar.label(self.text, at)):
            labels.append(self._plain_label(*label.span(1), *label.span(2)))
            at = label.end()
        return tuple(labels)

    def _plain_label(self, start: int, end: int, bare: int, bare_end: int) -> Label:
        if start >= 0:
            return make(Label, (start - 1, end + 1, self.text[start:end]))
        self.check_name(bare, bare_end)
        return Label(bare, bare_end, self.text[bare:bare_end])

    def _set_twice(
        self, start: int, end: int, name: str, attributes: Mapping[str, Attribute]
    ) -> None:
        first = attributes[name]
        line = self.source.span(first.start, first.end).line
        self.note(
            SyntaxProblem(
                DUPLICATE,
                f'"{name}" is set on line {line} already. An argument is set once: remove one '
                "of them.",
                start,
                end,
            )
        )

    def _line_end(self, thing: str) -> None:
        """Go past the end of the line, and all that is blank after it."""
        found = self.grammar.line_end(self.text, self.pos)
        if found is None:
            self._no_line_end(thing)
        self.pos = found.end()

    def _no_line_end(self, thing: str) -> NoReturn:
        self.skip_gap()
        hint = {
            ",": "Arguments are separated by line breaks, not by commas.",
            "=": "An argument is set with a single =.",
            "}": "The closing brace stands on its own line.",
            ")": 'There is no open "(" to close.',
            "]": 'There is no open "[" to close.',
        }.get(self.text[self.pos], "")
        self.check_operator(self.pos)
        self.unexpected(MISSING_NEWLINE, f"the end of the line after this {thing}", hint)

    def _block(
        self, start: int, header_end: int, kind: str, labels: tuple[Label, ...], brace: int
    ) -> Block:
        self.pos = brace + 1
        self.open.append(brace)
        if line_end := self.grammar.line_end(self.text, self.pos):
            self.pos = line_end.end()
            self.depth += 1
            self.check_depth()
            body = self._body(start, header_end, brace)
            self.depth -= 1
        else:
            body = self._body_on_line(brace)
        self.open.pop()
        return make(Block, (start, self.pos, header_end, kind, labels, body, self.source))

    def _body(self, start: int, header_end: int, brace: int) -> Body:
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        text, blank = self.text, self.grammar.blank
        while True:
            if text[self.pos] in GAPS and (gap := blank(text, self.pos)):
                self.pos = gap.end()
            if text[self.pos] == "}":
                break
            if self.pos >= self.end:
                self._never_closed(text[start:header_end], brace)
            self._item(attributes, blocks)
            if self.errors >= MAX_ERRORS:
                self.fail(UNCLOSED_BLOCK, "The rest of the block was not read.", self.end)
        self.pos += 1
        return make(Body, (brace + 1, self.pos - 1, attributes, (*blocks,), self.source))

    def _never_closed(self, header: str, brace: int) -> NoReturn:
        hint = ""
        item = self.grammar.next_item(self.text, brace)
        if item and self.text[item.start()] != "}":
            line = self.source.span(item.start(), item.start()).line
            hint = f" Is it missing before line {line}, which begins at the first column?"
        self.fail(
            UNCLOSED_BLOCK,
            f'The block {header} is never closed: there is no "}}" for this "{{".{hint}',
            brace,
        )

    def _body_on_line(self, brace: int) -> Body:
        attributes: dict[str, Attribute] = {}
        self.skip_gap()
        if self.text[self.pos] != "}":
            found = self.grammar.item(self.text, self.pos)
            if found is None or found.lastindex == 7:
                self.unexpected(
                    BAD_BLOCK_LINE,
                    'one argument or "}" after "{" on the same line',
                    "Put nested blocks and several arguments on lines of their own.",
                )
            self.check_name(*found.span(1))
            self.pos = found.end(1)
            self.skip_gap()
            self.pos += 1
            start, expr = found.start(1), self.whole_expression()
            attributes[found[1]] = Attribute(start, expr.end, found[1], expr, self.source)
            self.skip_gap()
            if self.text[self.pos] != "}":
                self.unexpected(
                    BAD_BLOCK_LINE,
                    '"}" after the only argument of a one-line block',
                    "Put several arguments on lines of their own.",
                )
        self.pos += 1
        return Body(brace + 1, self.pos - 1, attributes, (), self.source)

    def _irregular_item(self, blocks: list[Block]) -> None:
        """Read a block whose labels have escapes, or say what is wrong with the item."""
        start = self.pos
        found = self.grammar.name(self.text, start)
        if found is None:
            self._not_an_item(start)
        self.check_name(*found.span())
        self.pos = end = found.end()
        labels: list[Label] = []
        while True:
            self.skip_gap()
            at = self.pos
            if self.text[at] == "{":
                break
            if self.text[at] == '"':
                value = self.quoted_literal(at)
                labels.append(Label(at, self.pos, value))
            elif name := self.grammar.name(self.text, at):
                self.check_name(*name.span())
                self.pos = name.end()
                labels.append(Label(at, self.pos, name[0]))
            else:
                self._not_a_header(start, end, labels)
            end = self.pos
        blocks.append(self._block(start, end, found[0], tuple(labels), self.pos))
        self._line_end("block")

    def _not_an_item(self, start: int) -> NoReturn:
        char = self.text[start]
        stop = self.token_end(start)
        if char == '"':
            self.fail(BAD_NAME, "The name of an argument or block has no quotes.", start, stop)
        hint = {
            "}": "There is no open block to close.",
            "{": "A block has a name before its brace.",
        }.get(char, "")
        self.unexpected(BAD_ITEM, "the name of an argument or a block", hint)

    def _not_a_header(self, start: int, end: int, labels: list[Label]) -> NoReturn:
        at = self.pos
        name = self.text[start:end]
        self.check_character(at)
        if labels:
            self.unexpected(BAD_LABEL, f'"{{" or another label after {name}')
        hint = {
            ":": f"An argument is set with =: {name} = …",
            "=": f"An argument is set with a single =: {name} = …",
            ".": "A name has no dots; what they would reach into is written as a block or object.",
            "\n": f"Write {name} = … on one line to set it, or {name} {{ … }} for a block.",
        }.get(self.text[at], f"Write {name} = … to set it, or {name} {{ … }} for a block.")
        raise SyntaxProblem(
            BAD_ITEM,
            f'Expected "=" or "{{" after {name}, found {self.found(at)}. {hint}',
            start,
            min(end if self.text[at] in "\r\n" else max(self.token_end(at), at + 1), self.end),
            after=start if self.text[at] in "\r\n" else min(at, self.end),
        )
