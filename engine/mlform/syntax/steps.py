"""What is applied to a value: ``.name``, ``[key]``, splats."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NoReturn

from mlform.syntax.brackets import CollectionScanner
from mlform.syntax.problems import BAD_TRAVERSAL, MAX_DEPTH, TOO_DEEP
from mlform.syntax.tree import Expr, GetAttr, Index, Literal, Splat, SplatItem, make

SAFE_LINKS: Final = 50
"""So many levels need no closer look: no recursion over them comes near a limit."""


class StepScanner(CollectionScanner):
    """Reads the steps that follow a value, and counts how high the tree may be by now."""

    links = 0

    def check_depth(self) -> None:
        """Give up if the parser stands too deep; else have the tree looked at when it is done."""
        self.links += SAFE_LINKS
        if self.depth > MAX_DEPTH:
            self.skip_gap()
            self.fail(
                TOO_DEEP,
                f"Brackets, blocks and templates may be nested at most {MAX_DEPTH} levels deep. "
                "Split this with locals.",
                self.pos,
                self.token_end(self.pos),
            )

    def steps(self, node: Expr) -> Expr:
        """Read ``.name``, ``.0``, ``.*``, ``[key]`` and ``[*]`` as often as they come."""
        text = self.text
        while text[self.pos] not in self.mode.stops:
            found = self.mode.step(text, self.pos)
            if found is None:
                break
            self.links += 1
            self.pos = found.end()
            match found.lastindex:
                case 1:
                    self.check_name(*found.span(1))
                    node = make(GetAttr, (node[0], self.pos, node, found[1]))
                case 2:
                    node = Index(node.start, self.pos, node, self._legacy_key(*found.span(2)))
                case 3:
                    each = self._attribute_steps(SplatItem(found.start(3), self.pos))
                    node = Splat(node.start, self.pos, node, each, full=False)
                case 6:
                    self._bad_step()
                case 5:
                    item = SplatItem(found.start(4), self.pos)
                    self.depth += 1
                    self.check_depth()
                    each = self.steps(item)
                    self.depth -= 1
                    return Splat(node.start, self.pos, node, each, full=True)
                case _:
                    node = self._index(node, found.start(4))
        return node

    def _attribute_steps(self, node: Expr) -> Expr:
        """Read what an attribute splat applies to each element: names and numbers, no brackets."""
        while found := self.mode.step(self.text, self.pos):
            if found.lastindex in (4, 5):
                break
            self.links += 1
            self.pos = found.end()
            if found.lastindex == 1:
                self.check_name(*found.span(1))
                node = GetAttr(node.start, self.pos, node, found[1])
            elif found.lastindex == 2:
                node = Index(node.start, self.pos, node, self._legacy_key(*found.span(2)))
            elif found.lastindex == 6:
                self._bad_step()
            else:
                self.fail(
                    BAD_TRAVERSAL,
                    "A splat cannot stand in a splat of the form .*; write [*] for both.",
                    found.start(3),
                )
        return node

    def _legacy_key(self, start: int, end: int) -> Literal:
        value = self.number(start, end)
        shown = self.text[start:end]
        if "." in shown:
            first, _, second = shown.partition(".")
            hint = f" Write [{first}][{second}] for two indices." if second.isdigit() else ""
            self.fail(BAD_TRAVERSAL, f".{shown} reads as one number.{hint}", start, end)
        if isinstance(value, Decimal) and value.adjusted() < 20 and value == int(value):
            value = int(value)
        return Literal(start, end, value)

    def _index(self, target: Expr, bracket: int) -> Expr:
        mode, self.mode = self.mode, self.grammar.loose
        key = self.expression()
        self.close(bracket, "[")
        self.mode = mode
        return make(Index, (target[0], self.pos, target, key))

    def _bad_step(self) -> NoReturn:
        """Give up after a dot."""
        self.unexpected(BAD_TRAVERSAL, 'a name after "."', "An index is written [0].")
