"""Parts of a source: their digest says whether they are equal, and late ones are like any other."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engine.histories.check import check
from tests.engine.histories.draw import history
from tests.engine.histories.enrich import EXTRAS
from tests.engine.histories.model import Block, Round, write
from tests.engine.histories.run import Place

from mlform.address import Address
from mlform.parts import LateParts, Parts, content, in_key, same

NAMES = st.text(st.characters(exclude_categories=[]), max_size=4)
PARTS = st.dictionaries(NAMES, NAMES, max_size=4)
LINES = Round((Block("dataset", "lines", "d", values={"path": '"d.txt"'}),))


@given(PARTS, PARTS)
@example({"a\0b": "c"}, {"a": "c", "b": "c"})
@example({"a": "b\0c", "d": ""}, {"a": "b", "d": "c\0"})
@example({}, {"": ""})
@example({'["a"]': ""}, {"a": ""})
def test_equal_parts_have_equal_digests_and_others_have_others(one: Any, other: Any) -> None:
    assert (content(one) == content(other)) == (one == other)
    turned = Parts(reversed(one.items()))
    late = LateParts(content(one), lambda: one)
    assert content(turned) == content(one) == content(late)
    for now in (one, turned, late):
        assert same(now, other) == same(other, now) == (one == other)
    assert late == one and dict(late) == one and len(late) == len(one)


def test_a_key_has_few_parts_each_and_many_by_one_digest() -> None:
    few = {"a.csv": "sha256:1"}
    assert in_key(few) == few
    many = {f"{i}.csv": f"sha256:{i}" for i in range(2000)}
    assert [*in_key(many).values()] == [content(many)]
    assert in_key(many | {"7.csv": "sha256:8"}) != in_key(many)


def test_parts_that_are_compared_alone_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlform.state.codec._LONG", 0)
    place = Place(tmp_path)
    round_ = Round(LINES.blocks, files={"d.txt": ("1", "2")})
    write(round_, place.root)
    assert place.apply(round_).whole
    snapshot = place.snapshot()
    parts = snapshot.records[Address.parse("dataset.d")].parts
    assert isinstance(parts, LateParts)
    read: list[bool] = []
    monkeypatch.setattr(parts, "_read", lambda: read.append(True) or {})
    assert place.plan(round_, snapshot).empty
    assert not read
    moved = Round(LINES.blocks, files={"d.txt": ("1", "3")})
    write(moved, place.root)
    (step,) = place.plan(moved).changes
    assert [(r.what, r.subject) for r in step.reasons] == [("input", "1")]
    assert place.apply(moved).whole
    with sqlite3.connect(tmp_path / ".mlform" / "state.db") as connection:
        ((head,),) = connection.execute("select data from records").fetchall()
    assert json.loads(head.splitlines()[0])["parts"] == {}


@pytest.mark.parametrize("seed", range(210, 222))
def test_what_must_hold_holds_where_everything_is_long_and_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("mlform.state.codec._LONG", 0)
    monkeypatch.setattr("mlform.parts._MANY", 0)
    check(history(seed, most=7, extras=EXTRAS), tmp_path)
