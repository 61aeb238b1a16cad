from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlform.diagnostics import Diagnostics
from mlform.lang import ConversionError, Type, convert, evaluate, functions, references
from mlform.lang.conversion import type_of, unify
from mlform.lang.unification import is_open
from mlform.syntax.tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    ForObject,
    ForTuple,
    GetAttr,
    Index,
    Literal,
    Name,
    ObjectExpr,
    Source,
    Splat,
    SplatItem,
    Template,
    TemplateFor,
    TemplateIf,
    TupleExpr,
    Unary,
)
from mlform.types import Collection, ObjectType, Primitive, TupleType
from mlform.values import UNKNOWN, Handle, Sensitive, Value, is_sensitive

CANARY = "c4n4ry"
SOURCE = Source("p.hcl", "x" * 10)
NAMES = ["a", "b", "c"]
# These read the machine, which no generated path should.
PURE = sorted(set(functions()) - {"fileset", "pathexpand", "abspath"})
SCALARS = [None, True, False, 0, 1, -1, 7, Decimal("0.5"), "", "a", "1", "true", "%s", "/a/", "."]

values = st.recursive(
    st.sampled_from([*SCALARS, UNKNOWN, Handle("dataset.d", None, "sha256:00", {"a": 1})]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    ),
    max_leaves=6,
)
scopes = st.fixed_dictionaries(dict.fromkeys(NAMES, values))


def _larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    some = st.lists(inner, max_size=3).map(tuple)
    maybe = st.one_of(st.none(), inner)
    names = st.sampled_from(NAMES)
    keys = st.one_of(st.none(), names)
    operators = st.sampled_from(["+", "-", "*", "/", "%", "<", ">=", "==", "!=", "&&", "||"])
    each = st.one_of(st.just(SplatItem(0, 1)), st.just(GetAttr(0, 1, SplatItem(0, 1), "a")))
    pairs = st.lists(st.tuples(inner, inner), max_size=3).map(tuple)
    calls = st.builds(Call, st.just(0), st.just(1), st.sampled_from(PURE), some, st.booleans())
    return st.one_of(
        calls,
        calls,
        st.builds(Binary, st.just(0), st.just(1), operators, inner, inner),
        st.builds(Unary, st.just(0), st.just(1), st.sampled_from("-!"), inner),
        st.builds(Conditional, st.just(0), st.just(1), inner, inner, inner),
        st.builds(Index, st.just(0), st.just(1), inner, inner),
        st.builds(GetAttr, st.just(0), st.just(1), inner, names),
        st.builds(Splat, st.just(0), st.just(1), inner, each, st.booleans()),
        st.builds(TupleExpr, st.just(0), st.just(1), some),
        st.builds(ObjectExpr, st.just(0), st.just(1), pairs),
        st.builds(Template, st.just(0), st.just(1), some),
        st.builds(TemplateIf, st.just(0), st.just(1), inner, some, some),
        st.builds(TemplateFor, st.just(0), st.just(1), keys, names, inner, some),
        st.builds(ForTuple, st.just(0), st.just(1), keys, names, inner, inner, maybe),
        st.builds(
            ForObject, st.just(0), st.just(1), keys, names, inner, inner, inner,
            st.booleans(), maybe,
        ),
    )  # fmt: skip


leaves = st.one_of(
    st.builds(Name, st.just(0), st.just(1), st.sampled_from([*NAMES, "nothing"])),
    st.builds(Literal, st.just(0), st.just(1), st.sampled_from(SCALARS)),
)
expressions = st.recursive(leaves, _larger, max_leaves=8)
slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)


@slow
@given(expressions, scopes)
def test_any_expression_has_a_value_or_an_error(expr: Expr, scope: dict[str, Value]) -> None:
    diagnostics = Diagnostics()
    found = evaluate(expr, scope, diagnostics, SOURCE)
    assert diagnostics.errors or found is not NotImplemented
    assert all(d.subject is not None and d.detail for d in diagnostics)


