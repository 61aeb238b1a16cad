"""A plan as a web page: whole, safe, laid out without overlaps, and it works in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.browser import Elements, browse, in_browser

from mlform.address import Address
from mlform.plan import Action, Deferred, Estimate, Note, Output, Plan, Reason, Step
from mlform.render.layout import HEIGHT, WIDTH, layout
from mlform.render.page import page

EVIL = '"><script>alert(1)</script>'


def step(name: str, action: Action, *needs: str, **more: Any) -> Step:
    addresses = tuple(Address("training_job", n) for n in needs)
    return Step(
        Address("training_job", name),
        "node",
        "toy",
        action,
        more.pop("arguments", {"value": 1}),
        more.pop("reasons", ()),
        addresses,
        addresses,
        **more,
    )


PLAN = Plan(
    "0f3c1d9e",
    7,
    "sha256:" + "1a" * 32,
    "sha256:" + "2b" * 32,
    "sha256:" + "3c" * 32,
    "2026-01-31T06:00:00Z",
    (
        step("quiet", Action.NO_OP),
        step(
            "a",
            Action.RUN,
            "quiet",
            arguments={"value": 2, "note": EVIL},
            recorded={"value": 1, "note": EVIL},
            reasons=(Reason("argument", "value", 1, 2, "main.mlf.hcl:3:11"),),
            at={"value": "main.mlf.hcl:3:11"},
            estimate=Estimate(12.0, 19.0, 5),
        ),
        step(
            "b",
            Action.MAYBE,
            "a",
            arguments={"uses": Deferred("[training_job.a.parity]")},
            recorded={"uses": [1]},
            reasons=(Reason("upstream", "training_job.a"),),
            estimate=Estimate(1.0, 2.0, 3, chance=0.25),
        ),
        Step(
            Address("training_job", "c", EVIL),
            "node",
            "toy",
            Action.FORGET,
            {},
            (Reason("removed"),),
            recorded={"value": 9},
        ),
        step("idle", Action.NO_OP),
    ),
    outputs={"o": Output({"$sensitive": "scrypt:abc"}, sensitive=True)},
    notes=(Note("data waiting", "dataset.d", "9 rows wait"),),
    deferred={"training_job.later": ("training_job.a",)},
    moves={"training_job.x": "training_job.a"},
)


def test_every_step_is_drawn_and_listed_with_its_reasons_and_changes() -> None:
    it = Elements(page(PLAN))
    cards = {a["data-address"]: a for a in it.of("step")}
    assert set(cards) == {str(s.address) for s in PLAN.steps}
    whole = [a["data-step"] for a in it.of("node")][: len(PLAN.steps)]
    assert set(whole) == {a["id"] for a in cards.values()}
    edges = {(a["data-from"], a["data-to"]) for a in it.of("edge")}
    ids = {n.removeprefix("training_job."): a["id"] for n, a in cards.items()}
    assert edges == {(ids["quiet"], ids["a"]), (ids["a"], ids["b"])}
    for text in (
        "value: 1 → 2   (main.mlf.hcl:3:11)",
        "if training_job.a comes out different",
        "12.0 s … 19.0 s",
        "1.0 s … 2.0 s, 25% likely",
        "Time: 12.0 s … 21.0 s",
        "[training_job.a.parity]  (known after apply)",
        "9 rows wait",
        "training_job.later until training_job.a is applied",
        "training_job.x is training_job.a now",
        "1a1a1a1a1a1a",
        "2026-01-31T06:00:00Z",
    ):
        assert text in it.words, text


def test_nothing_of_a_plan_becomes_markup_and_nothing_secret_is_written() -> None:
    text = page(PLAN)
    it = Elements(text)
    assert len([1 for tag, _ in it.found if tag == "script"]) == 1
    assert EVIL in it.words
    assert "scrypt:" not in text


def test_it_asks_for_nothing_from_outside() -> None:
    it = Elements(page(PLAN))
    for tag, attributes in it.found:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
    assert "url(" not in page(PLAN)
    assert "@import" not in page(PLAN)


def test_a_plan_without_steps_is_a_page_too() -> None:
    empty = Plan("", 0, "", "", "", None, ())
    assert "There is nothing to draw" in Elements(page(empty)).words


graphs = st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=31)


@given(graphs)
def test_no_two_nodes_overlap_and_edges_go_to_the_right(shape: list[list[int]]) -> None:
    nodes = [str(n) for n in range(len(shape))]
    edges = {(str(a), str(b)) for b, needs in enumerate(shape) for a in needs if a < b}
    found = layout(nodes, edges)
    assert set(found.nodes) == set(nodes)
    assert set(found.edges) == edges
    places = sorted(found.nodes.values())
    for i, (x, y) in enumerate(places):
        assert -0.01 <= x <= found.width - WIDTH + 0.01
        assert -0.01 <= y <= found.height - HEIGHT + 0.01
        for other, height in places[i + 1 :]:
            assert other - x >= WIDTH or abs(height - y) >= HEIGHT - 0.01
    for (a, b), points in found.edges.items():
        assert points[0][0] == pytest.approx(found.nodes[a][0] + WIDTH)
        assert points[-1][0] == pytest.approx(found.nodes[b][0])
        assert points == sorted(points, key=lambda p: p[0])


def test_the_same_graph_is_laid_out_alike() -> None:
    nodes, edges = ["a", "b", "c"], [("a", "c"), ("b", "c")]
    assert layout(nodes, edges) == layout(nodes, reversed(edges))


def test_a_layer_too_tall_takes_several_columns() -> None:
    nodes = ["root", *map(str, range(100))]
    found = layout(nodes, [("root", n) for n in nodes[1:]])
    assert found.height < 30 * HEIGHT * 1.5
    assert len(set(found.nodes.values())) == len(nodes)


# ---- in a browser


@in_browser
def test_in_a_browser_it_works_and_stays_offline(tmp_path: Path) -> None:
    script = """<script>
    document.querySelector('.node[data-step="s2"]').dispatchEvent(
      new MouseEvent("click", { bubbles: true, cancelable: true }));
    document.querySelector('.chip[data-action="forget"]').click();
    document.querySelector('.tools [data-view="some"]').click();
    document.querySelector('[data-zoom="in"]').click();
    </script></body>"""
    seen = browse(page(PLAN).replace("</body>", script), tmp_path)
    assert seen.console == []
    assert seen.requests == []
    [html] = [a for tag, a in seen.elements.found if tag == "html"]
    assert html["data-ready"] == "true"
    cards = {a["id"]: a for a in seen.elements.of("step")}
    assert "open" in cards["s2"]
    assert "open" not in cards["s1"]
    assert "chosen" in cards["s2"]["class"]
    assert "dim" in cards["s3"]["class"]
    nodes = [a for a in seen.elements.of("node") if a["data-step"] == "s2"]
    assert all("chosen" in a["class"] for a in nodes)
    assert any("near" in a["class"] for a in seen.elements.of("edge"))
    drawings = {a["data-view"]: a for tag, a in seen.elements.found if tag == "svg"}
    assert "hidden" in drawings["all"]
    assert "hidden" not in drawings["some"]


@in_browser
def test_an_address_in_the_fragment_opens_that_step(tmp_path: Path) -> None:
    seen = browse(page(PLAN), tmp_path, "#s0")
    assert seen.console == []
    quiet = [a for tag, a in seen.elements.found if (tag, a.get("class")) == ("details", "quiet")]
    assert "open" in quiet[0]
    [card] = [a for a in seen.elements.of("step") if a["id"] == "s0"]
    assert "open" in card


@in_browser
def test_the_browser_would_tell(tmp_path: Path) -> None:
    """A page that is noisy and online is seen to be: else the tests above could not fail."""
    noisy = '<!doctype html><img src="http://127.0.0.1:9/x.png"><script>undefinedName()</script>'
    seen = browse(noisy, tmp_path)
    assert seen.console
    assert seen.requests == ["http://127.0.0.1:9/x.png"]
