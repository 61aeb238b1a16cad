"""From a tree back to text that reads as the same tree: for expressions that no HCL file holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from mlform.syntax import tree
from mlform.syntax.tree import Expr


def unparse(expr: Expr) -> str:
    """Return an expression as HCL, with every operation in parentheses."""
    return _WRITERS[type(expr)](expr)


def _literal(expr: tree.Literal) -> str:
    value = expr.value
    if isinstance(value, str):
        return f'"{_quoted(value)}"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _quoted(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\b", "\\u0008")
    return escaped.replace("\\f", "\\u000c").replace("${", "$${").replace("%{", "%%{")


def _parts(parts: Sequence[Expr]) -> str:
    written = ""
    for part in parts:
        if isinstance(part, tree.Literal) and isinstance(part.value, str):
            written += _quoted(part.value)
        elif isinstance(part, tree.TemplateIf):
            written += f"%{{ if {unparse(part.condition)} }}{_parts(part.then)}"
            written += f"%{{ else }}{_parts(part.otherwise)}%{{ endif }}"
        elif isinstance(part, tree.TemplateFor):
            names = part.value if part.key is None else f"{part.key}, {part.value}"
            written += f"%{{ for {names} in {unparse(part.collection)} }}"
            written += f"{_parts(part.parts)}%{{ endfor }}"
        else:
            written += f"${{{unparse(part)}}}"
    return written


def _template(expr: tree.Template) -> str:
    # A text that is but one interpolation would be its value, not a text.
    alone = len(expr.parts) == 1 and not isinstance(expr.parts[0], tree.Literal)
    return f'"{_parts(expr.parts)}{"${" + chr(34) * 2 + "}" if alone else ""}"'


def _object(expr: tree.ObjectExpr) -> str:
    items = (f"({unparse(key)}) = {unparse(value)}" for key, value in expr.items)
    return "{" + ", ".join(items) + "}"


def _for(expr: tree.ForTuple | tree.ForObject) -> str:
    names = expr.value if expr.key is None else f"{expr.key}, {expr.value}"
    head = f"for {names} in {unparse(expr.collection)} : "
    tail = "" if expr.condition is None else f" if {unparse(expr.condition)}"
    if isinstance(expr, tree.ForTuple):
        return f"[{head}{unparse(expr.result)}{tail}]"
    group = "..." if expr.group else ""
    result = f"{unparse(expr.key_result)} => {unparse(expr.result)}"
    return "{" + head + result + group + tail + "}"


def _splat(expr: tree.Splat) -> str:
    mark = "[*]" if expr.full else ".*"
    return unparse(expr.source) + mark + unparse(expr.each)


def _call(expr: tree.Call) -> str:
    arguments = ", ".join(map(unparse, expr.arguments))
    return f"{expr.name}({arguments}{'...' if expr.expand else ''})"


_WRITERS: dict[type, Callable[[Any], str]] = {
    tree.Literal: _literal,
    tree.Template: _template,
    tree.TemplateWrap: lambda e: f'"${{{unparse(e.inner)}}}"',
    tree.TemplateIf: lambda e: f'"{_parts([e])}"',
    tree.TemplateFor: lambda e: f'"{_parts([e])}"',
    tree.Name: lambda e: e.name,
    tree.GetAttr: lambda e: f"{unparse(e.target)}.{e.name}",
    tree.Index: lambda e: f"{unparse(e.target)}[{unparse(e.key)}]",
    tree.Splat: _splat,
    tree.SplatItem: lambda _: "",
    tree.TupleExpr: lambda e: "[" + ", ".join(map(unparse, e.items)) + "]",
    tree.ObjectExpr: _object,
    tree.ForTuple: _for,
    tree.ForObject: _for,
    tree.Call: _call,
    tree.Unary: lambda e: f"({e.op}{unparse(e.operand)})",
    tree.Binary: lambda e: f"({unparse(e.left)} {e.op} {unparse(e.right)})",
    tree.Conditional: lambda e: (
        f"({unparse(e.condition)} ? {unparse(e.then)} : {unparse(e.otherwise)})"
    ),
    tree.Parens: lambda e: f"({unparse(e.inner)})",
}
