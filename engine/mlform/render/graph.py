"""A graph as DOT, as Mermaid, or as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlform.lazy import dataclass, field

_COLOURS: Final[Mapping[str, str]] = {
    "create": "palegreen",
    "run": "palegreen",
    "roll": "palegreen",
    "run?": "khaki",
    "reuse": "paleturquoise",
    "decide": "paleturquoise",
    "update": "khaki",
    "replace": "lightpink",
    "destroy": "lightpink",
    "forget": "lightpink",
    "held": "plum",
    "deferred": "khaki",
}


@dataclass(frozen=True)
class Drawing:
    """Nodes by name, each with what is done to it (empty: nothing), and edges.

    An edge goes the way data flow: from what is needed to what needs it. ``group`` is the module
    that a node stands in.
    """

    nodes: Mapping[str, str]
    edges: Sequence[tuple[str, str]]
    groups: Mapping[str, str] = field(default_factory=dict)


def dot(drawing: Drawing) -> str:
    """Return the graph in Graphviz's language, modules as clusters."""
    lines = ["digraph mlform {", "  rankdir = LR;", '  node [shape = box, fontname = "sans"];']
    for group, names in _grouped(drawing).items():
        indent = "  "
        if group:
            lines.append(f"  subgraph {_quoted('cluster_' + group)} {{")
            lines.append(f"    label = {_quoted(group)};")
            indent = "    "
        lines += [f"{indent}{_quoted(n)}{_style(n, drawing.nodes[n])};" for n in names]
        if group:
            lines.append("  }")
    lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in drawing.edges]
    return "\n".join([*lines, "}", ""])


def _style(name: str, action: str) -> str:
    if not action:
        return ""
    label = _quoted(f"{name}\n{action}").replace("\n", "\\n")
    colour = _COLOURS.get(action)
    fill = f', style = filled, fillcolor = "{colour}"' if colour else ""
    return f" [label = {label}{fill}]"


def mermaid(drawing: Drawing) -> str:
    """Return the graph in Mermaid's language, as Markdown hosts draw it."""
    ids = {name: f"n{i}" for i, name in enumerate(drawing.nodes)}
    lines = ["flowchart LR"]
    for number, (group, names) in enumerate(_grouped(drawing).items()):
        indent = "  "
        if group:
            lines.append(f'  subgraph g{number}["{_escaped(group)}"]')
            indent = "    "
        for name in names:
            action = drawing.nodes[name]
            label = _escaped(name) + (f"<br>{action}" if action else "")
            lines.append(f'{indent}{ids[name]}["{label}"]')
        if group:
            lines.append("  end")
    lines += [f"  {ids[a]} --> {ids[b]}" for a, b in drawing.edges]
    return "\n".join([*lines, ""])


def as_data(drawing: Drawing) -> dict[str, Any]:
    """Return the graph as plain data."""
    nodes = [
        {"address": n, "action": a or None, "module": drawing.groups.get(n) or None}
        for n, a in drawing.nodes.items()
    ]
    return {"nodes": nodes, "edges": [{"from": a, "to": b} for a, b in drawing.edges]}


def _grouped(drawing: Drawing) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in drawing.nodes:
        found.setdefault(drawing.groups.get(name, ""), []).append(name)
    return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;")
