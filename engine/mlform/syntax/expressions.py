"""Expressions: operators by precedence climbing, references and calls by descent."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from mlform.syntax.height import height
from mlform.syntax.patterns import GAPS, RANK
from mlform.syntax.problems import (
    BAD_CALL,
    BAD_VALUE,
    MAX_DEPTH,
    MISSING_BRANCH,
    MISSING_COMMA,
    TOO_DEEP,
    UNCLOSED_BRACKET,
)
from mlform.syntax.scanner import OPERATOR_HINTS
from mlform.syntax.steps import SAFE_LINKS, StepScanner
from mlform.syntax.tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    GetAttr,
    Literal,
    Name,
    Parens,
    Unary,
    make,
)

_CONSTANTS: Final[dict[str, None | bool]] = {"true": True, "false": False, "null": None}
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_CALL: Final = 5
_OPENED: Final = 6
_SHORT: Final = 18
_NO_STEP: Final = frozenset("=!<>&|+-*%?:,)]}")


class ExpressionScanner(StepScanner):
    """Reads expressions."""

    def whole_expression(self) -> Expr:
        """Read an expression and make sure that its tree is not too high to walk."""
        self.links = 0
        expr = self.expression()
        return expr if self.links <= SAFE_LINKS else self.walkable(expr)

    def whole_template(self) -> Expr:
        """Read the whole text as a template without quotes."""
        self.links = 0
        return self.walkable(self.bare())

    def walkable(self, expr: Expr) -> Expr:
        """Return the expression just read, unless its tree is too high to walk."""
        if self.links > SAFE_LINKS and height(expr) > MAX_DEPTH:
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
        text, mode = self.text, self.mode
        found = mode.term(text, self.pos)
        if found is None:
            self._no_value()
        if text[found.end()] in mode.stops and (found.lastindex or 0) < _CALL:
            return self.simple(found, 1)
        self.depth += 1
        if self.depth > SAFE_LINKS:
            self.check_depth()
        left = self._operand(found)
        while text[self.pos] not in mode.stops:
            found = mode.operator(text, self.pos)
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
            left = make(Binary, (left[0], right[1], op, left, right))
        self.depth -= 1
        return left

    def simple(self, found: re.Match[str], group: int) -> Expr:
        """Return what a match holds from its ``group`` on: a string, a number or a reference."""
        self.pos = found.end()
        which = found.lastindex or group
        if which == group:
            start, end = found.span(which)
            return make(Literal, (start - 1, end + 1, found[which]))
        if which == group + 1:
            start, end = found.span(which)
            written = found[which]
            plain = end - start < _SHORT and written.isdigit()
            return make(Literal, (start, end, int(written) if plain else self.number(start, end)))
        name = found[group + 2]
        return self.reference(found.start(group + 2), name, found[group + 3])

    def _conditional(self, condition: Expr, mark: int) -> Expr:
        then = self.expression()
        self.skip_gap()
        if not self.at_colon():
            self.check_character(self.pos)
            self.fail(
                MISSING_BRANCH,
                'A conditional is written: condition ? value : other. Expected ":" after its '
                f"first value, found {self.found(self.pos)}.",
                self.pos if self.pos < self.end else mark,
                self.token_end(self.pos) if self.pos < self.end else mark + 1,
            )
        self.pos += 1
        otherwise = self.expression()
        return make(Conditional, (condition[0], otherwise[1], condition, then, otherwise))

    def _operand(self, found: re.Match[str]) -> Expr:
        """Read the value that begins with ``found``, with all that is applied to it."""
        group = found.lastindex
        if group == _OPENED:
            return self._opened(found.start(_OPENED), found[_OPENED])
        call = group == _CALL
        node = self._call(found.start(3), found[3]) if call else self.simple(found, 1)
        after = self.text[self.pos]
        return node if after in _NO_STEP or after in self.mode.stops else self.steps(node)

    def reference(self, start: int, name: str, tail: str | None) -> Expr:
        """Return what a name means, with the ``.name`` steps of ``tail``."""
        at = start + len(name)
        if not self.ascii_only:
            self._check_names(start, at, tail)
        node: Expr
        if name in _CONSTANTS:
            node = Literal(start, at, _CONSTANTS[name])
        else:
            node = make(Name, (start, at, name))
        if tail:
            parts = tail.split(".")
            del parts[0]
            for part in parts:
                at += 1 + len(part)
                node = make(GetAttr, (start, at, node, part))
            self.links += len(parts)
        return node

    def _check_names(self, start: int, at: int, tail: str | None) -> None:
        self.check_name(start, at)
        for part in tail[1:].split(".") if tail else ():
            self.check_name(at + 1, at + 1 + len(part))
            at += 1 + len(part)

    def _opened(self, start: int, opener: str) -> Expr:
        """Read what an opening bracket, a quote or a prefix operator begins."""
        self.pos = start + len(opener)
        if opener == '"':
            node = self.quoted(start)
        elif opener == "[":
            node = self.list(start)
        elif opener == "{":
            node = self.object(start)
        elif opener == "(":
            node = self._parens(start)
        elif opener == "<<":
            node = self.heredoc(start)
        else:
            return self._prefixed(start)
        after = self.text[self.pos]
        return node if after in _NO_STEP or after in self.mode.stops else self.steps(node)

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
        found = self.mode.term(self.text, self.pos)
        if found is None:
            self._no_value()
        node = self._operand(found)
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

    def _call(self, start: int, first: str) -> Expr:
        """Read the rest of a call whose name begins with ``first``."""
        names, self.pos = [first], start + len(first)
        at = self.pos
        if not self.ascii_only:
            self.check_name(start, at)
        if self.text[at] == "(":
            return self._called(start, first, at)
        self.skip_gap()
        while self.text.startswith("::", self.pos):
            self.pos += 2
            self.skip_gap()
            found = self.grammar.name(self.text, self.pos)
            if found is None:
                self.unexpected(BAD_CALL, f'a name after "{"::".join(names)}::"')
            self.check_name(*found.span())
            names.append(found[0])
            self.pos = at = found.end()
            self.skip_gap()
        name = "::".join(names)
        if self.text[self.pos] != "(":
            self.unexpected(BAD_CALL, f'"(" after the name of a function, as in {name}(…)')
        return self._called(start, name, self.pos)

    def _called(self, start: int, name: str, bracket: int) -> Call:
        """Read the arguments of a call."""
        self.pos = bracket + 1
        mode, self.mode = self.mode, self.grammar.loose
        arguments, expand = self._arguments(bracket)
        self.mode = mode
        return make(Call, (start, self.pos, name, arguments, expand))

    def _arguments(self, bracket: int) -> tuple[tuple[Expr, ...], bool]:
        arguments: list[Expr] = []
        expand = False
        if self.text[self.pos] in GAPS:
            self.skip_gap()
        self.elements(arguments, bracket, "(")
        while True:
            if self.text[self.pos] in GAPS:
                self.skip_gap()
            if self.text[self.pos] == ")":
                break
            arguments.append(self.expression())
            if self.text[self.pos] in GAPS:
                self.skip_gap()
            if self.text.startswith("...", self.pos):
                dots = self.pos
                self.pos += 3
                expand = True
                self.skip_gap()
                if self.text[self.pos] != ")":
                    self.fail(
                        BAD_CALL,
                        f'Expected ")" after "...", found {self.found(self.pos)}. Only the last '
                        "argument can be expanded.",
                        dots,
                        dots + 3,
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
        closer = _CLOSERS[bracket]
        if self.text[self.pos] in GAPS:
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
        closer = _CLOSERS[bracket]
        self.fail(
            MISSING_COMMA,
            f'Expected a comma between {things}, or "{closer}" after the last one, found '
            f"{self.found(self.pos)}.",
            self.pos,
            self.token_end(self.pos),
        )

    def _no_value(self) -> NoReturn:
        self.skip_gap()
        before = self.text[max(self.pos - 1, 0)]
        if before + self.text[self.pos] == "!=":
            self.fail(BAD_VALUE, "Expected a value, found !=.", self.pos - 1, self.pos + 1)
        at = self.pos - 1 if before + self.text[self.pos] in OPERATOR_HINTS else self.pos
        self.check_operator(at)
        if self.text[self.pos] == "*":
            # A splat, but for what stands in it.
            self.check_character(self.pos + 1)
        hint = ""
        if self.text[self.pos] == "=":
            hint = "An argument is set with a single =."
        elif self.text[self.pos] in "\r\n#/" and not self.mode.loose:
            hint = "Outside brackets an expression ends with its line."
        elif self.text[self.pos] == "." and self.text[self.pos + 1].isdigit():
            hint = "A number has a digit before its point: 0.5."
        self.unexpected(BAD_VALUE, "a value", hint)
