"""``templatefile`` and ``templatestring``: templates with variables of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.lang.bounds import OPEN_STRING
from mlform.lang.evaluator import Bound, Evaluator
from mlform.lang.functions.filesystem import read_text
from mlform.lang.marks import bare, mark, reveal
from mlform.lang.operations import OperationError, kind_of, text
from mlform.lang.references import references
from mlform.lang.registry import World, absent, special
from mlform.lang.unification import convertible
from mlform.syntax.expressions import ExpressionScanner
from mlform.syntax.problems import SyntaxProblem
from mlform.syntax.tree import Call, Expr, GetAttr, Index, Literal, Name, Source
from mlform.types import ANY, STRING
from mlform.values import UNKNOWN, Handle, Unknown, Value

_NAME: Final = re.compile(r"[^\W\d]\w*")
_FAILED: Final = "Error in function call"
_ARGUMENT: Final = "Invalid function argument"
_DEEPEST: Final = 20
_HIDDEN_ROOTS: Final = ("path", "plan")


@special("templatefile", least=2, most=2)
def templatefile(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Fill variables into the template in a file."""
    path, path_marked = reveal(ev.value(call.arguments[0], bound))
    variables, marked = reveal(ev.value(call.arguments[1], bound))
    secret = path_marked or marked or bare(variables)[1]
    if isinstance(path, Unknown):
        return mark(UNKNOWN, marked=secret)
    try:
        file = _string(path)
        if isinstance(variables, Unknown):
            return mark(UNKNOWN, marked=secret)
        content = read_text(World.of(ev.scope), file)
    except OperationError as error:
        detail = f"templatefile: {error}."
        found = ev.error(_ARGUMENT, detail, call.arguments[0], marked=path_marked)
        return mark(found, marked=secret)
    if file in ev.templates or len(ev.templates) >= _DEEPEST:
        detail = f'templatefile: "{file}" fills in itself, which would never end.'
        return mark(ev.error(_FAILED, detail, call, marked=path_marked), marked=secret)
    rendered = _render(ev, call, Source(file, content), variables, secret=secret)
    return mark(rendered, marked=secret)


def _is_reference(expr: Expr) -> bool:
    match expr:
        case Name():
            return True
        case GetAttr(target=source) | Index(target=source, key=Literal()):
            return _is_reference(source)
        case _:
            return False


@special("templatestring", least=2, most=2)
def templatestring(ev: Evaluator, call: Call, bound: Bound) -> Value:
    """Fill variables into a template that is a value."""
    if not _is_reference(call.arguments[0]):
        detail = (
            "templatestring: name a value that holds a template, such as local.greeting; a "
            "template written right here needs no function, and one that is worked out needs a "
            "name."
        )
        return ev.fault(_ARGUMENT, detail, call.arguments[0])
    template, template_marked = reveal(ev.value(call.arguments[0], bound))
    variables, marked = reveal(ev.value(call.arguments[1], bound))
    secret = template_marked or marked or bare(variables)[1]
    if isinstance(variables, Unknown) and variables.type == ANY:
        return mark(UNKNOWN, marked=secret)
    if isinstance(template, Unknown) or isinstance(variables, Unknown):
        return mark(OPEN_STRING, marked=secret)
    if not isinstance(template, str):
        detail = f"templatestring: the template is a string, not {kind_of(template)}."
        found = ev.error(_ARGUMENT, detail, call.arguments[0], marked=template_marked)
        return mark(found, marked=secret)
    source = Source("(the template)", template)
    rendered = _render(ev, call, source, variables, secret=secret)
    return mark(rendered, marked=secret)


def _string(value: Value) -> str:
    if absent(value):
        raise OperationError("a string is required, not null")
    return text(value)


def _render(ev: Evaluator, call: Call, source: Source, variables: Any, *, secret: bool) -> Value:
    if not isinstance(variables, Mapping):
        detail = f"{call.name}: the variables are a map or an object, not {kind_of(variables)}."
        return ev.error(_ARGUMENT, detail, call.arguments[1], marked=secret)
    try:
        template = ExpressionScanner(source).whole_template()
    except SyntaxProblem as problem:
        at = source.span(problem.start, problem.end)
        detail = f"{call.name}: the template is wrong at {at}: {problem.detail}"
        return ev.error(_FAILED, detail, call, marked=secret)
    wrong = _wrong_names(template, variables, source)
    if wrong:
        return ev.error(_ARGUMENT, f"{call.name}: {wrong}.", call.arguments[1], marked=secret)
    hidden = {root: ev.scope[root] for root in _HIDDEN_ROOTS if root in ev.scope}
    problems = Diagnostics()
    inner = ev.nested({**hidden, **variables}, source, problems)
    if call.name.endswith("templatefile"):
        inner.templates = (*ev.templates, source.file)
    with inner.hushed(marked=secret):
        value = inner.value(template, {})
    for inside in problems.errors:
        detail = f"{call.name}: {inside.summary} at {inside.subject}: {inside.detail}"
        ev.error(_FAILED, detail, call, marked=secret)
    return _as_text(ev, call, value, secret=secret)


def _wrong_names(template: Expr, variables: Mapping[str, Value], source: Source) -> str:
    wrong = next((n for n in variables if _NAME.fullmatch(n) is None), None)
    if wrong is not None:
        return f'"{wrong}" is no name that a template can use'
    for reference in references(template):
        if reference.root not in variables:
            at = source.span(reference.start, reference.end)
            hint = did_you_mean(reference.root, variables)
            end = "" if not hint else f".{hint.removesuffix('?')}"
            return f'the template uses "{reference.root}" at {at}, and it is not given{end}'
    return ""


def _as_text(ev: Evaluator, call: Call, value: Value, *, secret: bool) -> Value:
    """Return what a template of one interpolation gives as it is: it may be of any type."""
    plain, marked = bare(value)
    if isinstance(plain, Handle):
        return mark(plain.digest, marked=marked)
    if call.name.endswith("templatefile"):
        return value
    if isinstance(plain, Unknown) and convertible(plain.type, STRING):
        return mark(OPEN_STRING, marked=marked)
    try:
        return mark(_string(plain), marked=marked)
    except OperationError as error:
        detail = f"templatestring: of what the template gives, {error}."
        return mark(ev.error(_FAILED, detail, call, marked=secret or marked), marked=marked)
