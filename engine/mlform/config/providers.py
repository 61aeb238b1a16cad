"""``provider`` blocks: settings of an installed provider, plain or under an alias."""

from __future__ import annotations

from collections.abc import Sequence

from mlform.config.blocks import Reader
from mlform.config.names import Names
from mlform.config.scope import ModuleScope
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.registry import Registry
from mlform.syntax.tree import Attribute, Block, Literal, ObjectExpr
from mlform.values import UNKNOWN, Value


def read_providers(
    blocks: Sequence[Block],
    scope: ModuleScope,
    names: Names,
    registry: Registry,
    diagnostics: Diagnostics,
) -> dict[str, object]:
    """Hand the registry the settings of every provider block; they may use variables and locals.

    Returns what a resource can name: ``provider`` and ``provider.alias``.
    """
    installed = registry.providers()
    known: dict[str, object] = dict.fromkeys(installed)
    given: dict[str, dict[str, Value]] = {}
    for block in blocks:
        name = block.labels[0].text
        if name not in installed:
            detail = (
                f'No provider "{name}" is installed.{did_you_mean(name, installed)} '
                f"Installed: {', '.join(installed) or 'none'}."
            )
            diagnostics.error("Unknown provider", detail, at=block.header_span)
            continue
        attributes = block.body.attributes
        alias = Reader(diagnostics).text(attributes.get("alias"))
        full = f"{name}.{alias}" if alias else name
        if full in given:
            detail = f'Provider "{full}" has a block already. A second one needs an `alias`.'
            diagnostics.error("Duplicate provider", detail, at=block.header_span)
        known[full] = block
        given[full] = {
            a.name: settled(scope, names, a) for a in attributes.values() if a.name != "alias"
        }
    registry.settings = {**registry.settings, **given}
    for full in given:
        written = known[full]
        assert isinstance(written, Block), "what has settings has a block"
        for name, why in registry.refused(full):
            attribute = written.body.attributes.get(name)
            at = attribute.name_span if attribute else written.header_span
            detail = f'Provider "{full}": {name}: {why}' if name else f'Provider "{full}": {why}'
            diagnostics.error("Invalid provider settings", detail, at=at)
            registry.settings.pop(full, None)
    return known


def provider_names(attribute: Attribute | None, diagnostics: Diagnostics) -> dict[str, str]:
    """Return what ``providers`` says of a call or a run: name inside → name here."""
    if attribute is None:
        return {}
    found: dict[str, str] = {}
    items = attribute.expr.items if isinstance(attribute.expr, ObjectExpr) else None
    text = attribute.source.text
    for item in items or ():
        assert isinstance(item, tuple)
        key, value = item
        inner = key.value if isinstance(key, Literal) else text[key[0] : key[1]].strip("()")
        found[str(inner)] = text[value[0] : value[1]]
    if items is None:
        detail = "`providers` is an object: { NAME_INSIDE = NAME_HERE }."
        diagnostics.error("Invalid provider", detail, at=attribute.value_span)
    return found


def settled(scope: ModuleScope, names: Names, attribute: Attribute) -> Value:
    """Return a value that must be known before anything is planned."""
    if needed := names.needed(attribute):
        detail = (
            f"`{attribute.name}` takes a value from {', '.join(map(str, sorted(needed)))}; it must "
            "be known from variables and locals."
        )
        scope.diagnostics.error("Value not known yet", detail, at=attribute.value_span)
        return UNKNOWN
    return scope.value(attribute)
