"""The kinds of problem a text can have: one constant summary each, and how they travel."""

from __future__ import annotations

from typing import Final

BAD_CHARACTER: Final = "Invalid character"
BAD_NAME: Final = "Invalid name"
BAD_NUMBER: Final = "Invalid number"
BAD_ESCAPE: Final = "Invalid escape sequence"
BAD_VALUE: Final = "Invalid expression"
BAD_OPERATOR: Final = "Unsupported operator"
BAD_TRAVERSAL: Final = "Invalid reference"
BAD_FOR: Final = "Invalid for expression"
BAD_CALL: Final = "Invalid function call"
BAD_DIRECTIVE: Final = "Invalid template directive"
BAD_ITEM: Final = "Expected an argument or a block"
BAD_LABEL: Final = "Invalid block label"
BAD_BLOCK_LINE: Final = "Invalid one-line block"
BAD_HEREDOC: Final = "Invalid heredoc"
MISSING_NEWLINE: Final = "Missing line break"
MISSING_COMMA: Final = "Missing comma"
MISSING_EQUALS: Final = "Missing equals sign"
MISSING_BRANCH: Final = "Incomplete conditional"
UNCLOSED_BLOCK: Final = "Unclosed block"
UNCLOSED_BRACKET: Final = "Unclosed bracket"
UNCLOSED_STRING: Final = "Unclosed string"
UNCLOSED_HEREDOC: Final = "Unclosed heredoc"
UNCLOSED_SEQUENCE: Final = "Unclosed template sequence"
UNCLOSED_COMMENT: Final = "Unclosed comment"
DUPLICATE: Final = "Argument set twice"
TOO_DEEP: Final = "Nested too deeply"
TOO_LARGE: Final = "File too large"
BAD_JSON: Final = "Invalid JSON"
DUPLICATE_KEY: Final = "Property set twice"
BAD_JSON_BLOCK: Final = "Invalid JSON block"

MAX_DEPTH: Final = 150
"""How deep brackets, blocks, operators and references may nest, all together."""

MAX_SIZE: Final = 64 * 1024 * 1024
"""How many characters one file may have."""

MAX_ERRORS: Final = 20
"""How many errors of one file are reported."""

MAX_DIGITS: Final = 4096
"""How many digits a number may have before and after its point, written out without exponent."""


class SyntaxProblem(Exception):  # noqa: N818 - it never leaves the room: caught at the next item
    """One problem at the characters from ``start`` to ``end``; stops the item it stands in.

    ``after`` is where to look for the next item from, if that is not where the problem starts.
    """

    def __init__(
        self, summary: str, detail: str, start: int, end: int, after: int | None = None
    ) -> None:
        super().__init__(summary)
        self.after = start if after is None else after
        self.summary = summary
        self.detail = detail
        self.start = start
        self.end = end
