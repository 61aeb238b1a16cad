"""Resources as expressions see them, and arguments as providers see them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from mlform.address import Address
from mlform.late import mapped
from mlform.lazy import dataclass, replace
from mlform.refresh.facets import (
    as_given,
    completed,
    handles_of,
    narrowed,
    overrides_uses,
    taken,
    whole,
)
from mlform.refresh.problems import Problem, problems
from mlform.sdk import AnyResource, Arguments, Resource, Stored
from mlform.sdk.fields import Artifact, FieldClass, FieldRule, field_classes, fields_under
from mlform.sdk.restoring import restored
from mlform.state.model import Record, Snapshot
from mlform.values import (
    UNKNOWN,
    Handle,
    Value,
    canonical,
    conceal,
    concealed,
    digest,
    handle_in,
    is_known,
    is_sensitive,
    plain,
    secrets_in,
)

PLACEHOLDER: Final = "sha256:" + "0" * 64
"""Stands for the digest of what is still to be made, where a model must be validated before."""


TRIGGERS: Final = "lifecycle.replace_triggered_by"
"""What stands beside the arguments of a resource that runs again when something else changes."""


def lasting(resource: AnyResource, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes that count: neither volatile nor the reasons for being held."""
    classes = field_classes(resource.attributes)
    passing = {FieldClass.VOLATILE, FieldClass.HELD}
    kept = [n for n in attributes if classes.get(n) not in passing]
    return arranged(resource.attributes, attributes, kept)


def arranged(
    model: type[BaseModel], data: Mapping[str, Any], names: Collection[str] | None = None
) -> Mapping[str, Any]:
    """Return fields as plain data with those whose order means nothing in one order."""
    free = fields_under(model, FieldRule.UNORDERED)

    def one(name: str, value: Any) -> Any:
        ordered = name not in free or not isinstance(value, list | tuple)
        return value if ordered else sorted(value, key=canonical)

    return mapped(data, data if names is None else names, one)


def as_seen(resource: AnyResource, record: Record, attributes: Mapping[str, Any]) -> Record:
    """Return a record as it is out there: its attributes, and the arguments they tell."""
    told = fields_under(resource.attributes, FieldRule.ACTUAL) & attributes.keys()
    actual = {
        n: conceal(attributes[n]) if concealed(record.arguments[n]) else attributes[n]
        for n in sorted(told & record.arguments.keys())
    }
    return replace(
        record,
        attributes=dict(attributes),
        arguments={**record.arguments, **actual},
        digest=result_digest(resource, attributes),
    )


def result_digest(resource: AnyResource, attributes: Mapping[str, Any]) -> str:
    """Return the content hash of what a resource gives: what lasts, without its carriers."""
    return _counted(resource, lasting(resource, attributes))


def _counted(resource: AnyResource, covered: Mapping[str, Any]) -> str:
    classes = field_classes(resource.attributes)
    counted = [n for n in covered if classes.get(n) is not FieldClass.CARRIER]
    return digest({name: covered[name] for name in counted})


