"""What the commands that only look show: records, the journal, outputs, the graph."""

from __future__ import annotations

import json

import pytest
from tests.engine.world import World

from mlform.address import Address
from mlform.commands.drawing import drawn
from mlform.commands.queries import outputs, record, validate
from mlform.diagnostics import DiagnosedError
from mlform.render import graph
from mlform.render.records import entries, entry_data, record_data, records, snapshot_data
from mlform.render.records import record as shown
from mlform.render.style import paint

SPEC = """
training_job "node" "a" {
  for_each = { "x \\"y\\"" = 1 }
  value    = each.value
}
training_job "node" "b" {
  uses = [for it in training_job.a : it.parity]
}
output "parity" {
  value = training_job.b.parity
}
"""
A, B = Address("training_job", "a", 'x "y"'), Address("training_job", "b")


def test_records_are_listed_and_shown_whole(world: World) -> None:
    store = world.session(SPEC).store
    assert "Nothing is recorded" in paint(records(store.snapshot()), colour=False)
    assert paint(entries(store.journal()), colour=False) == "The journal is empty.\n"

    world.apply(SPEC)
    snapshot = store.snapshot()
    lines = paint(records(snapshot), colour=False).splitlines()
    assert [line.startswith(a) for line, a in zip(lines, (str(A), str(B)), strict=True)] == [
        True,
        True,
    ]
    text = paint(shown(snapshot.records[B]), colour=False)
    assert text.startswith('# training_job.b\ntraining_job "node" "b" {\n  # arguments\n')
    assert "parity = 1" in text
    assert json.loads(json.dumps(snapshot_data(snapshot)))["resources"][1]["needs"] == [str(A)]
    assert record_data(record(world.session(SPEC), str(A)))["address"] == str(A)


def test_the_journal_is_a_line_an_entry(world: World) -> None:
    world.apply(SPEC)
    found = list(world.session(SPEC).store.journal(B))
    assert [e.operation for e in found] == ["intent", "done"]
    assert len(paint(entries(found), colour=False).splitlines()) == 2
    assert json.loads(json.dumps(entry_data(found[1])))["address"] == "training_job.b"


def test_outputs_are_given_by_name(world: World) -> None:
    world.apply(SPEC)
    session = world.session(SPEC)
    assert outputs(session) == outputs(session, "parity")
    assert outputs(session)["parity"]["value"] == 1
    with pytest.raises(DiagnosedError, match="Did you mean"):
        outputs(session, "party")


def test_the_graph_quotes_the_keys_of_instances(world: World) -> None:
    session = world.session(SPEC)
    validate(session)
    drawing = drawn(session, "instances")
    dot, mermaid = graph.dot(drawing), graph.mermaid(drawing)
    escaped = str(A).replace("\\", "\\\\").replace('"', '\\"')
    assert f'"{escaped}" -> "training_job.b"' in dot
    assert "n0 --> n1" in mermaid
    assert 'n1["training_job.b"]' in mermaid
    assert mermaid.splitlines()[1].count('"') == 2
    assert session.graph.order == [A, B]
    assert session.graph.upstream([B]) == {A, B}


def test_an_output_of_what_is_held_for_the_first_time_is_not_there_yet(world: World) -> None:
    spec = """
gate "most" "g" {
  candidate = 2
}
deployment "file" "d" {
  shows = 1
  gates = [gate.g]
}
output "shown" {
  value = deployment.d.shown
}
"""
    world.apply(spec)
    assert world.outcome is not None
    assert list(map(str, world.outcome.held)) == ["deployment.d"]
    assert outputs(world.session(spec)) == {}


def test_validating_finds_cycles(world: World) -> None:
    spec = """
training_job "node" "a" {
  uses = [training_job.b.parity]
}
training_job "node" "b" {
  uses = [training_job.a.parity]
}
"""
    with pytest.raises(DiagnosedError, match="Cycle"):
        validate(world.session(spec))


@pytest.mark.parametrize(
    ("lifecycle", "blamed"),
    [('prevent_destroy = "yes"', "prevent_destroy"), ("ignore_changes = [valeu]", "valeu")],
)
def test_a_lifecycle_that_would_do_nothing_is_refused(
    world: World, lifecycle: str, blamed: str
) -> None:
    spec = f'training_job "node" "a" {{\n  lifecycle {{\n    {lifecycle}\n  }}\n}}\n'
    with pytest.raises(DiagnosedError, match=blamed):
        validate(world.session(spec))


def test_a_validation_that_is_not_true_or_false_is_refused(world: World) -> None:
    rule = 'validation {\n    condition     = "no"\n    error_message = "Odd."\n  }'
    with pytest.raises(DiagnosedError, match="condition"):
        validate(world.session(f'variable "v" {{\n  default = 1\n  {rule}\n}}\n' + SPEC))
