"""Where to read on after an error."""

from __future__ import annotations

from mlform.syntax.patterns import Grammar


def resume(grammar: Grammar, text: str, item: int, at: int, *, inside: bool) -> int:
    """Return where the next item of the file begins, for an item at ``item`` that failed at ``at``.

    ``inside`` a block only a line that looks like an item is taken for one, because the rest of
    the block may hold any text (a heredoc); else every line that begins at its first column is.
    """
    search = grammar.next_item if inside else grammar.next_line
    found = search(text, max(at, item + 1))
    if found is None:
        return len(text)
    if text[found.start()] == "}":
        end = text.find("\n", found.start())
        return end if end >= 0 else len(text)
    return found.start()
