"""The regular expressions of the language, for plain ASCII text and for any other.

Every quantifier that could give characters back is possessive, so matching never backtracks
into a comment or a name and takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple, TypeAlias

Matcher: TypeAlias = Callable[[str, int], "re.Match[str] | None"]

BLOCK_COMMENT: Final = r"/\*(?:[^*]++|\*(?!/))*+\*/"
LINE_COMMENT: Final = r"(?:\#|//)[^\n]*+"
GAP: Final = rf"(?:[ \t]++|{BLOCK_COMMENT})*+"
"""What may stand between two tokens of one line."""
LOOSE_GAP: Final = rf"(?:(?:[ \t\n]|\r\n)++|{LINE_COMMENT}|{BLOCK_COMMENT})*+"
"""What may stand between two tokens inside brackets, and between two items."""
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


class Mode(NamedTuple):
    """How white space counts: on one line, or inside brackets where line breaks mean nothing."""

    loose: bool
    stops: str
    gap: Matcher
    term: Matcher
    operator: Matcher
    step: Matcher
    key: Matcher
    for_intro: Matcher


class Grammar(NamedTuple):
    """All patterns for one class of names."""

    line: Mode
    loose: Mode
    blank: Matcher
    line_end: Matcher
    simple: Matcher
    item: Matcher
    label: Matcher
    name: Matcher
    heredoc: Matcher
    next_item: Matcher
    next_line: Matcher


def _matcher(pattern: str) -> Matcher:
    return re.compile(pattern, re.ASCII).match


def _mode(name: str, gap: str, *, loose: bool) -> Mode:
    return Mode(
        loose=loose,
        stops=",)]}" if loose else ",)]}\n\r",
        gap=_matcher(gap),
        term=_matcher(
            rf'{gap}(?:"({PLAIN})"|({NUMBER})'
            rf"|({name})(?:((?:\.{name})++)|(?={gap}(\(|::)))?+"
            r'|([\[({!"-]|<<))'
        ),
        operator=_matcher(rf"{gap}(\|\||&&|[=!<>]=|<(?!<)|>|\+|-|\*(?!\*)|/(?![/*])|%|\?)"),
        step=_matcher(
            rf"{gap}(?:\.(?!\.){gap}(?:({name})|({NUMBER})|(\*))|(\[)({gap}\*{gap}\])?+|(\.)(?!\.\.))"
        ),
        key=_matcher(rf"{gap}({name}){gap}(?:=(?![=>])|:(?!:))"),
        for_intro=_matcher(
            rf"{gap}({name})(?:{gap},{gap}({name}))?+{gap}(?<![\w-])in(?=[\x00-,./:-@\[-^`{{-\x7f])"
        ),
    )


@cache
def grammar(*, ascii_only: bool) -> Grammar:
    """Return the patterns. Outside ASCII a name is matched broadly and checked afterwards."""
    name = r"[A-Za-z_][\w-]*+" if ascii_only else _BROAD_NAME
    header = rf'(?:"{PLAIN}"|{name}|{GAP})*+'
    return Grammar(
        line=_mode(name, GAP, loose=False),
        loose=_mode(name, LOOSE_GAP, loose=True),
        blank=_matcher(LOOSE_GAP),
        line_end=_matcher(rf"{GAP}(?=\r?\n|\#|//)"),
        simple=_matcher(
            rf'{GAP}(?:"({PLAIN})"|(\d{{1,15}}+)|({name})((?:\.{name})*+))(?={GAP}(?:\r?\n|\#|//))'
        ),
        item=_matcher(rf'({name}){GAP}(?:(=)(?!=)|((?:"{PLAIN}"{GAP}|{name}{GAP})*+)(\{{))'),
        label=_matcher(rf'{GAP}(?:"({PLAIN})"|({name}))'),
        name=_matcher(name),
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