@slow
@given(expressions, scopes)
def test_evaluation_is_a_function(expr: Expr, scope: dict[str, Value]) -> None:
    first, second = Diagnostics(), Diagnostics()
    assert evaluate(expr, scope, first, SOURCE) == evaluate(expr, scope, second, SOURCE)
    assert list(first) == list(second)


def _with_canary(value: Value) -> Value:
    match value:
        case str():
            return Sensitive(CANARY + value)
        case dict():
            return {k: _with_canary(v) for k, v in value.items()}
        case list():
            return [_with_canary(v) for v in value]
        case _:
            return value


@slow
@given(expressions, scopes, st.booleans())
def test_what_is_sensitive_shows_nowhere(expr: Expr, scope: dict[str, Value], whole: bool) -> None:
    secret = {k: _with_canary(v) for k, v in scope.items()}
    if whole:
        secret["a"] = Sensitive({CANARY: CANARY, "b": [CANARY]})
    if "nonsensitive" in repr(expr):
        return
    diagnostics = Diagnostics()
    found = evaluate(expr, secret, diagnostics, SOURCE)
    assert CANARY not in "".join(d.detail + d.summary for d in diagnostics)
    assert CANARY not in repr(found)


@slow
@given(expressions, scopes)
def test_a_mark_on_an_operand_is_a_mark_on_the_result(expr: Expr, scope: dict[str, Value]) -> None:
    both = Binary(0, 1, "==", expr, Name(0, 1, "secret"))
    found = evaluate(both, {**scope, "secret": Sensitive(1)}, Diagnostics(), SOURCE)
    assert is_sensitive(found)


@slow
@given(expressions)
def test_references_are_free_names(expr: Expr) -> None:
    for reference in references(expr):
        assert reference.root in {*NAMES, "nothing"}
        assert (reference.start, reference.end) == (0, 1)


@given(values)
def test_a_value_converts_to_its_own_type(value: Value) -> None:
    assert convert(value, type_of(value)) == value


types = st.recursive(
    st.sampled_from([Primitive(n) for n in ("string", "number", "bool", "any")]),
    lambda inner: st.one_of(
        st.builds(Collection, st.sampled_from(["list", "set", "map"]), inner),
        st.builds(
            ObjectType,
            st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
            st.dictionaries(st.sampled_from(NAMES), st.none(), max_size=2),
        ),
        st.lists(inner, max_size=2).map(lambda e: TupleType(tuple(e))),
    ),
    max_leaves=4,
)


@given(values, types)
def test_converting_again_changes_nothing(value: Value, type_: Type) -> None:
    try:
        once = convert(value, type_)
    except ConversionError:
        return
    assert convert(once, type_) == once


@given(st.lists(values, max_size=4))
def test_what_unifies_converts(given_: list[Value]) -> None:
    found = unify(map(type_of, given_))
    assert (found is None) == (unify(map(type_of, reversed(given_))) is None)
    # What is open may still turn out not to fit: a tuple, where another is null.
    for value in given_ if found is not None and not is_open(found) else []:
        assert type_of(convert(value, found)) == found


@pytest.mark.parametrize("name", functions())
def test_every_function_stands_any_arguments(name: str) -> None:
    given_ = [*SCALARS, [], {}, ["a", 1], {"a": "b"}, [["a"]], UNKNOWN, Sensitive("x"), -(10**30)]
    if name == "fileset":
        given_ = [v for v in given_ if v != "."]
    for count in range(5):
        for shift in range(len(given_)):
            chosen = [given_[(shift + i * 5) % len(given_)] for i in range(count)]
            arguments = tuple(Name(0, 1, f"v{i}") for i in range(count))
            scope: dict[str, Value] = {f"v{i}": v for i, v in enumerate(chosen)}
            found = evaluate(Call(0, 1, name, arguments, False), scope, Diagnostics(), SOURCE)
            assert found is UNKNOWN or found is not NotImplemented
