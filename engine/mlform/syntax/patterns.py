"""The regular expressions of the language, for plain ASCII text and for any other.

Every quantifier that could give characters back is possessive, so matching never backtracks
into a comment or a name and takes time linear in the text. That of a group is written ``(?>…*)``:
before Python 3.11.5 a possessive group now and then matches too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, cached_property
from typing import Final, TypeAlias

Matcher: TypeAlias = Callable[[str, int], "re.Match[str] | None"]

BLOCK_COMMENT: Final = r"(?>/\*[\s\S]*?\*/)"
LINE_COMMENT: Final = r"(?:\#|//)[^\n]*+"
GAP: Final = rf"[ \t]*+(?>(?:{BLOCK_COMMENT}[ \t]*+)*)"
"""What may stand between two tokens of one line."""
LOOSE_GAP: Final = rf"[ \t\n]*+(?>(?:(?:\r\n|{LINE_COMMENT}|{BLOCK_COMMENT})[ \t\n]*+)*)"
"""What may stand between two tokens inside brackets, and between two items."""
GAPS: Final = frozenset(" \t\r\n#/")
"""What a gap of either kind can begin with."""
NUMBER: Final = r"\d++(?>(?:\.*+(?:\d++|[eE][+-]?\d++))*)"
"""What is read as one number, as HCL does: ``1.2.3`` too, which is then found to be none."""
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


def _matcher(pattern: str) -> Matcher:
    return re.compile(pattern, re.ASCII).match


class Mode:
    """How white space counts: on one line, or inside brackets where line breaks mean nothing.

    Each pattern here and in ``Grammar`` is compiled when first needed: to compile them all takes
    longer than to parse most specs.
    """

    def __init__(self, name: str, gap: str, *, loose: bool) -> None:
        self.loose = loose
        self.stops = ",:)]}" if loose else ",:)]}\n\r"
        self._name, self._gap = name, gap

    @cached_property
    def gap(self) -> Matcher:
        """The space before a token."""
        return _matcher(self._gap)

    @cached_property
    def term(self) -> Matcher:
        """The first token of a term, or all of it where it is a literal or a traversal."""
        name, gap = self._name, self._gap
        return _matcher(
            rf'{gap}(?:"({PLAIN})"|({NUMBER})'
            rf"|({name})(?>(?:((?>(?:\.{name})+))|(?={gap}(\(|::)))?)"
            r'|([\[({!"-]|<<))[ \t]*+'
        )

    @cached_property
    def operator(self) -> Matcher:
        """An operator between two terms."""
        return _matcher(rf"{self._gap}(\|\||&&|[=!<>]=|<(?!<)|>|\+|-|\*(?!\*)|/(?![/*])|%|\?)")

    @cached_property
    def step(self) -> Matcher:
        """What follows a term: an attribute, an index, a splat."""
        name, gap = self._name, self._gap
        return _matcher(
            rf"{gap}(?:\.(?!\.){gap}(?:({name})|({NUMBER})|(\*))|(\[)(?>({gap}\*{gap}\])?)|(\.)(?!\.\.))"
        )

    @cached_property
    def at_for(self) -> Matcher:
        """The word that begins a ``for`` expression."""
        return _matcher(rf"{self._gap}(?>(for(?![\w-]|[^\x00-\x7f]))?)")

    @cached_property
    def at_if(self) -> Matcher:
        """The word before the condition of one."""
        return _matcher(rf"{self._gap}(?>(if(?![\w-]|[^\x00-\x7f]))?)")

    @cached_property
    def for_intro(self) -> Matcher:
        """The names that a ``for`` expression binds."""
        name, gap = self._name, self._gap
        return _matcher(
            rf"{gap}({name})(?>(?:{gap},{gap}({name}))?){gap}(?<![\w-])in(?=[\x00-,./:-@\[-^`{{-\x7f])"
        )


class Grammar:
    """All patterns for one class of names. Outside ASCII one is checked after it was matched."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._simple = rf'"({PLAIN})"|(\d{{1,15}}+)|({name})((?>(?:\.{name})*))'
        self._line_end = rf"{GAP}(?=\r?\n|\#|//){LOOSE_GAP}"
        self.line = Mode(name, GAP, loose=False)
        self.loose = Mode(name, LOOSE_GAP, loose=True)

    @cached_property
    def blank(self) -> Matcher:
        """What may stand between two items."""
        return _matcher(LOOSE_GAP)

    @cached_property
    def line_end(self) -> Matcher:
        """The end of a line, and what is blank after it."""
        return _matcher(self._line_end)

    @cached_property
    def item(self) -> Matcher:
        """An attribute, whole if its value is simple, or the header of a block."""
        name = self._name
        return _matcher(
            rf"({name}){GAP}(?:=(?![=>])(?>(?:{GAP}(?:{self._simple}){self._line_end})?)"
            rf'|((?>(?:"{PLAIN}"{GAP}|{name}{GAP})*))(\{{))'
        )

    @cached_property
    def entry(self) -> Matcher:
        """An entry of an object, whole if its value is simple."""
        end = rf"{self._line_end}|{GAP},{LOOSE_GAP}|{GAP}(?=\}})"
        return _matcher(
            rf'(?:({self._name})|"({PLAIN})"){GAP}(?:=(?![=>])|:(?!:))'
            rf"(?>(?:{GAP}(?:{self._simple})(?:{end}))?)"
        )

    @cached_property
    def element(self) -> Matcher:
        """A simple element of a tuple."""
        return _matcher(rf"(?:{self._simple}){LOOSE_GAP}(?:,{LOOSE_GAP}|(?=[\])]))")

    @cached_property
    def label(self) -> Matcher:
        """A label of a block."""
        return _matcher(rf'(?:"({PLAIN})"|({self._name})){GAP}')

    @cached_property
    def name(self) -> Matcher:
        """A name."""
        return _matcher(self._name)

    @cached_property
    def segment(self) -> Matcher:
        """Text in a template up to an interpolation of a traversal, and that."""
        name = self._name
        return _matcher(rf"({PLAIN})\$\{{[ ]*+({name})((?>(?:\.{name})*))[ ]*+\}}")

    @cached_property
    def heredoc(self) -> Matcher:
        """The opening of a heredoc."""
        return _matcher(rf"<<(-?)({self._name})\r?\n")

    @cached_property
    def next_item(self) -> Matcher:
        """Where the next item begins, to go on after an error in a body."""
        name = self._name
        header = rf'(?>(?:"{PLAIN}"|{name}|{GAP})*)'
        pattern = rf"^(?=\}}|{name}{GAP}=(?!=)|{name}{header}\{{)"
        return re.compile(pattern, re.ASCII | re.MULTILINE).search

    @cached_property
    def next_line(self) -> Matcher:
        """Where the next line begins that may be an item."""
        return re.compile(rf'^(?=["\d]|{self._name})', re.MULTILINE).search


@cache
def grammar(*, ascii_only: bool) -> Grammar:
    """Return the patterns; outside ASCII a name is matched broadly."""
    return Grammar(r"[A-Za-z_][\w-]*+" if ascii_only else _BROAD_NAME)


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
    rf'{NUMBER}|[^\W\d][\w-]*+|"(?>(?:[^"\\\n]|\\.)*)"?|\.\.\.|=>|==|!=|<=|>=|&&|\|\||::|<<-?|[\s\S]'
).match
"""One token, for naming in a message what stands where something else should."""
