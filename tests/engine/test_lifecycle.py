"""Life and death of things out there: orders, replacements, failures at every call.

What is expected was seen in Terraform with an equal provider, but where `docs/concepts.md` says
that a plan differs from Terraform's.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.lab import OUTSIDE, Thing, ThingArguments, World

from mlform.commands.options import PlanOptions
from mlform.commands.revising import replace_provider
from mlform.plan import OPEN
from mlform.plan.codec import dump
from mlform.values import concealed

FIRST = "create_before_destroy = true"


@pytest.fixture
def lab(tmp_path: Path) -> World:
    return World.at(tmp_path / "spec")


def thing(name: str, life: str = "", **arguments: str) -> str:
    lines = "".join(f"  {n} = {v}\n" for n, v in arguments.items())
    life = f"  lifecycle {{\n    {life}\n  }}\n" if life else ""
    return f'dataset "thing" "{name}" {{\n{lines}{life}}}\n'


def pair(a: str = "1", life_a: str = "", life_b: str = "", by: str = "key") -> str:
    """Write two things: ``b`` names ``a`` in ``by``; another key of ``a`` is another ``a``."""
    return thing("a", life_a, key=f'"{a}"') + thing("b", life_b, **{by: "dataset.a.id"})


REPLACED = [
    # life of a, of b, what b names a in, calls when a gets another key
    ("", "", "key", "delete b-1, delete a-1, create a, create b"),
    ("", FIRST, "key", "create a, create b, delete b-1, delete a-1"),
    (FIRST, "", "key", "delete b-1, create a, create b, delete a-1"),
    (FIRST, FIRST, "key", "create a, create b, delete b-1, delete a-1"),
    ("", "", "value", "delete a-1, create a, update b"),
    (FIRST, "", "value", "create a, update b, delete a-1"),
    ("", FIRST, "value", "create a, update b, delete a-1"),
]


@pytest.mark.parametrize(("life_a", "life_b", "by", "calls"), REPLACED)
def test_replacements_go_in_terraforms_order(
    lab: World, life_a: str, life_b: str, by: str, calls: str
) -> None:
    lab.go(pair("1", life_a, life_b, by))
    assert lab.go(pair("2", life_a, life_b, by)) == calls.split(", ")
    assert lab.actions(pair("2", life_a, life_b, by)) == {}
    assert sorted(OUTSIDE.things) == sorted(["a-2", "b-2" if by == "key" else "b-1"])


@pytest.mark.parametrize(
    ("after", "calls"),
    [
        ("", "delete b-1, delete a-1"),
        (thing("a", value='"new"'), "delete b-1, update a"),
        (thing("a", key='"2"'), "delete b-1, delete a-1, create a"),
        (thing("a", FIRST, key='"2"'), "delete b-1, create a, delete a-1"),
        # What goes on using something lets go of it before it goes: in Terraform after.
        (thing("b", value='"x"'), "update b, delete a-1"),
        (thing("c") + thing("b", value="dataset.c.id"), "create c, update b, delete a-1"),
        # Nothing says which of the last two is first.
        (
            thing("b", key='"x"'),
            "delete b-1, create b, delete a-1 | delete b-1, delete a-1, create b",
        ),
    ],
)
def test_what_goes_goes_in_order(lab: World, after: str, calls: str) -> None:
    lab.go(thing("a") + thing("b", value="dataset.a.id"))
    made = ", ".join(lab.go(after))
    assert made in calls.split(" | ")
    assert lab.actions(after) == {}


def test_an_id_is_known_while_what_it_names_is_updated(lab: World) -> None:
    def spec(value: str) -> str:
        return thing("a", value=value) + thing("b", value="dataset.a.id")

    lab.go(spec('"1"'))
    assert lab.actions(spec('"2"')) == {"dataset.a": "update"}
    step = lab.plan(spec('"2"')).steps[0]
    assert step.expected["id"] == "a-1"
    assert step.expected["value"] == "2"
    assert step.expected["echo"] == {"$unknown": ""}


FAILURES = [
    # spec before, spec after, what fails, calls, what exists afterwards, the calls that mend it
    ("", thing("a"), "create a", "create a", "", "create a"),
    ("", thing("a"), "finish a", "create a", "a-1", "delete a-1, create a"),
    (thing("a"), thing("a", value='"2"'), "update a", "update a", "a-1", "update a"),
    (thing("a"), "", "delete a-1", "delete a-1", "a-1", "delete a-1"),
    (thing("a"), thing("a", key='"2"'), "delete a-1", "delete a-1", "a-1", "delete a-1, create a"),
    (thing("a"), thing("a", key='"2"'), "create a", "delete a-1, create a", "", "create a"),
    (
        thing("a"),
        thing("a", key='"2"'),
        "finish a",
        "delete a-1, create a",
        "a-2",
        "delete a-2, create a",
    ),
    (
        thing("a", FIRST),
        thing("a", FIRST, key='"2"'),
        "create a",
        "create a",
        "a-1",
        "create a, delete a-1",
    ),
    (
        thing("a", FIRST),
        thing("a", FIRST, key='"2"'),
        "delete a-1",
        "create a, delete a-1",
        "a-1, a-2",
        "delete a-1",
    ),
    (
        pair("1", FIRST, by="value"),
        pair("2", FIRST, by="value"),
        "update b",
        "create a, update b",
        "a-1, a-2, b-1",
        "update b, delete a-1",
    ),
    (
        pair("1"),
        pair("2"),
        "create a",
        "delete b-1, delete a-1, create a",
        "",
        "create a, create b",
    ),
    (
        pair("1"),
        pair("2"),
        "delete b-1",
        "delete b-1",
        "a-1, b-1",
        "delete b-1, delete a-1, create a, create b",
    ),
]


@pytest.mark.parametrize(("before", "after", "failing", "calls", "left", "mended"), FAILURES)
def test_nothing_that_exists_is_forgotten(
    lab: World, before: str, after: str, failing: str, calls: str, left: str, mended: str
) -> None:
    lab.go(before)
    OUTSIDE.failing = {failing}
    assert lab.go(after) == calls.split(", ")
    assert lab.outcome is not None
    assert not lab.outcome.complete
    assert ", ".join(sorted(OUTSIDE.things)) == left
    known = [d for r in lab.records().values() for d in (r, *r.deposed)]
    assert ", ".join(sorted(r.attributes["id"] for r in known)) == left

    OUTSIDE.failing = set()
    assert lab.go(after) == mended.split(", ")
    assert lab.actions(after) == {}


def test_what_was_left_behind_goes_with_its_block(lab: World) -> None:
    lab.go(thing("a", FIRST))
    OUTSIDE.failing = {"delete a-1"}
    lab.go(thing("a", FIRST, key='"2"'))
    steps = lab.plan("").steps
    assert [(str(s.address), s.action.value, bool(s.deposed)) for s in steps] == [
        ("dataset.a", "destroy", False),
        ("dataset.a", "destroy", True),
    ]
    OUTSIDE.failing = set()
    assert sorted(lab.go("")) == ["delete a-1", "delete a-2"]
    assert lab.records() == {}


@pytest.mark.parametrize("many", [1, 2])
@pytest.mark.parametrize("failing", ["", "delete a-1", "finish a"])
@pytest.mark.parametrize("life", ["", FIRST])
def test_what_was_left_behind_goes_where_its_place_is_taken_once_more(
    lab: World, many: int, failing: str, life: str
) -> None:
    user = thing("b", value="dataset.a.id")
    lab.go(thing("a", FIRST) + user)
    OUTSIDE.failing = {"delete a-1", "delete a-2"}
    for number in range(many):
        lab.go(thing("a", FIRST, key=f'"{number}"') + user)
    after = thing("a", life, key='"again"') + user
    for failing_now in ({failing}, set[str]()):
        OUTSIDE.failing = failing_now
        lab.go(after)
        known = [d for r in lab.records().values() for d in (r, *r.deposed)]
        assert sorted(r.attributes["id"] for r in known) == sorted(OUTSIDE.things)
        assert "dataset.a" in lab.records()
    assert lab.actions(after) == {}
    assert len(OUTSIDE.things) == 2


@pytest.mark.parametrize(
    ("after", "calls"),
    [
        (thing("b", FIRST, key='"2"'), "delete b-1, delete a-1"),
        (thing("b", FIRST, key='"2"') + thing("a", key='"9"'), "delete b-1, delete a-1, create a"),
        ("", "delete b-2, delete b-1, delete a-1 | delete b-1, delete b-2, delete a-1"),
    ],
)
def test_what_was_left_behind_goes_before_what_it_was_made_from(
    lab: World, after: str, calls: str
) -> None:
    lab.go(thing("a") + thing("b", FIRST, value="dataset.a.id"))
    OUTSIDE.failing = {"delete b-1"}
    lab.go(thing("a") + thing("b", FIRST, key='"2"'))
    assert lab.go(thing("b", FIRST, key='"2"')) == ["delete b-1"]
    OUTSIDE.failing = set()
    assert ", ".join(lab.go(after)) in calls.split(" | ")
    assert lab.actions(after) == {}


def test_what_came_to_use_what_used_it_goes_all_the_same(lab: World) -> None:
    lab.go(thing("a") + thing("b", FIRST, value="dataset.a.id"))
    OUTSIDE.failing = {"delete b-1"}
    lab.go(thing("a") + thing("b", FIRST, key='"2"'))
    calls = lab.go(thing("a", value="dataset.b.id") + thing("b", FIRST, key='"2"'))
    assert sorted(calls) == ["delete b-1", "update a"]
    OUTSIDE.failing = set()
    assert lab.go("")[0] == "delete a-1"
    assert (OUTSIDE.things, lab.records()) == ({}, {})


@pytest.mark.parametrize("after", [thing("a", "prevent_destroy = true", key='"2"'), "", thing("b")])
def test_what_is_protected_is_neither_replaced_nor_removed(lab: World, after: str) -> None:
    lab.go(thing("a", "prevent_destroy = true"))
    assert lab.go(after) == ["Protected from destruction"]
    assert sorted(OUTSIDE.things) == ["a-1"]


def test_what_a_block_protects_is_not_destroyed_though_nothing_recorded_it_yet(lab: World) -> None:
    lab.go(thing("a"))
    guarded = thing("a", "prevent_destroy = true")
    assert lab.go(guarded, options=PlanOptions(destroy=True)) == ["Protected from destruction"]
    assert sorted(OUTSIDE.things) == ["a-1"]


def test_protection_is_taken_back_by_an_apply(lab: World) -> None:
    lab.go(thing("a", "prevent_destroy = true"))
    lab.go(thing("a", "prevent_destroy = false"))
    assert lab.go("") == ["delete a-1"]


def test_removed_without_destroying_leaves_even_what_is_protected(lab: World) -> None:
    lab.go(thing("a", "prevent_destroy = true"))
    gone = "removed {\n  from = dataset.a\n  lifecycle {\n    destroy = false\n  }\n}\n"
    assert lab.actions(gone) == {"dataset.a": "forget"}
    assert lab.go(gone) == []
    assert (sorted(OUTSIDE.things), lab.records()) == (["a-1"], {})


def test_what_was_left_behind_is_given_to_another_provider_too(lab: World) -> None:
    lab.go(thing("a", FIRST))
    OUTSIDE.failing = {"delete a-1"}
    lab.go(thing("a", FIRST, key='"2"'))
    replace_provider(lab.session(""), "lab", "lab.second")
    record = lab.records()["dataset.a"]
    givers = [r.receipt["provider"] for r in (record, *record.deposed)]
    assert givers == ["lab.second", "lab.second"]


def test_removed_without_destroying_leaves_what_was_left_behind_too(lab: World) -> None:
    lab.go(thing("a", FIRST))
    OUTSIDE.failing = {"delete a-1"}
    lab.go(thing("a", FIRST, key='"2"'))
    OUTSIDE.failing = set()
    gone = "removed {\n  from = dataset.a\n  lifecycle {\n    destroy = false\n  }\n}\n"
    steps = lab.plan(gone).steps
    assert [(s.action.value, bool(s.deposed)) for s in steps] == [
        ("forget", False),
        ("forget", True),
    ]
    assert lab.go(gone) == []
    assert (sorted(OUTSIDE.things), lab.records()) == (["a-1", "a-2"], {})


def test_destroying_by_name_takes_along_what_needs_it(lab: World) -> None:
    spec = pair() + thing("c")
    lab.go(spec)
    options = PlanOptions(targets=("dataset.a",), destroy=True)
    assert lab.go(spec, options=options) == ["delete b-1", "delete a-1"]
    assert list(lab.records()) == ["dataset.c"]


def test_what_is_left_out_keeps_what_it_was_made_from(lab: World) -> None:
    lab.go(thing("a") + thing("c") + thing("b", value="dataset.c.id"))
    after = thing("a") + thing("b", value="dataset.a.id")
    assert lab.go(after, options=PlanOptions(exclude=("dataset.a",))) == []
    assert lab.go(after) == ["update b", "delete c-1"]


def many(value: str, key: str) -> str:
    """Write a thing, and as many as are known once that is made."""
    first = thing("first", key=key, value='"1"')
    return first + thing("many", count="length(dataset.first.echo) - 5", value=value)


@pytest.mark.parametrize(
    ("before", "after", "first", "then"),
    [
        (thing("c"), "", "", "update many[0], delete c-1"),
        (
            thing("c", FIRST),
            thing("c", FIRST, key='"2"'),
            "create c",
            "update many[0], delete c-1",
        ),
    ],
)
def test_what_something_deferred_uses_goes_once_that_is_planned(
    lab: World, before: str, after: str, first: str, then: str
) -> None:
    lab.go(thing("first", key='"1"', value='"1"') + before)
    lab.go(many("dataset.c.id", '"1"') + before)
    now = many("dataset.c.id" if after else '"x"', '"2"') + after
    calls = lab.go(now)
    assert [c for c in calls if "first" not in c] == [c for c in [first] if c]
    assert lab.go(now) == then.split(", ")
    assert lab.actions(now) == {}


def test_what_is_gone_is_made_anew_and_its_ids_too(lab: World) -> None:
    spec = thing("a") + thing("b", value="dataset.a.id")
    lab.go(spec)
    del OUTSIDE.things["a-1"]
    assert lab.actions(spec) == {"dataset.a": "create", "dataset.b": "run?"}
    assert lab.go(spec) == ["create a", "update b"]


def test_instances_wait_for_their_own(lab: World) -> None:
    spec = """
