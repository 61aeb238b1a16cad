"""The built-in functions: Terraform's names, arguments, results and errors."""

from __future__ import annotations

import base64
import hashlib
import inspect
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final

from mlform.diagnostics import Diagnostics
from mlform.lang.operations import OperationError, boolean, equal, kind_of, number, reveal, text
from mlform.values import UNKNOWN, Sensitive, Value, is_known, plain

if TYPE_CHECKING:
    from mlform.lang.evaluate import Scope, _Evaluator
    from mlform.syntax.tree import Call

_MOST: Final = 1_000_000
"""Elements or characters that one call may make: a short text cannot fill the memory."""


@dataclass(frozen=True)
class Function:
    """One function. ``lazy`` ones are called with unknown arguments too."""

    run: Callable[..., Value]
    lazy: bool = False

    @property
    def shape(self) -> str:
        """The names of the arguments, for messages."""
        return str(inspect.signature(self.run)).partition(" ->")[0]


FUNCTIONS: Final[dict[str, Function]] = {}


def _function(*, lazy: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[run.__name__.strip("_")] = Function(run, lazy)
        return run

    return register


def _sequence(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise OperationError(f"a list is required, not {kind_of(value)}")


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise OperationError(f"a map is required, not {kind_of(value)}")


def _integer(value: Any) -> int:
    found = number(value)
    if isinstance(found, int):
        return found
    raise OperationError(f"a whole number is required, not {found}")


@_function()
def abs_(num: Any) -> Any:
    return abs(number(num))


@_function()
def ceil(num: Any) -> Any:
    return int(Decimal(number(num)).to_integral_value(ROUND_CEILING))


@_function()
def floor(num: Any) -> Any:
    return int(Decimal(number(num)).to_integral_value(ROUND_FLOOR))


@_function()
def max_(*numbers: Any) -> Any:
    if not numbers:
        raise OperationError("at least one number is required")
    return max(map(number, numbers))


@_function()
def min_(*numbers: Any) -> Any:
    if not numbers:
        raise OperationError("at least one number is required")
    return min(map(number, numbers))


@_function()
def pow_(base: Any, exponent: Any) -> Any:
    left, right = number(base), number(exponent)
    if abs(right) * max(1, len(str(left))) > _MOST:
        raise OperationError("the result is too large")
    if isinstance(left, int) and isinstance(right, int) and right >= 0:
        return left**right
    return number(math.pow(left, right))


@_function()
def log(num: Any, base: Any) -> Any:
    try:
        return number(math.log(number(num), number(base)))
    except (ValueError, ZeroDivisionError):
        raise OperationError(f"there is no logarithm of {num} to base {base}") from None


@_function()
def signum(num: Any) -> Any:
    found = number(num)
    return (found > 0) - (found < 0)


@_function()
def sum_(list_: Any) -> Any:
    found = _sequence(list_)
    if not found:
        raise OperationError("a list with at least one number is required")
    return number(sum((Decimal(number(v)) for v in found), Decimal()))


@_function()
def lower(string: Any) -> Any:
    return text(string).lower()


@_function()
def upper(string: Any) -> Any:
    return text(string).upper()


@_function()
def trimspace(string: Any) -> Any:
    return text(string).strip()


@_function()
def trim(string: Any, cutset: Any) -> Any:
    return text(string).strip(text(cutset))


@_function()
def trimprefix(string: Any, prefix: Any) -> Any:
    return text(string).removeprefix(text(prefix))


@_function()
def trimsuffix(string: Any, suffix: Any) -> Any:
    return text(string).removesuffix(text(suffix))


@_function()
def startswith(string: Any, prefix: Any) -> Any:
    return text(string).startswith(text(prefix))


@_function()
def endswith(string: Any, suffix: Any) -> Any:
    return text(string).endswith(text(suffix))


@_function()
def strcontains(string: Any, part: Any) -> Any:
    return text(part) in text(string)


@_function()
def replace(string: Any, part: Any, by: Any) -> Any:
    old, new = text(part), text(by)
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        pattern = _pattern(old[1:-1])
        return pattern.sub(re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", new), text(string))
    return text(string).replace(old, new)


def _pattern(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise OperationError(f'"{pattern}" is no regular expression: {error}') from None


@_function()
def regex(pattern: Any, string: Any) -> Any:
    match = _pattern(text(pattern)).search(text(string))
    if match is None:
        raise OperationError("the pattern does not match the text")
    return _matched(match)


@_function()
def regexall(pattern: Any, string: Any) -> Any:
    return [_matched(m) for m in _pattern(text(pattern)).finditer(text(string))]


def _matched(match: re.Match[str]) -> Any:
    if match.re.groupindex:
        return dict(match.groupdict())
    return list(match.groups()) if match.re.groups else match.group()


@_function()
def split(separator: Any, string: Any) -> Any:
    found = text(string)
    return found.split(text(separator)) if text(separator) else list(found)


@_function()
def join(separator: Any, *lists: Any) -> Any:
    return text(separator).join(text(v) for found in lists for v in _sequence(found))


@_function()
def substr(string: Any, offset: Any, length: Any) -> Any:
    found, start, count = text(string), _integer(offset), _integer(length)
    start = max(len(found) + start, 0) if start < 0 else start
    return found[start:] if count < 0 else found[start : start + count]


@_function()
def format_(template: Any, *values: Any) -> Any:
    pieces: list[str] = []
    at, used = 0, 0
    shape = text(template)
    for match in re.finditer(r"%(%|[-+ 0]*\d*(?:\.\d+)?[a-zA-Z])", shape):
        pieces.append(shape[at : match.start()])
        at = match.end()
        verb = match[1]
        if verb == "%":
            pieces.append("%")
            continue
        if used == len(values):
            raise OperationError(f"the template has more verbs than the {used} value(s) given")
        pieces.append(_formatted(verb, values[used]))
        used += 1
    if used != len(values):
        raise OperationError(f"the template uses {used} of the {len(values)} values given")
    return "".join([*pieces, shape[at:]])


def _formatted(verb: str, value: Any) -> str:
    flags, letter = verb[:-1], verb[-1]
    width = re.search(r"\d+", flags)
    if width and int(width[0]) > 10_000:
        raise OperationError(f"a width of {width[0]} is too large")
    if letter == "v":
        plain_text = isinstance(value, str | int | float | Decimal | bool)
        return f"%{flags}s" % (text(value) if plain_text else json.dumps(plain(value)))
    if letter == "s":
        return f"%{flags}s" % text(value)
    if letter == "q":
        return json.dumps(text(value), ensure_ascii=False)
    if letter == "t":
        return text(boolean(value))
    if letter in "dxXo":
        return f"%{flags}{letter}" % _integer(value)
    if letter in "feEgG":
        return f"%{flags}{letter}" % float(number(value))
    raise OperationError(f'there is no verb "%{verb}"')


@_function()
def length(value: Any) -> Any:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise OperationError(f"a string or a collection is required, not {kind_of(value)}")


@_function()
def concat(*lists: Any) -> Any:
    return [v for found in lists for v in _sequence(found)]


@_function()
def contains(list_: Any, value: Any) -> Any:
    found = [equal(v, value) for v in _sequence(list_)]
    return True if True in found else UNKNOWN if UNKNOWN in found else False


@_function()
def distinct(list_: Any) -> Any:
    found: list[Any] = []
    for value in _sequence(list_):
        if not any(equal(value, v) is True for v in found):
            found.append(value)
    return found


@_function()
def element(list_: Any, index: Any) -> Any:
    found, at = _sequence(list_), _integer(index)
    if not found:
        raise OperationError("the list is empty")
    return found[at % len(found)]


@_function()
def flatten(list_: Any) -> Any:
    found: list[Any] = []
    for value in _sequence(list_):
        found += flatten(value) if isinstance(value, list | tuple) else [value]
    return found


@_function()
def index(list_: Any, value: Any) -> Any:
    for at, one in enumerate(_sequence(list_)):
        if equal(one, value) is True:
            return at
    raise OperationError("the list does not hold the value")


@_function()
def keys(map_: Any) -> Any:
    return sorted(_mapping(map_))


@_function()
def values(map_: Any) -> Any:
    found = _mapping(map_)
    return [found[k] for k in sorted(found)]


@_function()
def lookup(map_: Any, key: Any, *default: Any) -> Any:
    found, name = _mapping(map_), text(key)
    if name in found:
        return found[name]
    if default:
        return default[0]
    raise OperationError(f'there is no "{name}" in the map, and no default was given')


@_function()
def merge(*maps: Any) -> Any:
    return {k: v for found in maps if found is not None for k, v in _mapping(found).items()}


@_function()
def one(list_: Any) -> Any:
    found = _sequence(list_)
    if len(found) > 1:
        raise OperationError(f"the list has {len(found)} elements; at most one is allowed")
    return found[0] if found else None


@_function()
def range_(*limits: Any) -> Any:
    numbers = [number(v) for v in limits]
    if not 1 <= len(numbers) <= 3:
        raise OperationError("one to three numbers are required")
    start, stop = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else 1 if stop >= start else -1
    if step == 0 or (stop - start) / step > 1024:
        raise OperationError("that is more than 1,024 elements")
    found = []
    while (start < stop) if step > 0 else (start > stop):
        found.append(start)
        start += step
    return found


@_function()
def reverse(list_: Any) -> Any:
    return _sequence(list_)[::-1]


@_function()
def slice_(list_: Any, start: Any, end: Any) -> Any:
    found, first, last = _sequence(list_), _integer(start), _integer(end)
    if not 0 <= first <= last <= len(found):
        raise OperationError(f"{first} to {last} is not inside a list of {len(found)}")
    return found[first:last]


@_function()
def sort(list_: Any) -> Any:
    return sorted(text(v) for v in _sequence(list_))


@_function()
def zipmap(keys_: Any, values_: Any) -> Any:
    left, right = _sequence(keys_), _sequence(values_)
    if len(left) != len(right):
        raise OperationError(f"{len(left)} keys and {len(right)} values do not go together")
    return {text(k): v for k, v in zip(left, right, strict=True)}


@_function()
def compact(list_: Any) -> Any:
    return [v for v in _sequence(list_) if v not in (None, "")]


@_function()
def coalesce(*found: Any) -> Any:
    for value in found:
        if value not in (None, ""):
            return value
    raise OperationError("every value is null or empty")


@_function()
def setproduct(*sets: Any) -> Any:
    lists = [_sequence(s) for s in sets]
    if math.prod(map(len, lists)) > _MOST:
        raise OperationError("the product has too many elements")
    return [list(found) for found in itertools.product(*lists)]


@_function()
def setunion(*sets: Any) -> Any:
    return sorted(distinct(concat(*sets)), key=str)


@_function()
def setintersection(first: Any, *sets: Any) -> Any:
    return [v for v in distinct(first) if all(contains(s, v) is True for s in sets)]


@_function()
def setsubtract(left: Any, right: Any) -> Any:
    return [v for v in distinct(left) if contains(right, v) is False]


@_function()
def alltrue(list_: Any) -> Any:
    return all(boolean(v) for v in _sequence(list_))


@_function()
def anytrue(list_: Any) -> Any:
    return any(boolean(v) for v in _sequence(list_))


@_function()
def jsonencode(value: Any) -> Any:
    if not is_known(value):
        return UNKNOWN
    shown = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return shown.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@_function()
def jsondecode(string: Any) -> Any:
    try:
        return json.loads(text(string), parse_float=Decimal)
    except ValueError as error:
        raise OperationError(f"the text is no JSON: {error}") from None


@_function()
def base64encode(string: Any) -> Any:
    return base64.b64encode(text(string).encode()).decode()


@_function()
def base64decode(string: Any) -> Any:
    try:
        return base64.b64decode(text(string), validate=True).decode()
    except ValueError:
        raise OperationError("the text is not base64 of UTF-8") from None


@_function()
def md5(string: Any) -> Any:
    return hashlib.md5(text(string).encode(), usedforsecurity=False).hexdigest()


@_function()
def sha1(string: Any) -> Any:
    return hashlib.sha1(text(string).encode(), usedforsecurity=False).hexdigest()


@_function()
def sha256(string: Any) -> Any:
    return hashlib.sha256(text(string).encode()).hexdigest()


@_function()
def sha512(string: Any) -> Any:
    return hashlib.sha512(text(string).encode()).hexdigest()


@_function()
def tostring(value: Any) -> Any:
    return None if value is None else text(value)


@_function()
def tonumber(value: Any) -> Any:
    return None if value is None else number(value)


@_function()
def tobool(value: Any) -> Any:
    return None if value is None else boolean(value)


@_function()
def tolist(value: Any) -> Any:
    return _sequence(value)


@_function()
def toset(value: Any) -> Any:
    return sorted(distinct(_sequence(value)), key=str)


@_function()
def tomap(value: Any) -> Any:
    return dict(_mapping(value))


def special(name: str) -> Callable[[_Evaluator, Call, Scope], Value] | None:
    """Return what handles a function that needs the expressions, or the marks, themselves."""
    return _SPECIAL.get(name)


def _try(evaluator: _Evaluator, call: Call, scope: Scope) -> Value:
    from mlform.lang.evaluate import evaluate  # noqa: PLC0415 - they call each other

    for argument in call.arguments:
        found = Diagnostics()
        value = evaluate(argument, scope, found, evaluator.source)
        if not found.errors:
            return value
    return evaluator.error("Error in function call", "try: no argument has a value.", call)


def _can(evaluator: _Evaluator, call: Call, scope: Scope) -> Value:
    from mlform.lang.evaluate import evaluate  # noqa: PLC0415 - they call each other

    found = Diagnostics()
    evaluate(call.arguments[0], scope, found, evaluator.source)
    return not found.errors


def _sensitive(evaluator: _Evaluator, call: Call, scope: Scope) -> Value:
    return Sensitive(reveal(evaluator.value(call.arguments[0], scope))[0])


def _nonsensitive(evaluator: _Evaluator, call: Call, scope: Scope) -> Value:
    return reveal(evaluator.value(call.arguments[0], scope))[0]


def _issensitive(evaluator: _Evaluator, call: Call, scope: Scope) -> Value:
    return reveal(evaluator.value(call.arguments[0], scope))[1]


_SPECIAL: Final[Mapping[str, Callable[[_Evaluator, Call, Scope], Value]]] = {
    "try": _try,
    "can": _can,
    "sensitive": _sensitive,
    "nonsensitive": _nonsensitive,
    "issensitive": _issensitive,
}
