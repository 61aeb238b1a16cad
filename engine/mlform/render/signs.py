"""How actions look: their signs, colours and order, and what needs saying of some."""

from __future__ import annotations

from typing import Final

from mlform.plan import Action
from mlform.render.style import Style

SIGNS: Final[dict[Action, tuple[Style, str]]] = {
    Action.CREATE: ("green", "+"),
    Action.RUN: ("green", "▸"),
    Action.ROLL: ("green", "»"),
    Action.MAYBE: ("yellow", "?"),
    Action.REUSE: ("cyan", "="),
    Action.DECIDE: ("cyan", "~"),
    Action.UPDATE: ("yellow", "~"),
    Action.REPLACE: ("red", "±"),
    Action.DESTROY: ("red", "-"),
    Action.FORGET: ("red", "-"),
    Action.HELD: ("magenta", "!"),
    Action.NO_OP: ("", " "),
}
IMPORT: Final[tuple[Style, str]] = ("cyan", "←")
"""What exists already is recorded; it may be changed after that."""
LEGEND: Final[dict[Action, str]] = {
    Action.MAYBE: "runs only if what it takes from upstream comes out different",
    Action.REUSE: "this result was made before: nothing is computed",
    Action.DECIDE: "judged anew from what is measured: nothing is computed",
    Action.HELD: "not done, on purpose; what serves keeps serving",
}
ORDER: Final[list[Action]] = [a for a in Action if a is not Action.NO_OP]
