"""Expressions: operators by precedence climbing, references and calls by descent."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NoReturn

from mlform.syntax.brackets import CollectionScanner
from mlform.syntax.height import height
from mlform.syntax.patterns import RANK
from mlform.syntax.problems import (
    BAD_CALL,
    BAD_TRAVERSAL,
    BAD_VALUE,
    MAX_DEPTH,
    MISSING_BRANCH,
    MISSING_COMMA,
    TOO_DEEP,
    UNCLOSED_BRACKET,
)
from mlform.syntax.scanner import OPERATOR_HINTS
from mlform.syntax.tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    GetAttr,
    Index,
    Literal,
    Name,
    Parens,
    Splat,
    SplatItem,
    Unary,
)

_CONSTANTS: Final[dict[str, None | bool]] = {"true": True, "false": False, "null": None}
_SAFE_LINKS: Final = 50
_NO_STEP: Final = frozenset("=!<>&|+-*%?:,)]}")


class ExpressionScanner(CollectionScanner):
    """Reads expressions."""

    links = 0

    def whole_expression(self) -> Expr:
        """Read an expression and make sure that its tree is not too high to walk."""
        self.links = 0
        return self.walkable(self.expression())

    def whole_template(self) -> Expr:
        """Read the whole text as a template without quotes."""
        self.links = 0
        return self.walkable(self.bare())

    def walkable(self, expr: Expr) -> Expr:
        """Return the expression just read, unless its tree is too high to walk."""
        if self.links > _SAFE_LINKS and height(expr) > MAX_DEPTH:
            self.fail(
                TOO_DEEP,
                f"This expression has more than {MAX_DEPTH} levels of brackets, operators and "
                "references, one inside the other. Split it with locals.",
                expr.start,
                expr.end,
            )
        return expr

    def expression(self, floor: int = -1) -> Expr:
        """Read one expression: operands joined by operators that bind tighter than ``floor``."""
        self.depth += 1
        if self.depth > _SAFE_LINKS:
            self._check_depth()
        left = self._operand()
        text = self.text
        while text[self.pos] not in self.mode.stops:
            found = self.mode.operator(text, self.pos)
            if found is None:
                break
            op = found[1]
            rank = RANK[op]
            if rank <= floor:
                break
            self.pos = found.end()
            self.links += 1
            if rank == 0:
                left = self._conditional(left, found.start(1))
                break
            right = self.expression(rank)
            left = Binary(left.start, right.end, op, left, right)
        self.depth -= 1
        return left

    def _check_depth(self) -> None:
        self.links += _SAFE_LINKS
        if self.depth > MAX_DEPTH:
            self.skip_gap()
            self.fail(
                TOO_DEEP,
                f"Brackets, blocks and templates may be nested at most {MAX_DEPTH} levels deep. "
                "Split this with locals.",
                self.pos,
                self.token_end(self.pos),
            )

    def _conditional(self, condition: Expr, mark: int) -> Expr:
        then = self.expression()
        self.skip_gap()
        if self.text[self.pos] != ":":
            self.check_character(self.pos)
            self.fail(
                MISSING_BRANCH,
                'A conditional is written: condition ? value : other. Expected ":" after its '
                f"first value, found {self.found(self.pos)}.",
                mark,
                max(mark + 1, then.end),
            )
        self.pos += 1
        otherwise = self.expression()
        return Conditional(condition.start, otherwise.end, condition, then, otherwise)

    def _operand(self) -> Expr:
        """Read one value with all that is applied to it."""
        found = self.mode.term(self.text, self.pos)
        if found is None or found.end() > self.end:
            self._no_value()
        group = found.lastindex
        node: Expr
        match group:
            case 1:
                start, self.pos = found.start(1) - 1, found.end()
                node = Literal(start, self.pos, found[1])
            case 2:
                start, self.pos = found.span(2)
                node = Literal(start, self.pos, self.number(start, self.pos))
            case 6:
                return self._opened(found.start(6), found[6])
            case _:
                node = self._named(found.start(3), found[3], found[4], call=group == 5)
        after = self.text[self.pos]
        if after in self.mode.stops:
            return node
        if after == " " and self.text[self.pos + 1] in _NO_STEP:
            return node
        return self._steps(node)

    def _named(self, start: int, name: str, tail: str | None, *, call: bool) -> Expr:
        if not call:
            return self.reference(start, name, tail)
        self.pos = start + len(name)
        self.check_name(start, self.pos)
        return self._call(start, name)

    def reference(self, start: int, name: str, tail: str | None) -> Expr:
        """Return what a name means, with the ``.name`` steps of ``tail``, and go past them."""
        self.pos = at = start + len(name)
        if not self.ascii_only:
            self.check_name(start, at)
        node: Expr
        node = Name(start, at, name)
        if name in _CONSTANTS:
            node = Literal(start, at, _CONSTANTS[name])
        if tail:
            for part in tail[1:].split("."):
                if not self.ascii_only:
                    self.check_name(at + 1, at + 1 + len(part))
                at += 1 + len(part)
                node = GetAttr(start, at, node, part)
                self.links += 1
            self.pos = at
        return node

    def _opened(self, start: int, opener: str) -> Expr:
        """Read what an opening bracket, a quote or a prefix operator begins."""
        self.pos = start + len(opener)
        match opener:
            case '"':
                return self._steps(self.quoted(start))
            case "<<":
                return self._steps(self.heredoc(start))
            case "[":
                return self._steps(self.list(start))
            case "{":
                return self._steps(self.object(start))
            case "(":
                return self._steps(self._parens(start))
            case _:
                return self._prefixed(start)

    def _prefixed(self, start: int) -> Expr:
        """Read prefix operators in a loop: ``!!!x`` nests its tree, not this parser."""
        prefixes = [(start, self.text[start])]
        while True:
            self.skip_gap()
            op = self.text[self.pos]
            if op not in "-!" or self.pos >= self.end:
                break
            prefixes.append((self.pos, op))
            self.pos += 1
        node = self._operand()
        for at, op in reversed(prefixes):
            node = Unary(at, node.end, op, node)
        self.links += len(prefixes)
        return node

    def _parens(self, start: int) -> Expr:
        mode, self.mode = self.mode, self.grammar.loose
        inner = self.expression()
        self.close(start, "(")
        self.mode = mode
        return Parens(start, self.pos, inner)

    def _steps(self, node: Expr) -> Expr:
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
                    node = GetAttr(node.start, self.pos, node, found[1])
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
                    self._check_depth()
                    each = self._steps(item)
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
        if "." in self.text[start:end] or (isinstance(value, Decimal) and value % 1):
            shown = self.text[start:end]
            first, _, second = shown.partition(".")
            self.fail(
                BAD_TRAVERSAL,
                f".{shown} reads as one number. Write [{first}][{second}] for two indices.",
                start,
                end,
            )
        return Literal(start, end, int(value))

    def _index(self, target: Expr, bracket: int) -> Expr:
        mode, self.mode = self.mode, self.grammar.loose
        key = self.expression()
        self.close(bracket, "[")
        self.mode = mode
        return Index(target.start, self.pos, target, key)

    def _call(self, start: int, first: str) -> Expr:
        """Read the rest of a call whose name begins with ``first``."""
        name, at = first, self.pos
        self.skip_gap()
        while self.text.startswith("::", self.pos):
            self.pos += 2
            self.skip_gap()
            found = self.grammar.name(self.text, self.pos)
            if found is None:
                self.unexpected(BAD_CALL, f'a name after "{name}::"')
            self.check_name(*found.span())
            name, self.pos = f"{name}::{found[0]}", found.end()
            at = self.pos
            self.skip_gap()
        if self.text[self.pos] != "(":
            self.fail(
                BAD_CALL, f'"{name}" names a function: write {name}(…) to call it.', start, at
            )
        bracket = self.pos
        self.pos += 1
        mode, self.mode = self.mode, self.grammar.loose
        arguments, expand = self._arguments(bracket)
        self.mode = mode
        return Call(start, self.pos, name, arguments, expand)

    def _arguments(self, bracket: int) -> tuple[tuple[Expr, ...], bool]:
        arguments: list[Expr] = []
        expand = False
        while True:
            self.skip_gap()
            if self.text[self.pos] == ")":
                break
            arguments.append(self.expression())
            self.skip_gap()
            if self.text.startswith("...", self.pos):
                self.pos += 3
                expand = True
                self.skip_gap()
                if self.text[self.pos] != ")":
                    self.unexpected(
                        BAD_CALL, '")" after "..."', "Only the last argument can be expanded."
                    )
                break
            if self.text[self.pos] == ",":
                self.pos += 1
            elif self.text[self.pos] != ")":
                self.missing_comma(bracket, "(", "arguments")
        self.pos += 1
        return tuple(arguments), expand

    def close(self, opener: int, bracket: str) -> None:
        """Go past the bracket that closes ``bracket``, which was opened at ``opener``."""
        closer = {"(": ")", "[": "]", "{": "}"}[bracket]
        self.skip_gap()
        if self.text[self.pos] == closer:
            self.pos += 1
            return
        self.check_operator(self.pos)
        self.check_character(self.pos)
        line = self.source.span(opener, opener).line
        self.fail(
            UNCLOSED_BRACKET,
            f'Expected "{closer}" to close the "{bracket}" of line {line}, found '
            f"{self.found(self.pos)}.",
            self.pos if self.pos < self.end else opener,
            self.token_end(self.pos) if self.pos < self.end else opener + 1,
        )

    def missing_comma(self, opener: int, bracket: str, things: str) -> NoReturn:
        """Give up between two items of a bracket."""
        if self.pos >= self.end or self.text[self.pos] in ")]}":
            self.close(opener, bracket)
        self.check_operator(self.pos)
        self.check_character(self.pos)
        closer = {"(": ")", "[": "]", "{": "}"}[bracket]
        self.fail(
            MISSING_COMMA,
            f'Expected a comma between {things}, or "{closer}" after the last one, found '
            f"{self.found(self.pos)}.",
            self.pos,
            self.token_end(self.pos),
        )

    def _bad_step(self) -> NoReturn:
        """Give up after a dot."""
        self.unexpected(BAD_TRAVERSAL, 'a name after "."', "An index is written [0].")

    def _no_value(self) -> NoReturn:
        self.skip_gap()
        before = self.text[max(self.pos - 1, 0)]
        at = self.pos - 1 if before + self.text[self.pos] in OPERATOR_HINTS else self.pos
        self.check_operator(at)
        hint = ""
        if self.text[self.pos] == "=":
            hint = "An argument is set with a single =."
        elif self.text[self.pos] in "\r\n#/" and not self.mode.loose:
            hint = "Outside brackets an expression ends with its line."
        elif self.text[self.pos] == "." and self.text[self.pos + 1].isdigit():
            hint = "A number has a digit before its point: 0.5."
        self.unexpected(BAD_VALUE, "a value", hint)
