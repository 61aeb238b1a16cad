from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from mlform.sdk import Artifact, Handle, ResourceError, Stored
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core.bundles import pack
from mlform_core.models import MEDIA_TYPE
from mlform_core.registry import Registry, RegistryArguments, RegistryAttributes

ADDRESS = "training_job.risk"


def model(name: str) -> Artifact:
    return Artifact(digest="sha256:" + hashlib.sha256(name.encode()).hexdigest(), size=len(name))


def handle(name: str) -> Handle:
    found = model(name)
    return Handle(address=ADDRESS, attribute="model", digest=found.digest, artifact=found)


def gate(judged: str, *, passed: bool, address: str = "gate.quality") -> Handle:
    attributes = {"passed": passed, "candidate": model(judged).digest}
    return Handle(address=address, digest=f"{judged} {passed}", attributes=attributes)


def arguments(name: str, *gates: Handle, approvals: int = 0) -> RegistryArguments:
    rules = {"require": list(gates), "approvals": approvals}
    return RegistryArguments.model_validate({"candidate": handle(name), "champion": rules})


def bundled(path: Path) -> Artifact:
    """Write the parts of a bundle into a file."""
    meta = {
        "format": "skops",
        "task": "binary",
        "target": "late",
        "classes": [False, True],
        "features": [],
        "framework": "scikit-learn",
        "framework_version": "1",
    }
    parts = {"meta.json": json.dumps(meta).encode(), "model.skops": b"", "reference.json": b"{}"}
    data = pack(parts)
    path.write_bytes(data)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Artifact(digest=digest, size=len(data), media_type=MEDIA_TYPE)


@pytest.fixture
def life(tmp_path: Path):
    class Life:
        old: Stored[RegistryArguments, RegistryAttributes] | None = None

        def apply(self, new: RegistryArguments) -> RegistryAttributes:
            found = Registry().apply(FakeContext(tmp_path), new, self.old)
            self.old = Stored(new, found)
            return found

    return Life()


def test_without_gates_the_candidate_is_champion_at_once(life):
    found = life.apply(arguments("a"))
    assert found.champion == found.candidate == model("a")
    assert (found.version, found.champion_version, found.held) == (1, 1, ())
    assert found.promotions == (
        {"version": 1, "digest": model("a").digest, "replaces": None, "gates": []},
    )


def test_a_whole_training_job_means_its_model(life):
    job = Handle(address=ADDRESS, digest="x", attributes={"model": model("a").model_dump()})
    assert life.apply(RegistryArguments(candidate=job)).champion == model("a")


def test_what_has_no_model_is_refused(life):
    data = Handle(address="dataset.loans", digest="x", attributes={"rows": 3})
    with pytest.raises(ResourceError, match=r"dataset\.loans has no model") as error:
        life.apply(RegistryArguments(candidate=data))
    assert error.value.argument == "candidate"


def test_a_failing_gate_holds_and_the_champion_stays(life):
    life.apply(arguments("a", gate("a", passed=True)))
    found = life.apply(arguments("b", gate("b", passed=False)))
    assert (found.candidate, found.champion) == (model("b"), model("a"))
    assert (found.version, found.champion_version) == (2, 1)
    name = model("b").digest[7:19]
    failed = f"version 2 is not promoted: gate.quality did not pass for {name}"
    assert found.held == (f"{failed}; version 1 stays champion",)
    assert len(found.promotions) == 1

    found = life.apply(arguments("b", gate("b", passed=True)))
    assert (found.champion, found.held) == (model("b"), ())
    assert found.promotions[-1]["replaces"] == 1
    assert found.promotions[-1]["gates"] == ["gate.quality"]


def test_the_first_candidate_may_fail(life):
    found = life.apply(arguments("a", gate("a", passed=False)))
    assert found.champion is None
    assert found.champion_version is None
    assert "there is no champion yet" in found.held[0]


def test_every_gate_must_pass_and_each_that_does_not_is_named(life):
    gates = [
        gate("a", passed=True, address="gate.one"),
        gate("a", passed=False, address="gate.two"),
        gate("other", passed=True, address="gate.three"),
    ]
    found = life.apply(arguments("a", *gates))
    assert found.champion is None
    assert [why.split(":")[1].split()[0] for why in found.held] == ["gate.two", "gate.three"]


def test_a_gate_that_passed_another_model_promotes_nothing(life):
    found = life.apply(arguments("b", gate("a", passed=True)))
    assert found.champion is None
    assert "judged another model" in found.held[0]


def test_a_version_keeps_its_number(life):
    versions = [life.apply(arguments(name)).version for name in "abcab"]
    assert versions == [1, 2, 3, 1, 2]
    found = life.apply(arguments("a"))
    assert set(found.versions.values()) == {1, 2, 3}
    assert [p["version"] for p in found.promotions] == [1, 2, 3, 1, 2, 1]


def test_promoting_the_champion_again_is_no_promotion(life):
    life.apply(arguments("a"))
    assert len(life.apply(arguments("a", gate("a", passed=True))).promotions) == 1


def test_a_champion_whose_gate_turns_against_it_stays_and_is_held(life):
    life.apply(arguments("a", gate("a", passed=True)))
    found = life.apply(arguments("a", gate("a", passed=False)))
    assert found.champion == model("a")
    assert found.held[0].startswith("version 1 stays champion, though gate.quality did not pass")


def test_approvals_are_waited_for_once_the_gates_pass(life):
    found = life.apply(arguments("a", gate("a", passed=True), approvals=2))
    assert found.champion is None
    assert "waits for 2 approvals" in found.held[0]
    life.apply(arguments("a"))
    assert life.apply(arguments("a", approvals=1)).held == ()


def test_only_gates_can_be_required():
    with pytest.raises(ValidationError, match=r"training_job\.risk is no gate"):
        arguments("a", handle("a"))


def test_contract(tmp_path):
    bundle = bundled(tmp_path / "served.mlform")
    candidate = Handle(address=ADDRESS, attribute="model", digest=bundle.digest, artifact=bundle)
    _, after = check_resource(
        Registry(),
        RegistryArguments(candidate=candidate),
        arguments("b", gate("b", passed=False)),
        FakeContext(tmp_path),
        exists=lambda _: "served.mlform",
    )
    assert after.attributes.champion == bundle
    assert "kept" in Registry().destroy(FakeContext(tmp_path), after)


def test_what_serves_is_imported_as_champion_and_a_candidate_follows(tmp_path):
    bundle = bundled(tmp_path / "served.mlform")
    ctx = FakeContext(tmp_path, doing="import")
    found = Registry().import_(ctx, "served.mlform", arguments("b", gate("b", passed=True)))
    assert found.attributes.champion == bundle
    assert found.arguments["candidate"].digest == bundle.digest
    before = Stored(RegistryArguments(candidate=found.arguments["candidate"]), found.attributes)
    ctx = FakeContext(tmp_path, doing="update")
    after = Registry().apply(ctx, arguments("b", gate("b", passed=True)), before)
    assert (after.champion, after.version) == (model("b"), 2)
    assert after.promotions[-1]["replaces"] == 1


def test_a_file_that_is_no_bundle_is_not_imported(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"no zip")
    with pytest.raises(ResourceError, match="Import another file as a training_job first"):
        Registry().import_(FakeContext(tmp_path), "model.pkl", None)
