"""The graph of a project, for DOT and Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlform.address import Address


def dot(needs: Mapping[Address, Iterable[Address]]) -> str:
    """Return the graph in Graphviz's language; an arrow points the way data flow."""
    lines = ["digraph mlform {", "  rankdir = LR;", '  node [shape = box, fontname = "sans"];']
    lines += [f'  "{_quoted(a)}";' for a in sorted(needs)]
    lines += [
        f'  "{_quoted(n)}" -> "{_quoted(a)}";' for a in sorted(needs) for n in sorted(needs[a])
    ]
    return "\n".join([*lines, "}", ""])


def mermaid(needs: Mapping[Address, Iterable[Address]]) -> str:
    """Return the graph in Mermaid's language, as Markdown hosts draw it."""
    names = {a: f"n{i}" for i, a in enumerate(sorted(needs))}
    lines = ["flowchart LR"]
    lines += [f'  {names[a]}["{_quoted(a).replace(chr(34), "#quot;")}"]' for a in sorted(needs)]
    lines += [f"  {names[n]} --> {names[a]}" for a in sorted(needs) for n in sorted(needs[a])]
    return "\n".join([*lines, ""])


def _quoted(address: Address) -> str:
    return str(address).replace("\\", "\\\\").replace('"', '\\"')
