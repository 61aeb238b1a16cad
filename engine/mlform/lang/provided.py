"""Functions that providers offer, called as ``provider::NAME::FUNCTION(…)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, TypeAdapter, ValidationError

from mlform.diagnostics import did_you_mean
from mlform.lang.conversion import ConversionError, convert
from mlform.lang.numbers import from_float
from mlform.lang.operations import OperationError
from mlform.lang.registry import Function, Parameter
from mlform.lazy import dataclass, field
from mlform.sdk import ResourceError
from mlform.types import ANY, BOOL, NUMBER, STRING, Collection, ObjectType, Type
from mlform.values import Value, plain

PROVIDED: Final = "\0provided"
"""A root, of no name that can be written: what providers offer, a ``Provided``."""

PREFIX: Final = "provider::"
_SCALARS: Final[Mapping[Any, Type]] = {
    str: STRING,
    int: NUMBER,
    float: NUMBER,
    Decimal: NUMBER,
    bool: BOOL,
}
_COLLECTIONS: Final[Mapping[Any, str]] = {list: "list", set: "set", frozenset: "set", dict: "map"}


@dataclass(frozen=True)
class Provided:
    """The functions of installed providers, each provider asked when it is first named."""

    providers: Callable[[], Iterable[str]]
    offered: Callable[[str], Mapping[str, Callable[..., Any]]]
    """Provider → its functions by name. Raises ``ImportError`` where it cannot be loaded."""
    _made: dict[str, Function] = field(default_factory=dict)

    def find(self, full: str) -> Function | str:
        """Return the function of a name ``provider::NAME::FUNCTION``, or why there is none."""
        if full in self._made:
            return self._made[full]
        provider, _, name = full.removeprefix(PREFIX).partition("::")
        known = list(self.providers())
        if provider not in known:
            return (
                f'No provider "{provider}" is installed.{did_you_mean(provider, known)} '
                f"Installed: {', '.join(known) or 'none'}."
            )
        try:
            offered = self.offered(provider)
        except (ImportError, AttributeError) as error:
            return f'Provider "{provider}" could not be loaded: {error}.'
        if name not in offered:
            return (
                f'Provider "{provider}" has no function "{name}".{did_you_mean(name, offered)} '
                f"It has {', '.join(offered) or 'none'}."
            )
        self._made[full] = made(full, offered[name])
        return self._made[full]


def provided_root(provided: Provided | None) -> dict[str, Value]:
    """Return the root that makes functions of providers callable, for a scope."""
    return {} if provided is None else {PROVIDED: cast("Value", provided)}


def made(name: str, offered: Callable[..., Any]) -> Function:
    """Return a Python function as one of the language, typed by its annotations.

    Raises ``TypeError`` where an annotation has no type in the language.
    """
    hints = get_type_hints(offered, include_extras=True)
    parameters, rest, adapters = [], None, []
    for parameter in inspect.signature(offered).parameters.values():
        if parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD}:
            raise TypeError(f"{name}: arguments are given by position, not {parameter}")
        hint = hints.get(parameter.name, Any)
        null, type_ = _type(hint)
        taken = Parameter(parameter.name, type_, null=null, dynamic=type_ == ANY)
        adapters.append(TypeAdapter[Any](hint))
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = taken
        else:
            parameters.append(taken)
    names = [p.name for p in parameters]
    returns = hints.get("return", Any)
    _, result = _type(returns)
    checked = TypeAdapter[Any](returns)

    def run(*arguments: Value) -> Value:
        given = [_given(adapters, at, value) for at, value in enumerate(arguments)]
        try:
            found = checked.validate_python(offered(*given))
        except ResourceError as error:
            at = names.index(error.argument) if error.argument in names else None
            raise OperationError(f"{error.summary}: {error.detail}".rstrip("."), at) from None
        except Exception as error:
            # Whatever a provider's code does, a spec gets a message, and no traceback.
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            raise OperationError(f"the provider failed, which is a bug in it ({why})") from error
        return _returned(found, result)

    run.__doc__ = inspect.getdoc(offered)
    return Function(
        name, tuple(parameters), rest, result, run, nested=False, marked=False, world=False
    )


def _given(adapters: list[TypeAdapter[Any]], at: int, value: Value) -> Any:
    adapter = adapters[min(at, len(adapters) - 1)]
    try:
        return adapter.validate_python(plain(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part!r}]" for part in first["loc"])
        raise OperationError(f"{where}{': ' if where else ''}{first['msg']}", at) from None


def _returned(found: Any, type_: Type) -> Value:
    value = _value(found)
    try:
        return convert(value, type_)
    except ConversionError as error:
        raise OperationError(f"the provider gave what is no {type_}: {error}") from None


def _value(found: Any) -> Value:
    match found:
        case BaseModel():
            return _value(found.model_dump())
        case bool() | int() | str() | None | Decimal():
            return found
        case float():
            return from_float(found)
        case Mapping():
            return {str(k): _value(v) for k, v in found.items()}
        case list() | tuple():
            return [_value(v) for v in found]
        case set() | frozenset():
            return [_value(v) for v in sorted(found)]
        case _:
            raise OperationError(f"the provider gave a {type(found).__name__}, which is no value")


def _type(hint: Any) -> tuple[bool, Type]:
    """Return whether an annotation takes null, and its type in the language."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(inside[0])
    if origin in {Union, UnionType}:
        kinds = {_type(part)[1] for part in inside if part is not NoneType}
        return NoneType in inside, kinds.pop() if len(kinds) == 1 else ANY
    if origin is Literal:
        return False, _type(type(inside[0]))[1]
    if hint in {Any, object}:
        return True, ANY
    if hint in _SCALARS:
        return False, _SCALARS[hint]
    if (name := _COLLECTIONS.get(origin or hint)) is not None:
        return False, Collection(name, _type(inside[-1])[1] if inside else ANY)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        fields = {i.alias or n: i for n, i in hint.model_fields.items()}
        types = {n: _type(i.annotation)[1] for n, i in fields.items()}
        defaults = {n: _value(i.get_default()) for n, i in fields.items() if not i.is_required()}
        return False, ObjectType(types, defaults)
    if hint in {None, NoneType}:
        return True, ANY
    raise TypeError(f"{hint} has no type in the language")