dataset "thing" "a" {
  count = 3
}
dataset "thing" "b" {
  count = 3
  value = dataset.a[count.index].id
}
"""
    needs = {str(s.address): [str(n) for n in s.needs] for s in lab.plan(spec).steps}
    assert needs["dataset.b[1]"] == ["dataset.a[1]"]


# Field rules


def test_what_is_written_is_compared_with_what_is_there(lab: World) -> None:
    spec = thing("a", value='"1"')
    lab.go(spec)
    OUTSIDE.things["a-1"]["value"] = "by hand"
    (reason,) = lab.plan(spec).steps[0].reasons
    assert (reason.what, reason.before, reason.after) == ("operational", "by hand", "1")
    assert lab.actions(thing("a", value='"by hand"')) == {}
    assert lab.actions(thing("a", "ignore_changes = [value]", value='"1"')) == {}
    OUTSIDE.things["a-1"]["key"] = "another"
    assert lab.actions(spec) == {"dataset.a": "replace"}


def test_what_changes_by_itself_is_taken_over_and_seen(lab: World) -> None:
    spec = thing("a") + thing("b", value="dataset.a.status")
    lab.go(spec)
    OUTSIDE.things["a-1"]["status"] = "busy"
    assert lab.actions(thing("a")) == {"dataset.b": "destroy"}
    assert lab.go(spec) == ["update b"]
    assert lab.records()["dataset.a"].attributes["status"] == "busy"
    assert lab.actions(spec) == {}


def test_lists_without_order_are_the_same_in_any(lab: World) -> None:
    lab.go(thing("a", labels='["x", "y"]'))
    assert lab.actions(thing("a", labels='["y", "x"]')) == {}
    assert lab.actions(thing("a", labels='["y", "x", "x"]')) == {"dataset.a": "update"}


def test_what_the_provider_chose_stays(lab: World) -> None:
    lab.go(thing("a"))
    assert lab.records()["dataset.a"].arguments["size"] == "auto"
    assert lab.actions(thing("a")) == {}
    assert lab.actions(thing("a", size='"auto"')) == {}
    assert lab.go(thing("a", size='"big"')) == ["update a"]
    assert lab.actions(thing("a")) == {}
    assert lab.go(thing("a", value='"1"')) == ["update a"]
    assert OUTSIDE.things["a-1"]["size"] == "big"


def test_what_is_write_only_is_sent_and_never_kept(lab: World) -> None:
    head = 'variable "token" {\n  sensitive = true\n}\n'
    spec = head + thing("a", token="var.token", token_version="1")
    lab.go(spec, token="first-secret")
    assert OUTSIDE.things["a-1"]["echo"] == "echo None first-secret"
    record = lab.records()["dataset.a"]
    assert "token" not in record.arguments
    assert lab.go(spec, token="other-secret") == []
    again = spec.replace("token_version = 1", "token_version = 2")
    assert lab.go(again, token="other-secret") == ["update a"]
    assert OUTSIDE.things["a-1"]["echo"] == "echo None other-secret"


def test_a_prediction_that_does_not_come_true_is_told(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.engine.lab.Thing.predict", lambda *_: {"echo": "something else"})
    lab.go(thing("a"))
    assert lab.outcome is not None
    (failure,) = lab.outcome.failures
    assert "predicted echo" in failure.detail
    assert lab.records()["dataset.a"].tainted


SECRET = 'variable "secret" {\n  sensitive = true\n}\n'


def test_no_plan_holds_what_is_predicted_of_a_secret(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(_self: Thing, new: ThingArguments, _old: object) -> dict[str, str]:
        return {"value": str(new.value), "echo": f"echo {new.value} {new.token}".strip()}

    monkeypatch.setattr(Thing, "predict", predict)
    spec = SECRET + thing("a", value='"v"', token="var.secret") + thing("b", value="var.secret")
    plan = lab.plan(spec, secret="hush-hush")
    a, b = plan.steps
    assert (a.expected["value"], a.expected["echo"]) == ("v", OPEN)
    assert (b.expected["value"], b.expected["echo"]) == (OPEN, OPEN)
    assert "hush" not in dump(plan)
    assert lab.go(spec, secret="hush-hush") == ["create a", "create b"]
    assert lab.outcome is not None
    assert lab.outcome.complete
    assert lab.actions(spec, secret="hush-hush") == {}


def test_a_sensitive_argument_is_compared_with_what_is_there(lab: World) -> None:
    spec = SECRET + thing("a", value="var.secret")
    lab.go(spec, secret="hush-hush")
    OUTSIDE.things["a-1"]["status"] = "busy"
    assert lab.actions(spec, secret="hush-hush") == {}
    OUTSIDE.things["a-1"]["value"] = "by hand"
    plan = lab.plan(spec, secret="hush-hush")
    assert "hush" not in str(plan.drift)
    (reason,) = plan.steps[0].reasons
    assert concealed(reason.before)
    assert concealed(reason.after)
    assert lab.go(spec, secret="hush-hush") == ["update a"]
    assert lab.actions(spec, secret="hush-hush") == {}


def test_a_trigger_leaves_known_what_a_new_thing_will_be(
    lab: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Thing, "predict", lambda _self, new, _old: {"echo": f"echo {new.value}"})

    def spec(value: str) -> str:
        trigger = "replace_triggered_by = [dataset.a]"
        return thing("a", value=value) + thing("b", trigger, value='"1"')

    assert lab.plan(spec('"1"')).steps[1].expected["echo"] == "echo 1"
    lab.go(spec('"1"'))
    later = lab.plan(spec('"2"')).steps[1]
    assert (later.action.value, later.expected["echo"]) == ("run?", OPEN)
    assert lab.go(spec('"2"')) == ["update a", "delete b-1", "create b"]


def test_what_cannot_be_looked_at_cannot_be_planned(lab: World) -> None:
    lab.go(thing("a"))
    OUTSIDE.failing = {"read a"}
    assert lab.go(thing("a", value='"1"')) == ["Told to fail"]
    assert lab.go(thing("a", value='"1"'), options=PlanOptions(refresh=False)) == ["update a"]
