"""The regular expressions of the language, for plain ASCII text and for any other.

Every quantifier that could give characters back is possessive, so matching never backtracks
into a comment or a name and takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

Matcher: TypeAlias = Callable[[str, int], "re.Match[str] | None"]

BLOCK_COMMENT: Final = r"/\*(?:[^*]++|\*(?!/))*+\*/"
LINE_COMMENT: Final = r"(?:\#|//)[^\n]*+"
GAP: Final = rf"(?:[ \t]++|{BLOCK_COMMENT})*+"
"""What may stand between two tokens of one line."""
LOOSE_GAP: Final = rf"(?:(?:[ \t\n]|\r\n)++|{LINE_COMMENT}|{BLOCK_COMMENT})*+"
"""What may stand between two tokens inside brackets, and between two items."""
GAPS: Final = frozenset(" \t\r\n#/")
"""What a gap of either kind can begin with."""
NUMBER: Final = r"\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+"
PLAIN: Final = r'[^"\\$%\r\n]*+'
"""The inside of a quoted string that means itself."""
_BROAD_NAME: Final = r"[^\x00-@\[-^`{-\x7f][^\x00-,./:-@\[-^`{-\x7f]*+"
"""A name where any character outside ASCII counts as a letter; negated, as it compiles faster."""
SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What a strip marker removes: the characters Unicode calls white space."""
BLANKS: Final = SPACES.replace("\n", "").replace("\r", "")
"""What may stand around the closing marker of a heredoc on its line."""


@dataclass(slots=True)
class Mode:
    """How white space counts: on one line, or inside brackets where line breaks mean nothing."""

    loose: bool
    stops: str
    gap: Matcher
    term: Matcher
    operator: Matcher
    step: Matcher
    at_for: Matcher
    at_if: Matcher
    for_intro: Matcher


@dataclass(slots=True)
class Grammar:
    """All patterns for one class of names."""

    line: Mode
    loose: Mode
    blank: Matcher
    line_end: Matcher
    item: Matcher
    entry: Matcher
    element: Matcher
    label: Matcher
    name: Matcher
    heredoc: Matcher
    segment: Matcher
    next_item: Matcher
    next_line: Matcher


def _matcher(pattern: str) -> Matcher:
    return re.compile(pattern, re.ASCII).match


def _mode(name: str, gap: str, *, loose: bool) -> Mode:
    return Mode(
        loose=loose,
        stops=",:)]}" if loose else ",:)]}\n\r",
        gap=_matcher(gap),
        term=_matcher(
            rf'{gap}(?:"({PLAIN})"|({NUMBER})'
            rf"|({name})(?:((?:\.{name})++)|(?={gap}(\(|::)))?+"
            r'|([\[({!"-]|<<))[ \t]*+'
        ),
        operator=_matcher(rf"{gap}(\|\||&&|[=!<>]=|<(?!<)|>|\+|-|\*(?!\*)|/(?![/*])|%|\?)"),
        step=_matcher(
            rf"{gap}(?:\.(?!\.){gap}(?:({name})|({NUMBER})|(\*))|(\[)({gap}\*{gap}\])?+|(\.)(?!\.\.))"
        ),
        at_for=_matcher(rf"{gap}(for(?![\w-]|[^\x00-\x7f]))?+"),
        at_if=_matcher(rf"{gap}(if(?![\w-]|[^\x00-\x7f]))?+"),
        for_intro=_matcher(
            rf"{gap}({name})(?:{gap},{gap}({name}))?+{gap}(?<![\w-])in(?=[\x00-,./:-@\[-^`{{-\x7f])"
        ),
    )


@cache
def grammar(*, ascii_only: bool) -> Grammar:
    """Return the patterns. Outside ASCII a name is matched broadly and checked afterwards."""
    name = r"[A-Za-z_][\w-]*+" if ascii_only else _BROAD_NAME
    header = rf'(?:"{PLAIN}"|{name}|{GAP})*+'
    simple = rf'"({PLAIN})"|(\d{{1,15}}+)|({name})((?:\.{name})*+)'
    line_end = rf"{GAP}(?=\r?\n|\#|//){LOOSE_GAP}"
    return Grammar(
        line=_mode(name, GAP, loose=False),
        loose=_mode(name, LOOSE_GAP, loose=True),
        blank=_matcher(LOOSE_GAP),
        line_end=_matcher(line_end),
        item=_matcher(
            rf"({name}){GAP}(?:=(?!=)(?:{GAP}(?:{simple}){line_end})?+"
            rf'|((?:"{PLAIN}"{GAP}|{name}{GAP})*+)(\{{))'
        ),
        entry=_matcher(
            rf'(?:({name})|"({PLAIN})"){GAP}(?:=(?![=>])|:(?!:))'
            rf"(?:{GAP}(?:{simple})(?:{line_end}|{GAP},{LOOSE_GAP}|{GAP}(?=\}})))?+"
        ),
        element=_matcher(rf"(?:{simple}){LOOSE_GAP}(?:,{LOOSE_GAP}|(?=[\])]))"),
        label=_matcher(rf'(?:"({PLAIN})"|({name})){GAP}'),
        name=_matcher(name),
        segment=_matcher(rf"({PLAIN})\$\{{[ ]*+({name})((?:\.{name})*+)[ ]*+\}}"),
        heredoc=_matcher(rf"<<(-?)({name})\r?\n"),
        next_item=re.compile(
            rf"^(?=\}}|{name}{GAP}=(?!=)|{name}{header}\{{)", re.ASCII | re.MULTILINE
        ).search,
        next_line=re.compile(rf'^(?=["\d]|{name})', re.MULTILINE).search,
    )


RANK: Final = {
    "?": 0,
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    ">": 4,
    "<=": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
"""How tightly each operator binds."""

TOKEN: Final = re.compile(
    rf'{NUMBER}|[^\W\d][\w-]*+|"(?:[^"\\\n]|\\.)*+"?|\.\.\.|=>|==|!=|<=|>=|&&|\|\||::|<<-?|[\s\S]'
).match
"""One token, for naming in a message what stands where something else should."""
