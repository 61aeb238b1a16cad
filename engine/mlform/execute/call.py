"""Calling a method of a resource with validated models, and turning what it gives into data."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from mlform.execute.failure import ProviderError
from mlform.sdk import AnyResource, Context, Imported, MonitorResource, Provider, Stored
from mlform.sdk.restoring import complete, restored

_BUG: Final = "This is a bug in the provider."


def call(task: Mapping[str, Any], channel: object) -> dict[str, Any]:
    """Carry out a task, as ``mlform.execute.task.Task`` has it. Raises what the provider raises."""
    resource = _resource(task)
    taking = {"apply", "import", "compare"}
    given = task["arguments"] if task["method"] in taking else None
    new = None if given is None else _arguments(resource, given)
    old = _stored(resource, task)
    context: Context = _load(task["context_factory"])(task["context"], channel)
    match task["method"]:
        case "apply":
            return _attributes(resource, resource.apply(context, new, old))
        case "import":
            return {"found": found_data(resource, resource.import_(context, task["id"], new))}
        case "destroy":
            return {"kept": str(resource.destroy(context, _recorded(old)) or "")}
        case "compare":
            other = resource.attributes.model_validate(dict(task["old"]["other"]))
            found = resource.compare(context, new, _recorded(old).attributes, other)
            return _plain(resource, {"differences": [asdict(d) for d in found]})
        case "run":
            if not isinstance(resource, MonitorResource):
                raise ProviderError(f"{_name(resource)} is no monitor: it cannot be run. {_BUG}")
            attributes, alarms = resource.run(context, _recorded(old))
            data = {"attributes": _attributes(resource, attributes), "alarms": list(alarms)}
            return _plain(resource, data)
        case method:
            raise ProviderError(f"There is no method {method!r} to call.")


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _name(resource: AnyResource) -> str:
    return f'{resource.kind} "{resource.type}"'


def _resource(task: Mapping[str, Any]) -> AnyResource:
    target = task["provider"]
    try:
        provider: type[Provider] = _load(target)
    except (ImportError, AttributeError) as error:
        raise ProviderError(
            f'Provider "{target}" cannot be loaded: {error}. Install it again.'
        ) from None
    made = provider(provider.settings.model_validate(task["settings"]))
    if (resource := made.resource(task["kind"], task["type"])) is not None:
        return resource
    names = ", ".join(map(_name, made.resources())) or "nothing"
    wanted = f'{task["kind"]} "{task["type"]}"'
    raise ProviderError(f'Provider "{target}" offers no {wanted}; it offers {names}. Plan again.')


def _arguments(resource: AnyResource, data: Mapping[str, Any]) -> Any:
    try:
        return resource.arguments.model_validate(dict(data))
    except ValidationError as error:
        problems = "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ProviderError(
            f"The arguments of {_name(resource)} are not valid:\n{problems}"
        ) from None


def _stored(resource: AnyResource, task: Mapping[str, Any]) -> Stored[Any, Any] | None:
    old = task["old"]
    if old is None:
        return None
    found = restored(resource, old["arguments"], old["attributes"])
    # A result that depends on the key alone needs nothing of one that another version made.
    anew = task["method"] == "apply" and resource.reusable and not complete(found)
    return None if anew else found


def _recorded(old: Stored[Any, Any] | None) -> Stored[Any, Any]:
    assert old is not None, "only what is recorded can be destroyed or run"
    return old


def _attributes(resource: AnyResource, attributes: object) -> dict[str, Any]:
    if not isinstance(attributes, resource.attributes):
        got, wanted = type(attributes).__name__, resource.attributes.__name__
        raise ProviderError(f"{_name(resource)} returned {got} where {wanted} is due. {_BUG}")
    assert isinstance(attributes, BaseModel), "attributes are a model"
    return _plain(resource, attributes)


def found_data(resource: AnyResource, found: object) -> dict[str, Any] | None:
    """Return what ``import_`` gave as plain data. Raises ``ProviderError`` where it is no such."""
    if found is None:
        return None
    if not isinstance(found, Imported):
        got = type(found).__name__
        raise ProviderError(f"{_name(resource)} returned {got} where Imported is due. {_BUG}")
    arguments = _plain(resource, dict(found.arguments))
    return {"arguments": arguments, "attributes": _attributes(resource, found.attributes)}


def _plain(resource: AnyResource, value: object) -> dict[str, Any]:
    try:
        data = (
            value.model_dump(mode="json")
            if isinstance(value, BaseModel)
            else to_jsonable_python(value)
        )
    except PydanticSerializationError as error:
        raise ProviderError(
            f"{_name(resource)} returned what is not JSON: {error}. {_BUG}"
        ) from None
    if bad := list(_not_numbers(data)):
        raise ProviderError(
            f"{_name(resource)} returned numbers that JSON does not have: {', '.join(bad)}. {_BUG}"
        )
    assert isinstance(data, dict), "a model and a dictionary are written as dictionaries"
    return data


def _not_numbers(data: object, path: str = "") -> Iterator[str]:
    if isinstance(data, float) and not math.isfinite(data):
        yield f"{path} = {data}"
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _not_numbers(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for at, value in enumerate(data):
            yield from _not_numbers(value, f"{path}[{at}]")
