"""What a key has given before: taken again, made again, shared, and held to what was promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.histories.model import Block, Round
from tests.engine.histories.provider import Odd
from tests.engine.histories.run import Done, Place, written

from mlform.apply import Failed, Finished
from mlform.plan import Action, dump, parse
from mlform.sdk import Difference

A = Block("training_job", "odd", "a", values={"value": "1"})
B = Block("training_job", "odd", "b", values={"value": "1"})
CALM = Round((A,))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "a")


def carry_out(place: Place, round_: Round) -> Done:
    written(place, round_)
    return place.apply(round_)


def ran(done: Done) -> dict[str, str]:
    events = (e for p in done.plans for e in p.finished if e.action is not Action.NO_OP)
    return {str(e.address): e.action.value for e in events}


def failure(done: Done) -> Failed:
    assert done.applied and done.applied.outcome
    (found,) = done.applied.outcome.failures
    return found


def digest(place: Place) -> str:
    (record,) = place.snapshot().records.values()
    return record.digest


def with_value(round_: Round, value: int) -> Round:
    (block,) = round_.blocks
    return replace(round_, blocks=(replace(block, values={"value": str(value)}),))


def test_what_is_made_again_on_demand_takes_the_place_of_the_old(place: Place) -> None:
    carry_out(place, CALM)
    first = digest(place)
    done = carry_out(place, replace(CALM, replace="a", noise=1))
    again = digest(place)

    assert ran(done) == {"training_job.a": "run"}
    assert again != first
    assert ran(carry_out(place, CALM)) == {}
    carry_out(place, with_value(CALM, 2))
    assert ran(carry_out(place, CALM)) == {"training_job.a": "reuse"}
    assert digest(place) == again


def promising(word: str) -> Round:
    return replace(CALM, blocks=(replace(A, life=(f'determinism = "{word}"',)),))


@pytest.mark.parametrize(
    ("word", "summary"), [("bitwise", "Not deterministic"), ("statistical", "Not reproducible")]
)
def test_a_promise_broken_is_an_error_that_names_both(
    place: Place, word: str, summary: str
) -> None:
    round_ = promising(word)
    carry_out(place, round_)
    first = digest(place)
    carry_out(place, replace(round_, replace="a"))
    assert digest(place) == first
    failed = failure(carry_out(place, replace(round_, replace="a", noise=1)))

    assert failed.summary == summary
    assert first.removeprefix("sha256:")[:12] in failed.detail
    assert "thing" in failed.detail
    assert digest(place) == first
    assert place.plan(round_).empty
    carry_out(place, replace(CALM, replace="a", noise=1))
    assert digest(place) != first


def test_what_the_type_tolerates_keeps_a_statistical_promise(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def compare(_self, _ctx, given, one, two):
        asked.append((one.noise, two.noise, given.value))
        return [Difference("thing", "as good as equal", within=True)]

    monkeypatch.setattr(Odd, "compare", compare)
    round_ = promising("statistical")
    carry_out(place, round_)
    first = digest(place)
    plan = place.plan(replace(round_, replace="a"))
    assert parse(dump(plan)) == plan
    assert [s.determinism for s in plan.steps] == ["statistical"]
    carry_out(place, replace(round_, replace="a", noise=1))
    assert digest(place) != first
    assert asked == [(0, 1, 1)]


def test_a_promise_is_one_of_three_words(place: Place) -> None:
    done = carry_out(place, promising("perfect"))
    assert "none, statistical, bitwise" in done.refused


def test_one_key_is_made_once_even_at_the_same_time(place: Place) -> None:
    done = carry_out(place, Round((A, B), parallelism=2, noise=1))
    assert sorted(ran(done).values()) == ["reuse", "run"]
    assert len({r.digest for r in place.snapshot().records.values()}) == 1


def test_what_is_judged_anew_elsewhere_is_not_measured_anew(place: Place) -> None:
    least = Block("dataset", "lines", "d", values={"path": '"d.txt"', "least": "1"})
    files = {"d.txt": ("1", "2")}
    carry_out(place, Round((least,), files=files))
    other = replace(least, name="e", values={**least.values, "least": "9"})
    done = carry_out(place, Round((least, other), files=files))
    assert ran(done) == {"dataset.e": "decide"}
    assert done.plans[0].calls == (("dataset.e", "apply"),)
    judged = {str(a): r.attributes["enough"] for a, r in place.snapshot().records.items()}
    assert judged == {"dataset.d": True, "dataset.e": False}


def test_artifacts_that_are_not_there_are_no_result(place: Place) -> None:
    model = Block("model", "channel", "m", of="a")
    lost = replace(A, values={"value": "1", "lose": "true"})
    failed = failure(carry_out(place, Round((lost, model))))
    assert failed.summary == "Provider error"
    assert 'Provider "strange" returned for training_job.a' in failed.detail
    assert place.snapshot().records == {}


def test_an_update_may_not_change_the_result(place: Place) -> None:
    drifting = replace(A, values={"value": "1", "lax": "true"})
    carry_out(place, Round((drifting,)))
    first = digest(place)
    wider = replace(drifting, values={**drifting.values, "wide": "2"})
    failed = failure(carry_out(place, Round((wider,), noise=1)))
    assert failed.summary == "Provider error"
    assert "does not count in the key" in failed.detail
    assert digest(place) == first


SHARED = 'mlform {\n  store {\n    path = "../store"\n  }\n}\n'


def shared(place: Place, round_: Round) -> Done:
    written(place, round_)
    spec = place.root / "main.mlf.hcl"
    spec.write_text(SHARED + spec.read_text())
    return place.apply(round_)


CHAIN = Round(
    (
        Block("dataset", "lines", "d", values={"path": '"d.txt"'}),
        Block("feature_view", "sum", "f", values={"transform": '"steps.py:build"'}, of="d"),
        replace(A, of="f"),
    ),
    files={"d.txt": ("1", "2")},
)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Place, Place]:
    one = Place(tmp_path / "one")
    assert set(ran(shared(one, CHAIN)).values()) == {"run"}
    return one, Place(tmp_path / "two")


def warnings(done: Done) -> str:
    assert done.applied and done.applied.outcome
    return "\n".join(detail for _, detail, _ in done.applied.outcome.warnings)


def test_another_folder_takes_from_a_shared_store(two: tuple[Place, Place]) -> None:
    one, other = two
    done = shared(other, CHAIN)
    assert set(ran(done).values()) == {"reuse"}
    assert done.plans[0].calls == ()
    assert done.applied
    assert {s.action.value for s in done.applied.plan.steps} == {"reuse"}
    assert {a: (r.key, r.digest) for a, r in one.snapshot().records.items()} == {
        a: (r.key, r.digest) for a, r in other.snapshot().records.items()
    }
    assert all(r.receipt["made"]["run"].startswith("r-") for r in other.snapshot().records.values())


def objects(place: Place) -> list[Path]:
    return [p for p in (place.root.parent / "store" / "objects").rglob("*") if p.is_file()]


def altered(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"parity":1', b'"parity":0') + b" ")


@pytest.mark.parametrize("harm", [altered, lambda path: (path.chmod(0o600), path.unlink())])
@pytest.mark.parametrize("what", [b"sum ", b'"key":'], ids=["artifact", "manifest"])
def test_a_store_tampered_with_is_found_out(
    two: tuple[Place, Place], harm: Callable[[Path], object], what: bytes
) -> None:
    one, other = two
    for path in objects(one):
        if path.read_bytes().startswith(what) or what in path.read_bytes():
            harm(path)
    done = shared(other, CHAIN)
    assert ran(done)["feature_view.f"] == "run"
    results = {a: r.digest for a, r in other.snapshot().records.items()}
    assert results == {a: r.digest for a, r in one.snapshot().records.items()}
    assert "damaged" in warnings(done)


def test_a_pointer_to_the_result_of_another_key_is_found_out(two: tuple[Place, Place]) -> None:
    one, other = two
    actions = sorted(p for p in (one.root.parent / "store" / "actions").rglob("*") if p.is_file())
    texts = [p.read_text() for p in actions]
    for path, text in zip(actions, [*texts[1:], texts[0]], strict=True):
        path.write_text(text)
    done = shared(other, CHAIN)
    assert set(ran(done).values()) == {"run"}
    assert "damaged" in warnings(done)


def test_events_of_a_shared_result_say_reuse(two: tuple[Place, Place]) -> None:
    _, other = two
    done = shared(other, CHAIN)
    finished = [e for p in done.plans for e in p.events if isinstance(e, Finished)]
    assert {e.action for e in finished} == {Action.REUSE}