def held_by(resource: AnyResource, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why the resource is held, from its attributes."""
    classes = field_classes(resource.attributes)
    names = [n for n, c in classes.items() if c is FieldClass.HELD]
    return tuple(str(reason) for n in names for reason in attributes.get(n) or ())


def known_handle(address: Address, resource: AnyResource, attributes: Mapping[str, Any]) -> Handle:
    """Return the handle of a resource whose attributes are known."""
    covered = lasting(resource, attributes)
    return _handle(address, resource, attributes, covered, _counted(resource, covered))


def handle_of(record: Record, resource: AnyResource) -> Handle:
    """Return the handle of what is recorded."""
    covered = lasting(resource, record.attributes)
    return _handle(record.address, resource, record.attributes, covered, record.digest)


def _handle(
    address: Address,
    resource: AnyResource,
    attributes: Mapping[str, Any],
    covered: Mapping[str, Any],
    counted: str,
) -> Handle:
    text, slots = str(address), fields_under(resource.attributes, FieldRule.SLOTS)

    def one(name: str, value: Any) -> Value:
        return _slots(text, name, value) if name in slots else _artifact(text, name, value)

    values = mapped(attributes, attributes, one)
    return Handle(text, None, counted, values, covered)


def recorded_handle(snapshot: Snapshot, address: Address, resource: AnyResource) -> Handle | None:
    """Return the handle of what is recorded at an address, if that is of this type."""
    record = snapshot.records.get(address)
    if record is None or record.type != resource.type:
        return None
    found = snapshot.worth.get((address, resource.attributes))
    if found is None:
        found = snapshot.worth[address, resource.attributes] = handle_of(record, resource)
    return found


def foretold(resource: AnyResource, model: Arguments | None) -> Mapping[str, Any]:
    """Return what the arguments of a resource tell of its result."""
    if model is None or type(resource).foretell is Resource.foretell:
        return {}
    return resource.foretell(None, model, {})


def pending_handle(
    address: Address,
    resource: AnyResource,
    predicted: Mapping[str, Any],
    foretold: Mapping[str, Any] | None = None,
) -> Handle:
    """Return the handle of a resource that is still to be applied."""
    values: dict[str, Value] = {}
    for name, info in resource.attributes.model_fields.items():
        artifact = "Artifact" in str(info.annotation)
        alone = artifact and "dict" not in str(info.annotation)
        values[name] = Handle(str(address), name, UNKNOWN) if alone else UNKNOWN
    slots = fields_under(resource.attributes, FieldRule.SLOTS)
    known = {
        n: _slots(str(address), n, v) if n in slots else _artifact(str(address), n, v)
        for n, v in predicted.items()
    }
    return Handle(str(address), None, UNKNOWN, {**values, **known}, foretold=foretold or {})


def absent(resource: AnyResource) -> dict[str, Value]:
    """Return what ``prior.KIND.NAME`` is worth where nothing is recorded: all null."""
    return dict.fromkeys(resource.attributes.model_fields, None)


def _slots(address: str, name: str, value: Mapping[str, Any]) -> Value:
    return {n: _artifact(address, f"{name}.{n}", v) for n, v in value.items()}


def _artifact(address: str, name: str, value: Any) -> Value:
    if (
        isinstance(value, Mapping)
        and value.keys() == Artifact.model_fields.keys()
        and str(value["digest"])[:7] == ("sha256:")
    ):
        return Handle(address, name, value["digest"], dict(value), value)
    return value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Wanted:
    """The arguments of one resource, as far as they are known.

    ``data`` is plain, normalised by the provider's model, with defaults filled in and sensitive
    fields concealed; ``open`` are the fields that something upstream must settle. ``model`` is
    for asking the provider; handles that are still open have a placeholder for digest.
    """

    data: Mapping[str, Any]
    open: frozenset[str]
    model: Arguments | None
    given: Mapping[str, Any]
    """As a provider gets them: handles with what they stand for, secrets in clear."""
    problems: Sequence[Problem] = ()
    secrets: frozenset[str] = frozenset()
    """Every text in them that nobody but the provider may see."""


def wanted(
    resource: AnyResource,
    values: Mapping[str, Value],
    full: Callable[[Handle], Mapping[str, Any]] | None = None,
) -> Wanted:
    """Check and normalise argument values; ``full`` gives a provider what a handle stands for."""
    if TRIGGERS in values:
        return _triggered(resource, values, full)
    open_ = frozenset(n for n, v in values.items() if not is_known(v))
    filled = {n: _place_held(v) for n, v in values.items()}
    vague = {n for n, v in filled.items() if not is_known(v)}
    classes = aliased_classes(resource)
    secret = {n for n, v in values.items() if is_sensitive(v)}
    open_secrets = {
        n
        for n, v in values.items()
        if classes.get(n) is FieldClass.SECRET and n not in secret and v
    }
    if open_secrets:
        name = min(open_secrets)
        message = "is a secret: pass it through a variable with `sensitive = true`"
        return Wanted({}, open_, None, {}, [Problem((name,), message)])
    found = handles_of(values)
    raw = {n: plain(v, reveal=True) for n, v in filled.items() if n not in vague}
    if any(h.used is not None for h in found):
        raw = {n: whole(v) for n, v in raw.items()}
    told = any(h.foretold or h.behind for h in found)
    if full is None and found and (told or overrides_uses(resource)):
        full = partial(as_given, {(h.address, h.attribute): h for h in found})
    given = {n: _fill(v, full) for n, v in raw.items()} if full else raw
    if vague:
        data, wrong = _by_field(resource, given, vague, secret)
        model: Arguments | None = None
    else:
        try:
            model = resource.arguments.model_validate(given)
        except ValidationError as error:
            return Wanted(raw, open_, None, given, problems(error, secret, resource.arguments))
        # What is recorded has handles by digest alone, in fields of any type.
        bare = model if given == raw else resource.arguments.model_validate(raw)
        data, wrong = bare.model_dump(mode="json", by_alias=True), []
        used = taken(resource, model, found)
        if found:
            data = {n: completed(v, used, found) for n, v in data.items()}
        if used:
            given = {n: narrowed(v, used) for n, v in given.items()}
            model = resource.arguments.model_validate(given)
    shown = {n: conceal(v) if n in secret and v is not None else v for n, v in data.items()}
    for name in fields_under(resource.arguments, FieldRule.WRITE_ONLY) & shown.keys():
        del shown[name]
    hidden = frozenset(s for n in secret for s in secrets_in(values[n]))
    return Wanted(arranged(resource.arguments, shown), open_, model, given, wrong, hidden)


def _triggered(
    resource: AnyResource,
    values: Mapping[str, Value],
    full: Callable[[Handle], Mapping[str, Any]] | None,
) -> Wanted:
    """Check arguments beside which the triggers stand, of which no provider knows."""
    triggers = values[TRIGGERS]
    found = wanted(resource, {n: v for n, v in values.items() if n != TRIGGERS}, full)
    if not is_known(triggers):
        return replace(found, open=found.open | {TRIGGERS})
    return replace(found, data={**found.data, TRIGGERS: plain(triggers)})


def stored(resource: AnyResource, record: Record) -> Stored[Any, Any]:
    """Return what a provider gets to see of a record. Concealed fields stay concealed."""
    given = {n: v for n, v in record.arguments.items() if n != TRIGGERS}
    return restored(resource, given, record.attributes)


def aliased_classes(resource: AnyResource) -> Mapping[str, FieldClass]:
    """Return the class of each argument by the name users write."""
    return _aliased(resource.arguments)


@cache
def _aliased(model: type[Arguments]) -> Mapping[str, FieldClass]:
    fields = model.model_fields
    return {(fields[n].alias or n): c for n, c in field_classes(model).items()}


def _place_held(value: Value) -> Value:
    """Give open handles a placeholder digest, so that everything else can be validated."""
    match value:
        case Handle(digest=str()):
            return value
        case Handle(address=address, attribute=attribute):
            return Handle(address, attribute, PLACEHOLDER)
        case Mapping():
            return {k: _place_held(v) for k, v in value.items()}
        case list() | tuple():
            return [_place_held(v) for v in value]
        case _:
            return value


def _fill(data: Any, full: Callable[[Handle], Mapping[str, Any]]) -> Any:
    if handle := handle_in(data):
        return full(handle)
    if isinstance(data, Mapping):
        return {k: _fill(v, full) for k, v in data.items()}
    if isinstance(data, list):
        return [_fill(v, full) for v in data]
    return data


def _by_field(
    resource: AnyResource, given: Mapping[str, Any], vague: set[str], secret: set[str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Normalise field by field, where some values are unknown and no whole model can be made."""
    data: dict[str, Any] = {}
    wrong: list[Problem] = []
    for name, info in resource.arguments.model_fields.items():
        written = info.alias or name
        if written in vague:
            continue
        adapter = _adapter(resource.arguments, name)
        if written not in given:
            if not info.is_required():
                default = info.get_default(call_default_factory=True)
                data[written] = adapter.dump_python(default, mode="json", by_alias=True)
            continue
        try:
            value = adapter.validate_python(given[written])
        except ValidationError as error:
            hidden = {written, ""} if written in secret else secret
            wrong += problems(error, hidden, resource.arguments, (written,))
        else:
            data[written] = adapter.dump_python(value, mode="json", by_alias=True)
    return data, wrong


def told(resource: AnyResource, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Normalise arguments that a provider read of something; say what is wrong with them."""
    known = {info.alias or name for name, info in resource.arguments.model_fields.items()}
    data, wrong = _by_field(resource, arguments, set(), set())
    found = [f'"{n}" is no argument of the type' for n in sorted(arguments.keys() - known)]
    found += [problem.text for problem in wrong]
    return {n: v for n, v in data.items() if n in arguments}, found


@cache
def _adapter(model: type[Arguments], field: str) -> TypeAdapter[Any]:
    return TypeAdapter(model.model_fields[field].annotation or Any)
