"""What an expression is worth in a scope. Unknown in, unknown out; marks are never lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlform.diagnostics import Diagnostics
from mlform.lang import calls, loops, operators, traversal
from mlform.lang.evaluator import Evaluator, Handler, Scope, TooMuchError
from mlform.lang.weight import check_weight
from mlform.syntax import tree
from mlform.syntax.tree import Expr, Source
from mlform.values import UNKNOWN, Value

_HANDLERS: Final[Mapping[type, Handler]] = {
    tree.Literal: operators.literal,
    tree.Template: operators.template,
    tree.TemplateWrap: operators.inner,
    tree.TemplateIf: operators.template_if,
    tree.TemplateFor: operators.template_for,
    tree.Name: traversal.name,
    tree.GetAttr: traversal.get_attr,
    tree.Index: traversal.index,
    tree.Splat: traversal.splat,
    tree.SplatItem: traversal.splat_item,
    tree.TupleExpr: loops.tuple_,
    tree.ObjectExpr: loops.object_,
    tree.ForTuple: loops.for_tuple,
    tree.ForObject: loops.for_object,
    tree.Call: calls.call,
    tree.Unary: operators.unary,
    tree.Binary: operators.binary,
    tree.Conditional: operators.conditional,
    tree.Parens: operators.inner,
}


def evaluate(expr: Expr, scope: Scope, diagnostics: Diagnostics, source: Source) -> Value:
    """Return the value of ``expr``.

    An error is noted once, at the part that is wrong, and stands as UNKNOWN from there on. What
    a sensitive value holds is never part of an error. What an error makes of a sensitive value
    stays sensitive.
    """
    try:
        value = Evaluator(_HANDLERS, scope, diagnostics, source).value(expr, {})
        check_weight(value)
    except TooMuchError as error:
        detail = (
            f"{error}. Keep data in data files, and let a spec name them; or make less at a time."
        )
        diagnostics.error("Expression too large", detail, at=source.span(expr[0], expr[1]))
        return UNKNOWN
    except RecursionError:
        detail = "The expression is nested too deeply. Give parts of it names, as local values."
        diagnostics.error("Expression too deep", detail, at=source.span(expr[0], expr[1]))
        return UNKNOWN
    return value
