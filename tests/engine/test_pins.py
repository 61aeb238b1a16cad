"""Versions of datasets: followed, pinned in the lock file, or fixed in the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mlform.address import Address
from mlform.commands.applying import apply
from mlform.commands.asking import why
from mlform.commands.looking import look
from mlform.commands.reapplying import update
from mlform.commands.session import Session
from mlform.config import Given
from mlform.diagnostics import DiagnosedError
from mlform.plan import Plan
from mlform.plan.why import Link
from mlform.reconcile import Moved
from mlform.refresh.pins import LOCK_FILE, Pin, lock_digest, read_pins, write_pins
from mlform.registry import Registry
from mlform.render.plan import plan as shown
from mlform.render.style import paint
from mlform.render.why import chain, chain_data

CORE = "mlform_core:Core"
SPEC = """
dataset "file" "d" {
  path    = "d.csv"
  version = VERSION
}
dataset "file" "free" {
  path = "d.csv"
}
"""
PINNED, FLOATING = '{ mode = "pin" }', '{ mode = "float" }'
D, E = Address("dataset", "d"), Address("dataset", "e", "x y")
TWO, THREE = "a,b\n1,x\n2,y\n", "a,b\n1,x\n2,y\n3,z\n"


def session(root: Path, version: str = PINNED, data: str = TWO) -> Session:
    (root / "d.csv").write_text(data)
    (root / "main.mlf.hcl").write_text(SPEC.replace("VERSION", version))
    return Session(root, Given((), {}), Registry())


def move(root: Path, *names: str, version: str = PINNED, data: str = TWO) -> list[Moved]:
    return update(session(root, version, data), names)


def plan(root: Path, version: str = PINNED, data: str = TWO) -> Plan:
    it = session(root, version, data)
    return it.plan(it.store.snapshot())


def refused(root: Path) -> tuple[str, str]:
    with pytest.raises(DiagnosedError) as caught:
        read_pins(root)
    first = caught.value.diagnostics.errors[0]
    return first.summary, first.detail


def test_the_lock_file_gives_back_what_was_written(tmp_path: Path) -> None:
    pins = {
        E: Pin("sha256:s", {"b": "2", 'with "quotes" ${x}': "3"}),
        D: Pin("sha256:s", {"a": "1"}, 1000),
    }
    write_pins(tmp_path, pins)
    assert read_pins(tmp_path) == pins
    text = (tmp_path / LOCK_FILE).read_text()
    assert text.startswith("# Which version")
    assert text.index("dataset.d") < text.index("dataset.e")
    write_pins(tmp_path, dict(reversed(pins.items())))
    assert (tmp_path / LOCK_FILE).read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == [LOCK_FILE], "nothing temporary stays"


def test_no_lock_file_is_no_pin(tmp_path: Path) -> None:
    assert read_pins(tmp_path) == {}


def test_the_digest_of_pins_is_of_their_versions() -> None:
    one, other = Pin("s", {"a": "1"}, 1), Pin("t", {"a": "1"}, 2)
    assert lock_digest({D: one}) == lock_digest({D: other})
    assert lock_digest({D: one}) != lock_digest({D: Pin("s", {"a": "2"})})
    assert lock_digest({D: one}) != lock_digest({E: one})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  version = ", "  vision  = "),
        ('"1"', '"2"'),
        ("  source  = ", "  sauce   = "),
        ('pin "dataset.d"', 'pin "dataset"'),
        ('pin "dataset.d"', "pin"),
    ],
)
def test_a_damaged_entry_is_named_with_the_way_out(tmp_path: Path, before: str, after: str) -> None:
    write_pins(tmp_path, {D: Pin("sha256:s", {"a": "1"}, 1)})
    path = tmp_path / LOCK_FILE
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    summary, detail = refused(tmp_path)
    assert summary == "Lock file is damaged"
    assert "mlform update" in detail


@pytest.mark.parametrize(
    "text",
    [
        'pin "dataset.d" {',
        'pin "dataset.d" {\n  version = "v"\n  source = "s"\n  parts = 3\n}\n',
        'pin "dataset.d" {\n  version = "v"\n  source = "s"\n  parts = nothing.here\n}\n',
        "value = 1\n",
        'pen "dataset.d" {}\n',
    ],
)
def test_a_lock_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_FILE).write_text(text)
    assert refused(tmp_path)


def test_a_lock_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"\xff\xfe")
    assert refused(tmp_path)


def test_what_an_apply_pins_while_update_looks_stays_pinned(tmp_path: Path) -> None:
    def looking(*given: Any, **more: Any) -> Any:
        write_pins(tmp_path, {E: Pin("sha256:source", {"x": "1"}, 3)})
        return look(*given, **more)

    with patch("mlform.commands.reapplying.look", looking):
        assert [m.dataset for m in move(tmp_path)] == [D]
    assert set(read_pins(tmp_path)) == {D, E}


def test_update_pins_what_lies_at_the_source_and_only_when_it_moved(tmp_path: Path) -> None:
    [first] = move(tmp_path)
    assert (first.dataset, first.before, first.new_rows) == (D, None, None)
    assert read_pins(tmp_path)[D].version == first.after
    assert move(tmp_path) == []

    [second] = move(tmp_path, "dataset.d", data=THREE)
    assert (second.before, second.new_rows) == (first.after, 1)
    assert list(read_pins(tmp_path)) == [D], "what floats has no pin"


def test_update_leaves_what_is_not_named_or_not_pinned(tmp_path: Path) -> None:
    assert move(tmp_path, "dataset.free") == []
    assert move(tmp_path, version=FLOATING) == []
    assert not (tmp_path / LOCK_FILE).exists()
    with pytest.raises(DiagnosedError, match=r"There is no dataset\.nowhere"):
        move(tmp_path, "dataset.nowhere")


def test_a_plan_uses_the_pinned_version_and_says_that_the_source_is_ahead(tmp_path: Path) -> None:
    move(tmp_path)
    pinned = plan(tmp_path)
    ahead = plan(tmp_path, data=THREE)
    [before, after] = [next(s for s in p.steps if s.address == D).key for p in (pinned, ahead)]
    assert before == after
    assert "dataset.d" in "".join(str(n.address) for n in ahead.notes)
    assert "d.csv changed at the source, +1 rows" in paint(shown(ahead), colour=False)
    assert pinned.lock == ahead.lock


def test_a_pin_of_another_source_does_not_count(tmp_path: Path) -> None:
    move(tmp_path)
    (tmp_path / "other.csv").write_text(THREE)
    it = session(tmp_path)
    (tmp_path / "main.mlf.hcl").write_text(
        SPEC.replace("VERSION", PINNED).replace('path    = "d.csv"', 'path    = "other.csv"')
    )
    made = it.plan(it.store.snapshot())
    assert not [n for n in made.notes if n.address == str(D)]


def test_a_fixed_version_must_lie_at_the_source(tmp_path: Path) -> None:
    [moved] = move(tmp_path)
    digest = moved.after.removeprefix("sha256:")[:12]
    fixed = f'{{ mode = "fixed", value = "{digest}" }}'
    assert {s.address for s in plan(tmp_path, fixed).changes} == {D, Address("dataset", "free")}
    with pytest.raises(DiagnosedError) as caught:
        plan(tmp_path, fixed, THREE)
    first = caught.value.diagnostics.errors[0]
    assert digest in first.detail
    assert first.subject is not None or first.address == "dataset.d"


def test_what_was_recorded_is_pinned_where_a_run_was_killed_before_the_lock_file(
    tmp_path: Path,
) -> None:
    it = session(tmp_path)
    with patch("mlform.commands.applying.pin_new"):
        apply(it, lambda _: True, lambda _: None)
    assert not (tmp_path / LOCK_FILE).exists()
    assert [s.address.name for s in plan(tmp_path, data=THREE).changes] == ["free"]
    apply(session(tmp_path, data=THREE), lambda _: True, lambda _: None)
    assert read_pins(tmp_path)[D].rows == 2
    assert {m.dataset for m in move(tmp_path, data=THREE)} == {D}


WHO = "mlform.commands.reapplying.provenance"


def moved_by(who: str, root: Path, data: str) -> None:
    with patch(WHO, return_value={"by": who, "at": "2030-01-02T03:04:05+00:00"}):
        assert {m.dataset for m in move(root, data=data)} == {D}


def applied(root: Path, data: str) -> None:
    apply(session(root, data=data), lambda _: True, lambda _: None)


AMONG_OTHERS = """
dataset "file" "d" {
  path    = "d.csv"
  version = { mode = "pin" }
}
feature_view "python" "seen" {
  from      = dataset.d
  transform = "made.py:build"
}
training_job "tune" "best" {
  data    = feature_view.seen
  split   = null
  target  = "b"
  trainer = "sklearn"
  job     = { estimator = "sklearn.linear_model.LogisticRegression" }
  search  = { C = { values = [1, 2] } }
  sampler = "grid"
  metric  = "roc_auc"
  folds   = { count = 2 }
}
"""


def test_a_pin_moves_without_a_word_about_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text("def build(frame):\n    return frame\n")
    (tmp_path / "main.mlf.hcl").write_text(AMONG_OTHERS)

    def among(rows: int) -> Session:
        lines = [f"{n},{'xy'[n % 3 == 0]}" for n in range(rows)]
        (tmp_path / "d.csv").write_text("\n".join(["a,b", *lines, ""]))
        return Session(tmp_path, Given((), {}), Registry())

    apply(among(30), lambda _: True, lambda _: None)
    it = among(40)
    assert [(m.dataset, m.new_rows) for m in update(it, ())] == [(D, 10)]
    assert list(it.diagnostics) == []


def test_the_person_who_moved_a_pin_is_the_leaf(tmp_path: Path) -> None:
    def leaf(saved: Plan | None = None) -> Link:
        return why(session(tmp_path, data=THREE), "dataset.d", plan=saved)[-1]

    applied(tmp_path, TWO)
    assert leaf().person is None, "nobody moved what was pinned first"
    moved_by("ann@desk", tmp_path, THREE)
    assert leaf(plan(tmp_path, data=THREE)).person == ("ann@desk", "2030-01-02T03:04:05+00:00")
    applied(tmp_path, THREE)
    moved_by("bob@desk", tmp_path, TWO)
    found = leaf()
    assert found.person == ("ann@desk", "2030-01-02T03:04:05+00:00"), "who moved it for that run"
    said = "ann@desk moved the pin there by `mlform update`, 2030-01-02T03:04:05+00:00"
    assert said in paint(chain([found]), colour=False)
    told = chain_data([found])[0]
    assert told["person"] == {"by": "ann@desk", "at": "2030-01-02T03:04:05+00:00"}
    assert told["alarm"] is None


def test_who_moved_a_pin_makes_no_other_plan_and_is_kept(tmp_path: Path) -> None:
    pin = Pin("sha256:s", {"a": "1"}, 1, "ann@desk", "2030-01-02")
    write_pins(tmp_path, {D: pin})
    (read,) = read_pins(tmp_path).values()
    assert (read.by, read.at) == ("ann@desk", "2030-01-02")
    assert lock_digest({D: pin}) == lock_digest({D: Pin("sha256:s", {"a": "1"}, 1)})
    (tmp_path / LOCK_FILE).unlink()
    applied(tmp_path, TWO)
    moved_by("ann@desk", tmp_path, THREE)
    text = (tmp_path / LOCK_FILE).read_text()
    assert move(tmp_path, data=THREE) == []
    assert (tmp_path / LOCK_FILE).read_text() == text
