"""Random texts of native syntax: valid ones, and ones with something wrong.

The same seed gives the same text. ``spec`` tries to be valid, not tidy: spaces, line breaks and
comments stand wherever they may. ``mutated`` changes characters, tokens or whole stretches.
A ``sober`` maker leaves out what ``terraform fmt`` is known to lose or to take for something else:
comments between labels, escapes in labels, ``null`` as an index, byte order marks, last lines
without a line break.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

NAMES = [
    "a",
    "b_1",
    "long-name",
    "été",
    "x",
    "for_each",
    "iffy",
    "null_",
    "in",
    "if",
    "for",
    "日本",
]
TEXTS = [
    "plain",
    "with space",
    "é日本",
    "😀 👩‍👩‍👧 e\u0301",
    "$${x}",
    "%%{if}",
    "$",
    "%",
    "100%",
    "$$",
    "%%",
    "\\n\\t",
    '\\"q\\"',
    "\\\\",
    "\\u00e9",
    "\\U0001F600",
    "# no comment",
    "//",
    "/*",
    "{}",
    "]",
    "<<E",
    "~",
    "'",
    "a.b",
    "",
    " ",
]
ESCAPED = ["\\n", "$${x}", '\\"']
NUMBERS = ["0", "1", "42", "007", "0.5", "1.50", "1e3", "1E+10", "2.5e-3", "123456789012345678901"]
TOKEN = re.compile(r"\s+|\w+|\$\{~?|%\{~?|~\}|<<-?|\.\.\.|=>|[=!<>]=|&&|\|\||::|[\s\S]")
_SIGNS = (
    '= == => : :: ? , . .. ... * [*] .* + - ! && || & | ~ $ % ${ %{ ${~ ~} { [ ] ( ) } " " \\ \\" '
    "# // /* */ <<E <<-E E true null for in if else endif endfor %{if %{endif} 0 1.5 1e 0x 1.2.3 "
    "' ` ; @ ^ é “ ” x y"
)
_BLANKS = [" ", "\n", "\t", "\r", "\r\n", "\0", "\ufeff", "\u00a0", "\u200b", "\v", "\f"]
PIECES = [*_SIGNS.split(), *_BLANKS]
_OPERATORS = "+ - * / % == != < > <= >= && ||"


class Maker:
    """Makes one text after another."""

    def __init__(self, seed: int, *, sober: bool = False) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - texts, not secrets
        self.loose = 0
        self.sober = sober

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def gap(self, needed: str = "") -> str:
        """White space and comments that may stand between two tokens."""
        if self.chance(0.8):
            return self.rng.choice([needed, " ", " "])
        if self.loose and self.chance(0.5):
            return self.rng.choice(["\n", " # c\n", "\n\n  ", " // c\n", "\n\t"])
        return self.rng.choice(["  ", "\t", " /* c */ ", "/**/", " /* a\nb */ ", " " * 5])

    def name(self) -> str:
        return self.rng.choice(NAMES[:-6] if self.chance(0.9) else NAMES)

    def inside(self, make: Callable[[], str]) -> str:
        """What stands in brackets that make line breaks mean nothing."""
        self.loose += 1
        made = make()
        self.loose -= 1
        return made

    def on_line(self, make: Callable[[], str]) -> str:
        """What stands in braces, whose items end with their lines."""
        loose, self.loose = self.loose, 0
        made = make()
        self.loose = loose
        return made

    def listed(self, make: Callable[[], str], most: int = 4) -> str:
        items = [self.gap() + make() + self.gap() for _ in range(self.rng.randint(0, most))]
        return ",".join(items) + ("," + self.gap() if items and self.chance(0.2) else "")

    def expression(self, depth: int = 3) -> str:
        if depth <= 0 or self.chance(0.25):
            return self.atom(depth)
        gap = self.gap

        def inner() -> str:
            return self.expression(depth - 1)

        match self.rng.randrange(13):
            case 0:
                return "[" + self.inside(lambda: self.listed(inner)) + "]"
            case 1:
                return self.object(depth)
            case 2:
                return self.call(depth)
            case 3:
                op = self.rng.choice(_OPERATORS.split())
                return inner() + gap(" ") + op + gap(" ") + inner()
            case 4:
                return f"{inner()}{gap(' ')}?{gap()}{inner()}{gap(' ')}:{gap(' ')}{inner()}"
            case 5:
                return self.rng.choice("-!") + self.gap() + inner()
            case 6:
                return "(" + self.inside(lambda: gap() + inner() + gap()) + ")"
            case 7:
                return self.inside(lambda: self.for_list(depth))
            case 8:
                return self.inside(lambda: self.for_object(depth))
            case 9 | 10:
                return self.traversal(depth)
            case _:
                return self.quoted(depth)

    def atom(self, depth: int) -> str:
        match self.rng.randrange(5):
            case 0:
                return self.rng.choice(NUMBERS)
            case 1:
                return self.rng.choice(["true", "false", "null"])
            case 2:
                return self.quoted(0)
            case _:
                return self.name() + "".join(
                    f".{self.name()}" for _ in range(self.rng.randrange(3))
                )

    def object(self, depth: int) -> str:
        def item() -> str:
            key = self.rng.choice(
                [
                    self.name,
                    lambda: self.quoted(1),
                    lambda: "(" + self.inside(lambda: self.expression(1)) + ")",
                    lambda: self.rng.choice(NUMBERS),
                    self.name,
                ]
            )()
            sign = "=" if self.chance(0.8) else ":"
            return f"{key}{self.gap(' ')}{sign}{self.gap(' ')}{self.expression(depth - 1)}"

        def items() -> str:
            made = "\n" if self.chance(0.5) else ""
            for _ in range(self.rng.randint(0, 3)):
                end = self.rng.choice([",", "\n", ",\n", " # c\n", "\n\n"])
                made += self.gap() + item() + self.gap() + end
            return made

        return "{" + self.on_line(items) + self.gap() + "}"

    def call(self, depth: int) -> str:
        name = self.name()
        if self.chance(0.2):
            name = f"provider::{self.name()}::{name}"
        arguments = self.inside(lambda: self.listed(lambda: self.expression(depth - 1), 3))
        if arguments.strip() and not arguments.rstrip().endswith((",", "c")) and self.chance(0.15):
            arguments += "..."
        return f"{name}{self.gap()}({arguments})" if self.chance(0.2) else f"{name}({arguments})"

    def intro(self, depth: int) -> str:
        names = self.name() if self.chance(0.5) else f"{self.name()}{self.gap()},{self.gap()}b"
        return f"for {names} in {self.expression(depth - 1)}"

    def condition(self, depth: int) -> str:
        return f" if {self.expression(depth - 1)}" if self.chance(0.4) else ""

    def for_list(self, depth: int) -> str:
        made = self.expression(depth - 1)
        intro = self.intro(depth)
        return f"[{self.gap()}{intro}{self.gap(' ')}:{self.gap(' ')}{made}{self.condition(depth)}]"

    def for_object(self, depth: int) -> str:
        key, value = self.expression(depth - 1), self.expression(depth - 1)
        group = "..." if self.chance(0.3) else ""
        head = f"{{{self.gap()}{self.intro(depth)} : {key}{self.gap(' ')}=>{self.gap(' ')}"
        return f"{head}{value}{group}{self.condition(depth)}{self.gap()}}}"

    def traversal(self, depth: int) -> str:
        made = self.call(depth - 1) if self.chance(0.3) else self.name()
        for _ in range(self.rng.randint(1, 4)):
            made += self.step()
        return made

    def step(self) -> str:
        match self.rng.randrange(5):
            case 0:
                return "." + self.name()
            case 1:
                return f"{self.gap()}.{self.gap()}{self.name()}"
            case 2:
                return "[" + self.inside(self.index) + "]"
            case 3:
                return self.rng.choice([".0", ".12", ".*", "[*]", "[ * ]"])
            case _:
                return f'["{self.name()}"]'

    def index(self) -> str:
        made = self.expression(1)
        return "0" if self.sober and made in ("null", "true", "false") else made

    def sequence(self, depth: int) -> str:
        """One ``${ }`` or a whole directive."""

        def strip() -> str:
            return "~" if self.chance(0.2) else ""

        def value() -> str:
            return self.inside(lambda: self.gap() + self.expression(depth - 1) + self.gap())

        match self.rng.randrange(5):
            case 0:
                middle = self.text(depth - 1)
                if self.chance(0.5):
                    middle += f"%{{{strip()} else {strip()}}}" + self.text(depth - 1)
                return f"%{{{strip()} if {value()} {strip()}}}{middle}%{{{strip()} endif{strip()}}}"
            case 1:
                intro = self.inside(lambda: self.intro(depth))
                body = self.text(depth - 1)
                return f"%{{{strip()}{intro} {strip()}}}{body}%{{ endfor {strip()}}}"
            case _:
                return f"${{{strip()}{value()}{strip()}}}"

    def text(self, depth: int) -> str:
        """The inside of a quoted string."""
        parts = []
        for _ in range(self.rng.randint(0, 3)):
            with_value = depth > 0 and self.chance(0.4)
            parts.append(self.sequence(depth) if with_value else self.rng.choice(TEXTS))
        return "".join(parts)

    def quoted(self, depth: int) -> str:
        return f'"{self.text(depth)}"'

    def heredoc(self, depth: int) -> str:
        marker = self.rng.choice(["E", "EOT", "été"])
        dash = self.rng.choice(["", "-"])
        lines = []
        for _ in range(self.rng.randint(0, 4)):
            line = self.rng.choice(["", "  ", "    ", "\t", "  \t"])
            for _ in range(self.rng.randint(0, 3)):
                sequence = depth > 0 and self.chance(0.3)
                text = self.rng.choice([*TEXTS, '"', "E ", "\\", " x "])
                line += self.sequence(depth) if sequence else text
            lines.append(line + "\n")
        indent = self.rng.choice(["", "  ", "\t"])
        return f"<<{dash}{marker}\n{''.join(lines)}{indent}{marker}"

    def attribute(self, name: str) -> str:
        self.loose = 0
        share = self.rng.random()
        if share < 0.15:
            value = self.heredoc(2)
        elif share < 0.2:
            value = f"f({self.heredoc(1)}\n)" if self.chance(0.5) else f"[{self.heredoc(1)}\n, 1]"
        else:
            value = self.expression(self.rng.randint(0, 4))
        if self.chance(0.1):
            value = f'"${{{value}}}"' if not value.startswith("<<") else value
        return f"{name}{self.gap(' ')}={self.gap(' ')}{value}"

    def label(self) -> str:
        if self.chance(0.7):
            texts = ["l", "a b", "é", "", "a.b", "$"]
            return f'"{self.rng.choice(texts if self.sober else [*texts, *ESCAPED])}"'
        return self.name()

    def header_gap(self) -> str:
        return self.rng.choice(["", " ", "\t"]) if self.sober else self.gap()

    def block(self, number: int, depth: int) -> str:
        self.loose = 0
        labels = "".join(
            f" {self.header_gap()}{self.label()}" for _ in range(self.rng.randrange(3))
        )
        head = f"{self.name()}{labels}{self.header_gap()} {{"
        if self.chance(0.2):
            return f"{head}{self.gap()}}}"
        if self.chance(0.15):
            return f"{head}{self.gap()}{self.attribute('a')}{self.gap()}}}"
        return f"{head}{self.gap()}\n{self.body(number, depth - 1)}{self.gap()}}}"

    def body(self, number: int, depth: int) -> str:
        made = []
        for each in range(self.rng.randint(0, 4)):
            if depth > 0 and self.chance(0.3):
                item = self.block(number * 10 + each, depth)
            else:
                item = self.attribute(f"{self.rng.choice(['a', 'longer', 'é', 'b-'])}{each}")
            comment = self.rng.choice(["", "", "", " # c", "// d", " /* e */"])
            if item.endswith(("E", "T", "é")):
                comment = ""
            made.append(self.gap() + item + comment + self.rng.choice(["\n", "\n", "\n", "\n\n"]))
            if self.chance(0.1):
                made.append(self.rng.choice(["# alone\n", "  // alone\n", "/* alone */\n", "#\n"]))
        return "".join(made)

    def spec(self) -> str:
        """A file that is meant to be valid."""
        self.loose = 0
        made = self.body(1, 3)
        if self.chance(0.1):
            made = made.replace("\n", "\r\n")
        if self.sober:
            return made
        if self.chance(0.05):
            made = "\ufeff" + made
        return made[:-1] if made.endswith("\n") and self.chance(0.05) else made

    def mutated(self) -> str:
        """A file with one to three changes."""
        made = self.spec() or self.spec() or "a = 1\n"
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            change = self.rng.choice(
                [self.change_character, self.change_token, self.change_stretch]
            )
            made = change(made)
        return made

    def change_character(self, text: str) -> str:
        at = self.rng.randrange(len(text) + 1)
        new = self.rng.choice(self.rng.choice(PIECES) + "x") if self.chance(0.7) else ""
        return text[:at] + new + text[at + self.rng.randrange(2) :]

    def change_token(self, text: str) -> str:
        tokens = TOKEN.findall(text) or [""]
        at = self.rng.randrange(len(tokens))
        match self.rng.randrange(5):
            case 0:
                del tokens[at]
            case 1:
                tokens.insert(at, tokens[at])
            case 2:
                other = self.rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 3:
                tokens[at] = self.rng.choice(PIECES)
            case _:
                tokens.insert(at, self.rng.choice(PIECES))
        return "".join(tokens)

    def change_stretch(self, text: str) -> str:
        start, end = sorted(self.rng.randrange(len(text) + 1) for _ in range(2))
        match self.rng.randrange(4):
            case 0:
                return text[:start]
            case 1:
                return text[:start] + text[min(end, start + 20) :]
            case 2:
                return text[:end] + text[start:]
            case _:
                other = Maker(self.rng.randrange(10**6)).spec()
                return text[:start] + other[len(other) // 2 :] + text[start:]
