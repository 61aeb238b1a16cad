"""Channels end to end: rolled back, quarantined by hand and by a canary, moved from outside."""

from __future__ import annotations

import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cli.inside import Inside

SPEC = """\
variable "depth" {
  type    = number
  default = 2
}
variable "exclude" {
  type    = list(string)
  default = ["id", "z"]
}
variable "careful" {
  type    = bool
  default = false
}
variable "shadowed" {
  type    = bool
  default = false
}
dataset "file" "d" {
  path  = "d.csv"
  split = { by = "hash", on = ["id"], seed = 1, parts = { train = 0.5, holdout = 0.5 } }
}
training_job "sklearn" "t" {
  data      = dataset.d
  split     = "train"
  target    = "y"
  exclude   = var.exclude
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = var.depth }
  leaks     = "off"
}
model "registry" "m" {
  candidate = training_job.t.model
  channels = {
    sealed = { from = "champion", promote = "manual", contract = {} }
  }
}
deployment "http" "api" {
  model   = model.m.champion
  rollout = {
    kind  = var.careful ? "canary" : "all_at_once"
    steps = [60]
    bake  = "90s"
  }
  runtime = { kind = "native" }
  shadow  = var.shadowed ? model.m.candidate : null
}
"""
CANARY = "careful=true"
SECOND = ("-var", "depth=3")
CHANNELS = ".mlform/resources/model.m/channels.json"
WIDER = ("-var", "depth=3", "-var", 'exclude=["id"]')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    path = tmp_path_factory.mktemp("channels")
    dice = random.Random(1)  # noqa: S311 - no secret is made of it
    rows = [(n, x := dice.random(), int(x + dice.random() * 0.3 > 0.6)) for n in range(300)]
    lines = (f"{n},{x},{dice.random()},{y}\n" for n, x, y in rows)
    (path / "d.csv").write_text("id,x,z,y\n" + "".join(lines))
    (path / "main.mlf.hcl").write_text(SPEC)
    found = Inside(path)
    yield found
    found.mlform("destroy", "-auto-approve")


def attributes(folder: Inside, address: str = "model.m") -> dict[str, object]:
    found: dict[str, object] = folder.mlform("state", "show", address, "-json").data["attributes"]
    return found


def ask(folder: Inside) -> str:
    """Return the digest of the model that answers one request."""
    return answer(str(attributes(folder, "deployment.api")["url"]))


def answer(url: str) -> str:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1], "data": [0.4]}
    body = json.dumps({"inputs": [tensor]}).encode()
    with urllib.request.urlopen(f"{url}/infer", body, timeout=20) as said:
        return str(json.load(said)["model_version"])


@contextmanager
def clients(folder: Inside) -> Iterator[list[str]]:
    """Ask without a pause until the end; give what went wrong."""
    over, wrong = threading.Event(), []
    url = str(attributes(folder, "deployment.api")["url"])

    def go() -> None:
        while not over.is_set():
            try:
                answer(url)
            except (urllib.error.URLError, OSError) as error:
                wrong.append(str(error))

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()


def test_what_people_and_canaries_take_back_stays_back(folder: Inside) -> None:
    folder.apply(expect=3)
    first = ask(folder)
    folder.apply(*SECOND, expect=3)
    second = ask(folder)
    assert second != first

    careful = (*SECOND, "-var", CANARY, "-var", "shadowed=true")
    folder.apply(*careful, expect=3)
    said = folder.mlform(
        "rollback", "deployment.api", "-reason", "alarms", "-auto-approve", *careful, expect=0
    ).out
    assert "canary at" not in said, "what is bad is not tried against what takes its place"
    assert "champion: version 2" in said
    assert "deployment.api: roll" in said
    assert "training_job" not in said
    assert ask(folder) == first
    assert attributes(folder)["champion_version"] == 1
    held = folder.mlform("plan", *careful).out
    assert "version 2 is quarantined by" in held
    assert "alarms; version 1 stays champion" in held
    assert folder.actions(*careful) == {"model.m": "held", "deployment.api": "held"}
    assert (
        "rollback: champion version 2 → version 1 (alarms)" in folder.mlform("why", "model.m").out
    )
    assert "rollback: champion" in folder.mlform("why", "deployment.api").out
    folder.apply(*SECOND, expect=3)

    with clients(folder) as wrong:
        said = folder.mlform("apply", "-auto-approve", *WIDER, "-var", CANARY, expect=1)
    assert wrong == [], "a bad canary fails no request"
    assert "Canary rolled back" in said.err
    assert "refusals" in said.err
    found = attributes(folder)
    assert (found["version"], found["champion_version"]) == (3, 1)
    assert ask(folder) == first
    again = folder.mlform("plan", *WIDER, "-var", CANARY).out
    assert "version 3 is quarantined by the rollout of deployment.api" in again
    assert folder.actions(*WIDER, "-var", CANARY)["model.m"] == "held"

    turns = folder.mlform("history", "model.m", "-json").data
    assert [(t["how"], (t["after"] or {}).get("version")) for t in turns] == [
        ("apply", 1),
        ("apply", 2),
        ("rollback", 1),
        ("apply", 3),
        ("quarantine", 1),
    ]
    assert turns[2]["why"] == "alarms"
    assert "Canary" not in turns[4]["why"]
    assert "refusals" in turns[4]["why"]
    assert all(t["by"] and t["at"] and t["run"] for t in turns)
    folder.mlform("state", "mv", "model.m", "model.n")
    assert folder.mlform("history", "model.n", "-json").data == turns
    folder.mlform("state", "mv", "model.n", "model.m")
    assert folder.mlform("history", "model.m", "-json").data == turns


