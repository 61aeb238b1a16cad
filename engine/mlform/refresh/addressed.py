"""What arguments name that are written as addresses, as in ``on = [monitor.drift[each.key]]``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlform.address import Address
from mlform.config import ModuleScope, Project, ResourceConfig
from mlform.diagnostics import Diagnostics
from mlform.lang.references import traversals
from mlform.syntax.tree import Attribute, Expr, GetAttr, Index, Name
from mlform.values import UNKNOWN, Value, is_known, plain


def addressed(
    argument: Attribute,
    resource: ResourceConfig,
    scope: ModuleScope,
    project: Project,
    diagnostics: Diagnostics,
) -> Value:
    """Return the addresses in an argument as text, what is in an index worked out.

    An index that is not known, or of what is not there, is noted.
    """
    prefix, found = resource.address.spot, []

    def refuse(summary: str, detail: str, at: Expr) -> None:
        span = argument.source.span(at.start, at.end)
        diagnostics.error(summary, detail, at=span, of=resource.address)

    known = True
    for node in traversals(argument.expr):
        told = len(diagnostics.errors)
        keys = {id(key): _key(argument, key, resource, scope) for key in _keys(node)}
        wrong = next((key for key in _keys(node) if keys[id(key)] is None), None)
        known = known and wrong is None
        if wrong is None:
            text = _text(argument, node, keys)
            found.append(prefix + text)
            if not isinstance(_root(node), Name):
                known = False
                detail = f"`{text}` is no address: write KIND.NAME or KIND.NAME[KEY]."
                refuse("Not an address", detail, node)
            elif detail := _missing(Address.leading(found[-1]), project):
                refuse("Unknown reference", detail, node)
        elif resource.address in project.resources and len(diagnostics.errors) == told:
            detail = (
                f"Which one `{argument.name}` names must be known while planning: an index is text "
                "or a whole number, of each.key, count.index, local values and variables."
            )
            refuse("Index not known", detail, wrong)
    return found if known else UNKNOWN


def _missing(named: Address, project: Project) -> str:
    """Say that an instance is none of those that there are; of a block, nothing."""
    there = project.instances(named.config, near=named.module)
    if named.key is None or named in there or named in project.disabled or not there:
        return ""
    return f"There is no {named}. There is {', '.join(map(str, there))}."


def _root(node: Expr) -> Expr:
    while isinstance(node, GetAttr | Index):
        node = node.target
    return node


def _keys(node: Expr) -> list[Expr]:
    """Return what stands in the indices of a traversal."""
    found = []
    while isinstance(node, GetAttr | Index):
        if isinstance(node, Index):
            found.append(node.key)
        node = node.target
    return found[::-1]


def _key(
    argument: Attribute, key: Expr, resource: ResourceConfig, scope: ModuleScope
) -> str | None:
    value = scope.value(argument._replace(expr=key), resource.bindings)
    said = plain(value) if is_known(value) else None
    if isinstance(said, bool) or not isinstance(said, str | int):
        return None
    return json.dumps(said, ensure_ascii=False)


def _text(argument: Attribute, node: Expr, keys: Mapping[int, str | None]) -> str:
    text, at, said = argument.source.text, node.start, ""
    for key in _keys(node):
        said += f"{text[at : key.start]}{keys[id(key)]}"
        at = key.end
    return said + text[at : node.end]
