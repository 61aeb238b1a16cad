"""``format`` and ``formatlist``: verbs as in Go, values as in Terraform."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from mlform.lang.bounds import starting
from mlform.lang.functions.encoding import to_json
from mlform.lang.graphemes import clusters, normal
from mlform.lang.marks import bare, mark
from mlform.lang.numbers import PreciseDecimal, expansion
from mlform.lang.operations import (
    MATH,
    OperationError,
    boolean,
    integer,
    number,
    number_of,
    text,
)
from mlform.lang.registry import (
    STRINGS,
    absent,
    anything,
    check_size,
    function,
    is_sequence,
    string,
    whole,
)
from mlform.types import STRING, TupleType
from mlform.values import SetValue, Unknown, Value

_VERB: Final = re.compile(
    r"%(?P<flags>[ +\-#0]*)(?P<width>[1-9][0-9]*)?(?:\.(?P<precision>[0-9]*))?"
    r"(?:\[(?P<index>[1-9][0-9]*)\])?(?P<verb>[a-zA-Z%])?",
    re.ASCII,
)


class Verb:
    """One verb of a template, such as ``%-8.2f``."""

    def __init__(self, found: re.Match[str]) -> None:
        self.flags, self.verb, self.written = found["flags"], found["verb"], found.group()
        self.width = _small(found["width"])
        self.precision = None if found["precision"] is None else _small(found["precision"])
        self.index = None if found["index"] is None else _small(found["index"])

    def pad(self, shown: str, *, numeric: bool = False) -> str:
        """Fill a text up to the width, counting characters as people see them."""
        missing = self.width - len(clusters(shown))
        if missing <= 0:
            return shown
        if "-" in self.flags:
            return shown + " " * missing
        if "0" not in self.flags:
            return " " * missing + shown
        sign = shown[:1] if numeric and shown[:1] in {"+", "-", " "} else ""
        return sign + "0" * missing + shown[len(sign) :]

    def signed(self, shown: str) -> str:
        """Put a plus or a space before a number, if a flag says so."""
        if shown.startswith("-"):
            return shown
        return ("+" if "+" in self.flags else " " if " " in self.flags else "") + shown

    def cut(self, value: str) -> str:
        """Return as many characters as the precision says."""
        return value if self.precision is None else "".join(clusters(value)[: self.precision])


def _small(digits: str | None) -> int:
    if not digits:
        return 0
    found = int(digits[:10])
    check_size(found, "characters")
    return found


def _any(verb: Verb, value: Any) -> str:
    if absent(value):
        return verb.pad("null")
    if "#" in verb.flags or not isinstance(value, str | bool | int | float | Decimal):
        return verb.pad(to_json(value))
    if isinstance(value, str):
        return verb.pad(value)
    if isinstance(value, bool):
        return verb.pad(text(value))
    return verb.pad(_short(number(value)), numeric=True)


def _text(verb: Verb, value: Any) -> str:
    return verb.pad(verb.cut(text(value)))


def _quote(verb: Verb, value: Any) -> str:
    return verb.pad(to_json(verb.cut(text(value))))


def _bool(_verb: Verb, value: Any) -> str:
    return text(boolean(value))  # as in Terraform, never padded


def _integer(spec: str) -> Callable[[Verb, Any], str]:
    def show(verb: Verb, value: Any) -> str:
        shape = ("#" if "#" in verb.flags else "") + spec
        # Go writes an octal number as 017, not as 0o17.
        integer(value)
        shown = format(int(expansion(number(value))), shape).replace("0o", "0")
        return verb.pad(verb.signed(shown), numeric=True)

    return show


def _decimal(verb: Verb, value: Any) -> str:
    found = expansion(number(value))
    if found != found.to_integral_value():
        integer(value)
    # Of zero the sign is not shown.
    return verb.pad(verb.signed(f"{found or Decimal():f}"), numeric=True)


def _fixed(verb: Verb, value: Any) -> str:
    places = 6 if verb.precision is None else verb.precision
    found = expansion(number(value))
    check_size(places + abs(found.adjusted()), "characters")
    context = Context(places + max(found.adjusted(), 0) + 10, ROUND_HALF_EVEN)
    shown = f"{found.quantize(Decimal(1).scaleb(-places), context=context):f}"
    return verb.pad(verb.signed(shown), numeric=True)


def _exponent(verb: Verb, value: Any) -> str:
    places = 6 if verb.precision is None else verb.precision
    check_size(places, "characters")
    found = expansion(number(value))
    # The exponent of a decimal zero is that of its last digit.
    shown = _two_digits(f"{found or float(found):.{places}e}")
    shown = shown.upper() if verb.verb == "E" else shown
    return verb.pad(verb.signed(shown), numeric=True)


def _compact(verb: Verb, value: Any) -> str:
    shown = _short(number(value), verb.precision)
    shown = shown.upper() if verb.verb == "G" else shown
    return verb.pad(verb.signed(shown), numeric=True)


def _short(value: int | Decimal, precision: int | None = None) -> str:
    """Write a number with an exponent where that is how Go does it."""
    if precision is None:
        most = 6
        found = value if isinstance(value, PreciseDecimal) else MATH.normalize(Decimal(value))
    else:
        most = max(precision, 1)
        found = Context(most, ROUND_HALF_EVEN).normalize(expansion(value))
    digits = len(found.as_tuple().digits)
    if not found or -4 <= found.adjusted() < most:
        return f"{found:f}"
    return _two_digits(f"{found:.{digits - 1}e}")


def _two_digits(shown: str) -> str:
    mantissa, _, exponent = shown.partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}"


_VERBS: Final[Mapping[str, Callable[[Verb, Any], str]]] = {
    "v": _any,
    "s": _text,
    "q": _quote,
    "t": _bool,
    "b": _integer("b"),
    "d": _decimal,
    "o": _integer("o"),
    "x": _integer("x"),
    "X": _integer("X"),
    "e": _exponent,
    "E": _exponent,
    "f": _fixed,
    "g": _compact,
    "G": _compact,
}


def render(template: str, values: Sequence[Any]) -> str:
    """Fill values into a template. Raises ``OperationError``."""
    pieces: list[str] = []
    used = turn = at = size = 0
    while (start := template.find("%", at)) >= 0:
        pieces.append(template[at:start])
        found = _VERB.match(template, start)
        assert found is not None, "a percent sign alone matches"
        at = found.end()
        verb = Verb(found)
        if verb.verb == "%":
            pieces.append("%")
            continue
        if verb.verb not in _VERBS:
            wrong = template[start : at + (0 if verb.verb else 1)]
            raise OperationError(f'"{wrong}" is no verb', 0)
        turn = turn + 1 if verb.index is None else verb.index
        if turn > len(values):
            raise OperationError(f"{verb.written} asks for value {turn}, of {len(values)} given", 0)
        used = max(used, turn)
        pieces.append(_shown(verb, values[turn - 1], turn))
        size += len(pieces[-1])
        check_size(size, "characters")
    if used < len(values):
        verbs = "none" if not used else f"only {used}"
        raise OperationError(
            f"the template uses {verbs} of {number_of(len(values), 'value')} given", used + 1
        )
    return normal("".join(pieces) + template[at:])


def _shown(verb: Verb, value: Any, position: int) -> str:
    if absent(value) and verb.verb != "v":
        raise OperationError(f"{verb.written} cannot show null", position)
    try:
        return _VERBS[verb.verb](verb, value)
    except OperationError as error:
        raise OperationError(f"for {verb.written}, {error}", position) from None


_VALUES: Final = anything("args", null=True, unknown=True)


@function(
    "format",
    string("format"),
    rest=anything("args", null=True, unknown=True),
    result=STRING,
    nested=True,
    marked=False,
)
def format_(template: str, *values: Any) -> Value:
    """Fill values into a template with verbs such as ``%s`` and ``%05.2f``."""
    if not whole(values):
        return starting(template.partition("%")[0])
    return render(template, values)


def _length(value: Any) -> int | None:
    """Return how many elements a value gives, ``None`` if that is open or it is no list."""
    if isinstance(value, Unknown) and isinstance(value.type, TupleType):
        return len(value.type.elements)
    return len(value) if isinstance(value, list | tuple) and _ordered(value) else None


def _ordered(value: Any) -> bool:
    """Tell whether it is known which element comes when; so it is of all that is no list."""
    if isinstance(value, Unknown):
        return not is_sequence(value.type)
    return not isinstance(value, SetValue) or len(value) <= 1 or whole(value)


@function("formatlist", string("format"), rest=_VALUES, result=STRINGS, nested=True)
def formatlist(template: str, *values: Any) -> Value:
    """Fill the elements of lists into a template, one result for each; what is no list repeats."""
    given, marked = bare(list(values))
    lengths = {n for n in map(_length, given) if n is not None}
    if len(lengths) > 1:
        shown = " and ".join(map(str, sorted(lengths)))
        raise OperationError(f"the lists must be of one length, and are of {shown}")
    if not all(map(_ordered, given)):
        return mark(Unknown(STRINGS), marked=marked)
    count = lengths.pop() if lengths else 1
    check_size(count * max(len(template), 1), "characters")
    found: list[Value] = []
    size = 0
    for i in range(count):
        row = [v[i] if isinstance(v, list | tuple) else v for v in given]
        if not whole(row):
            found.append(Unknown(STRING))
            continue
        shown = render(template, row)
        size += len(shown)
        check_size(size, "characters")
        found.append(shown)
    return mark(found, marked=marked)