def test_a_channel_by_hand_and_what_it_refuses(folder: Inside) -> None:
    refused = folder.mlform("promote", "model.m", "3", "-auto-approve", expect=1).err
    assert "Version 3 is quarantined by" in refused
    refused = folder.mlform(
        "promote", "model.m", "1", "-channel", "sealed", "-auto-approve", expect=1
    ).err
    assert "it is not the candidate, and the channel never had it" in refused
    refused = folder.mlform("promote", "model.m", "9", "-auto-approve", expect=1).err
    assert '"9" is no version. There are: 1, 2, 3.' in refused
    assert "No channels" in folder.mlform("history", "dataset.d", expect=1).err
    lifted = folder.mlform("quarantine", "model.m", "3", "-lift", "-auto-approve").out
    assert "no channel moves" in lifted
    waits = folder.mlform("plan", *WIDER).out
    assert "version 3 waits for `mlform promote`; version 1 stays champion" in waits


def test_a_channel_moved_from_outside_is_drift(folder: Inside) -> None:
    path = folder.path / CHANNELS
    said = json.loads(path.read_text())
    versions = attributes(folder)["versions"]
    assert isinstance(versions, dict)
    second = next(d for d, n in versions.items() if n == 2)
    path.write_text(json.dumps({"champion": {"version": 2, "digest": second}}))
    plan = folder.mlform("plan", "-json", *WIDER).data
    moved = {d["attribute"]: d["after"] for d in plan["drift"] if d["address"] == "model.m"}
    assert moved["champion_version"] == 2
    assert {s["action"] for s in plan["steps"] if s["address"] == "model.m"} == {"update"}
    path.write_text(json.dumps({"champion": {"version": 2, "digest": "sha256:00"}}))
    assert "is no version" in folder.mlform("plan", *WIDER, expect=1).err
    path.write_text(json.dumps(said))
    assert folder.mlform("plan", "-json", *WIDER).data["drift"] == []


def by_hand(folder: Inside, version: int) -> None:
    """Move the champion as another program would."""
    versions = attributes(folder)["versions"]
    assert isinstance(versions, dict)
    digest = next(d for d, n in versions.items() if n == version)
    said = {"champion": {"version": version, "digest": digest}}
    (folder.path / CHANNELS).write_text(json.dumps(said))


def published(folder: Inside) -> int:
    return int(json.loads((folder.path / CHANNELS).read_text())["champion"]["version"])


def test_a_channel_moved_from_outside_is_put_back_or_adopted_and_reverted(folder: Inside) -> None:
    first = ask(folder)
    by_hand(folder, 2)
    assert folder.apply(*WIDER, expect=3).keys() == {"model.m"}
    assert (published(folder), attributes(folder)["champion_version"]) == (1, 1)
    assert ask(folder) == first

    folder.mlform("quarantine", "model.m", "2", "-lift", "-auto-approve")
    by_hand(folder, 2)
    ran = folder.apply("-adopt=model.m", *WIDER, expect=3)
    assert ran == {"deployment.api": "roll"}, "nothing is decided, and deployments follow"
    assert (published(folder), attributes(folder)["champion_version"]) == (2, 2)
    assert ask(folder) != first
    stands = folder.mlform("plan", *WIDER).out
    assert "`-revert=model.m` plans what is declared" in stands
    assert "No changes." in stands

    ran = folder.apply("-revert=model.m", *WIDER, expect=3)
    assert ran == {"model.m": "update", "deployment.api": "roll"}
    assert (published(folder), attributes(folder)["champion_version"]) == (1, 1)
    assert ask(folder) == first
    assert "-revert" not in folder.mlform("plan", *WIDER).out


def test_a_variant_is_rolled_with_its_channel(folder: Inside) -> None:
    arm = """
training_job "sklearn" "arm" {
  data      = dataset.d
  split     = "train"
  target    = "y"
  exclude   = ["id", "z"]
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { min_samples_leaf = var.depth }
  leaks     = "off"
}
model "registry" "arm" { candidate = training_job.arm.model }
deployment "http" "two" {
  model    = model.m.champion
  variants = { arm = { model = model.arm.champion, share = 40 } }
}
deployment "http" "watched" {
  model  = model.m.champion
  shadow = model.arm.champion
}
"""
    path = folder.path / "arm.mlf.hcl"
    path.write_text(arm)
    folder.apply("-var", "depth=5", expect=3)
    folder.apply("-var", "depth=6", expect=3)
    said = folder.mlform("rollback", "model.arm", "-auto-approve").out
    assert "rolled to it, computing nothing: deployment.two\n" in said
    served = attributes(folder, "deployment.two")["variants"]
    assert served == {"arm": attributes(folder, "model.arm")["champion"]["digest"]}
    path.unlink()
    folder.apply("-var", "depth=6", expect=3)


def test_what_serves_no_channel_has_no_version_before(folder: Inside) -> None:
    spec = SPEC.replace("= model.m.champion", "= training_job.t.model")
    spec = spec.replace("  shadow  = var.shadowed ? model.m.candidate : null\n", "")
    (folder.path / "main.mlf.hcl").write_text(spec)
    folder.apply("-target", "deployment.api", "-var", "depth=4")
    refused = folder.mlform("rollback", "deployment.api", "-auto-approve", expect=1).err
    assert "Nothing to roll back" in refused
    assert "serves training_job.t.model: no channel" in refused
