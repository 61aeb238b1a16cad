"""Syntax trees without what does not change the result: comments, docstrings, annotations.

Kept are the annotations of class bodies (dataclasses and pydantic models are made of them) and of
decorated functions (a decorator may read them).
"""

from __future__ import annotations

import ast
from typing import Final, TypeAlias

_BODIES: Final = ("body", "orelse", "finalbody")
_LEFT_OUT: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_FOR_ANNOTATIONS: Final = frozenset(
    {"__future__", "collections.abc", "typing", "typing_extensions"}
)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def clean(tree: ast.Module) -> ast.Module:
    """Remove from ``tree``, in place, all that is not hashed; return it."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and not node.decorator_list:
            _bare(node)
        for name in _BODIES:
            body = getattr(node, name, None)
            if isinstance(body, list):
                kept = _statements(body, in_class=isinstance(node, ast.ClassDef))
                body[:] = kept or ([ast.Pass()] if name == "body" else [])
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    tree.body[:] = [s for s in tree.body if not _only_for_annotations(s, used)]
    return tree


def _bare(function: Function) -> None:
    function.returns = None
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in (*every, arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None


def _statements(body: list[ast.stmt], *, in_class: bool) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                kept += _statements(statement.orelse, in_class=in_class)
            case ast.AnnAssign(value=None) if not in_class:
                continue
            case ast.AnnAssign(target=target, value=ast.expr() as value) if not in_class:
                kept.append(ast.Assign(targets=[target], value=value, lineno=statement.lineno))
            case _:
                kept.append(statement)
    return kept


def _only_for_annotations(statement: ast.stmt, used: set[str]) -> bool:
    """Drop unused names from imports that serve annotations; tell whether nothing is left."""
    if not isinstance(statement, ast.ImportFrom) or statement.level:
        return False
    if statement.module not in _FOR_ANNOTATIONS:
        return False
    statement.names[:] = [
        n for n in statement.names if n.name == "*" or (n.asname or n.name) in used
    ]
    return not statement.names


def form(node: ast.AST) -> str:
    """Write a tree in one form, the same for every version of Python that reads it alike."""
    out: list[str] = []
    # An explicit stack: a long chain of operators nests deeper than Python calls may.
    stack: list[object] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, list):
            stack.append("]")
            stack.extend(_or_atom(element) for element in reversed(item))
            out.append("[")
        elif isinstance(item, ast.AST):
            stack.append(")")
            for name in reversed(item._fields):
                value = getattr(item, name, None)
                if name not in _LEFT_OUT and value is not None and value != []:
                    stack += [_or_atom(value), f"{name}="]
            out.append(f"{type(item).__name__}(")
    return "".join(out)


def _or_atom(value: object) -> object:
    if isinstance(value, ast.AST | list):
        return value
    # repr() refuses integers of more than 4,300 digits.
    return f"{hex(value) if type(value) is int else ascii(value)},"
