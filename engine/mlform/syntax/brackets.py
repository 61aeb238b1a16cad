"""Tuples, objects and the ``for`` expressions that make them."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import NoReturn

from mlform.syntax.patterns import GAPS
from mlform.syntax.problems import BAD_FOR, MISSING_COMMA, MISSING_EQUALS
from mlform.syntax.templates import TemplateScanner
from mlform.syntax.tree import Expr, ForObject, ForTuple, Literal, ObjectExpr, TupleExpr, make


class CollectionScanner(TemplateScanner):
    """Reads what stands in square brackets and braces."""

    @abstractmethod
    def simple(self, found: re.Match[str], group: int) -> Expr:
        """Return what a match holds from its ``group`` on: a string, a number or a reference."""

    def elements(self, items: list[Expr], opener: int, bracket: str) -> None:
        """Read into ``items`` as many elements of ``bracket`` as are simple, with their commas."""
        text, element, simple = self.text, self.grammar.element, self.simple
        while found := element(text, self.pos):
            if found.lastindex == 1:
                self.pos = found.end()
                start, end = found.span(1)
                items.append(make(Literal, (start - 1, end + 1, found[1])))
            else:
                items.append(simple(found, 1))
        if items and text[self.pos] == (")" if bracket == "[" else "]"):
            self.close(opener, bracket)

    @abstractmethod
    def close(self, opener: int, bracket: str) -> None:
        """Go past the bracket that closes ``bracket``, which was opened at ``opener``."""

    @abstractmethod
    def missing_comma(self, opener: int, bracket: str, things: str) -> NoReturn:
        """Give up between two items of a bracket."""

    def list(self, start: int) -> Expr:
        """Read a tuple, ``[…]``, from after its bracket at ``start``."""
        mode, self.mode = self.mode, self.grammar.loose
        text = self.text
        if self._at_for():
            node = self._for(start, "[")
        else:
            items: list[Expr] = []
            self.elements(items, start, "[")
            while text[self.pos] != "]":
                if self.pos >= self.end:
                    self.close(start, "[")
                items.append(self.expression())
                if text[self.pos] in GAPS:
                    self.skip_gap()
                if text[self.pos] == ",":
                    self.pos += 1
                    if text[self.pos] in GAPS:
                        self.skip_gap()
                elif text[self.pos] != "]":
                    self.missing_comma(start, "[", "the items of a list")
            self.pos += 1
            node = make(TupleExpr, (start, self.pos, (*items,)))
        self.mode = mode
        return node

    def object(self, start: int) -> Expr:
        """Read ``{…}`` from after its brace at ``start``; line breaks separate its items."""
        mode, self.mode = self.mode, self.grammar.loose
        if self._at_for():
            node = self._for(start, "{")
            self.mode = mode
            return node
        self.mode = self.grammar.line
        text = self.text
        items: list[tuple[Expr, Expr]] = []
        while True:
            if text[self.pos] in GAPS and (blank := self.grammar.blank(text, self.pos)):
                self.pos = blank.end()
            if text[self.pos] == "}":
                break
            if self.pos >= self.end:
                self.close(start, "{")
            found = self.grammar.entry(text, self.pos)
            key = self._key(found) if found else self._unusual_key(start)
            if found and (found.lastindex or 0) > 2:
                items.append((key, self.simple(found, 3)))
                continue
            items.append((key, self.expression()))
            if text[self.pos] in GAPS:
                self.skip_gap()
            if text[self.pos] == ",":
                self.pos += 1
            elif text[self.pos] != "}" and not self.grammar.line_end(text, self.pos):
                self.fail_between_items()
        self.pos += 1
        self.mode = mode
        return make(ObjectExpr, (start, self.pos, (*items,)))

    def fail_between_items(self) -> NoReturn:
        """Give up between two items of an object."""
        self.unexpected(
            MISSING_COMMA, 'a comma or a line break between the items of an object, or "}"'
        )

    def _key(self, found: re.Match[str]) -> Expr:
        """Return the key of an item, which is a name or a string, and go past its sign."""
        self.pos = found.end()
        quoted = found[2]
        if quoted is not None:
            start, end = found.span(2)
            return make(Literal, (start - 1, end + 1, quoted))
        start, end = found.span(1)
        if not self.ascii_only:
            self.check_name(start, end)
        return make(Literal, (start, end, found[1]))

    def _unusual_key(self, start: int) -> Expr:
        key = self.expression()
        self.skip_gap()
        if self.pos >= self.end:
            self.close(start, "{")
        if self.text[self.pos] not in "=:" or self.text.startswith(("=>", "==", "::"), self.pos):
            hint = (
                "Only a for expression has =>."
                if self.text.startswith("=>", self.pos)
                else "An item of an object is written: key = value."
            )
            self.unexpected(MISSING_EQUALS, '"=" after the key', hint)
        self.pos += 1
        return key

    def at_colon(self) -> bool:
        """Tell whether the next token is ``:``, and not ``::``."""
        return self.text[self.pos] == ":" and self.text[self.pos + 1] != ":"

    def _at_for(self) -> bool:
        """Go to the next token and tell whether it is the keyword ``for``."""
        found = self.mode.at_for(self.text, self.pos)
        assert found, "the pattern fits any text"
        start = found.start(1)
        self.pos = found.end() if start < 0 else start
        return start >= 0

    def for_intro(self, summary: str) -> tuple[str | None, str]:
        """Read ``k, v in`` of a ``for``: the names, of which the first is optional."""
        found = self.mode.for_intro(self.text, self.pos)
        if found is None or found.end() > self.end:
            self._no_intro(summary)
        if not self.ascii_only:
            self.check_name(*found.span(1))
        if found[2] is None:
            self.pos = found.end()
            return None, found[1]
        self.check_name(*found.span(2))
        self.pos = found.end()
        return found[1], found[2]

    def _no_intro(self, summary: str) -> NoReturn:
        """Say what is wrong after ``for``, at the first token that does not belong there."""
        self.skip_gap()
        wanted, comma = "a name", '"," or "in"'
        for more in (comma, "a name", '"in"'):
            name = self.grammar.name(self.text, self.pos)
            if wanted == "a name" and name:
                self.check_name(*name.span())
                self.pos = name.end()
            elif wanted == comma and self.text[self.pos] == ",":
                self.pos += 1
            else:
                break
            wanted = more
            self.skip_gap()
        self.unexpected(
            summary,
            f"{wanted} here",
            "After for come one or two names and in: for value in collection, or for key, value "
            "in collection.",
        )

    def _for(self, start: int, bracket: str) -> Expr:
        self.pos += len("for")
        key, value = self.for_intro(BAD_FOR)
        collection = self.expression()
        if self.text[self.pos] in GAPS:
            self.skip_gap()
        if not self.at_colon():
            self.unexpected(BAD_FOR, '":" after the collection')
        self.pos += 1
        result = self.expression()
        made: Expr | None = None
        if self.text[self.pos] in GAPS:
            self.skip_gap()
        if self.text.startswith("=>", self.pos):
            if bracket == "[":
                self.fail(
                    BAD_FOR,
                    "A for expression in square brackets makes a list, which has no keys. Use "
                    "braces to make an object, or remove the key and =>.",
                    self.pos,
                    self.pos + 2,
                )
            self.pos += 2
            made = self.expression()
            self.skip_gap()
        elif bracket == "{":
            self.fail(
                BAD_FOR,
                f'Expected "=>" and a value after the key, found {self.found(self.pos)}. A for '
                "expression in braces makes an object; use square brackets for a list.",
                result.start,
                max(result.end, self.token_end(self.pos)),
            )
        group = self.text.startswith("...", self.pos)
        if group:
            if bracket == "[":
                self.fail(
                    BAD_FOR,
                    'Only the values of an object can be grouped with "...".',
                    self.pos,
                    self.pos + 3,
                )
            self.pos += 3
        condition = self._condition()
        self._end_for(start, bracket)
        if made is None:
            return ForTuple(start, self.pos, key, value, collection, result, condition)
        return ForObject(start, self.pos, key, value, collection, result, made, group, condition)

    def _condition(self) -> Expr | None:
        found = self.mode.at_if(self.text, self.pos)
        assert found, "the pattern fits any text"
        self.pos = found.end()
        return self.expression() if found[1] else None

    def _end_for(self, start: int, bracket: str) -> None:
        self.skip_gap()
        if self.text[self.pos] == ",":
            self.fail(
                BAD_FOR,
                "A for expression makes the whole collection: nothing else stands beside it. To "
                "join it with more, use concat or merge.",
                self.pos,
            )
        self.close(start, bracket)
