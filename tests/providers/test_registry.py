from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from mlform.sdk import Artifact, Handle, Order, ResourceError, Stored
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
        ctx = FakeContext(tmp_path)
        old: Stored[RegistryArguments, RegistryAttributes] | None = None

        def apply(self, new: RegistryArguments) -> RegistryAttributes:
            found = Registry().apply(self.ctx, new, self.old)
            self.old = Stored(new, found)
            return found

    return Life()


def test_without_gates_the_candidate_is_champion_at_once(life):
    found = life.apply(arguments("a"))
    assert found.champion == found.candidate == model("a")
    assert (found.version, found.champion_version, found.held) == (1, 1, ())
    assert found.promotions == (
        {
            "version": 1,
            "digest": model("a").digest,
            "replaces": None,
            "channel": "champion",
            "gates": [],
        },
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


def channelled(name: str, *gates: Handle, **channels: dict[str, object]) -> RegistryArguments:
    said = {"candidate": handle(name), "champion": {"require": list(gates)}, "channels": channels}
    return RegistryArguments.model_validate(said)


def has(found: RegistryAttributes) -> dict[str, int]:
    return {name: it.version for name, it in Registry().standing(found).items()}


def test_a_channel_takes_what_the_channel_before_it_has(life):
    chain = {"production": {"from": "staging"}, "staging": {"require": [gate("a", passed=True)]}}
    assert has(life.apply(channelled("a", **chain))) == {
        "champion": 1,
        "production": 1,
        "staging": 1,
    }
    chain["staging"]["require"] = [gate("b", passed=False)]
    found = life.apply(channelled("b", **chain))
    assert has(found) == {"champion": 2, "production": 1, "staging": 1}
    assert [text.split("; ")[0].split(": ", 1)[1] for text in found.held] == [
        "staging has version 1",
        f"gate.quality did not pass for {model('b').digest[7:19]}",
    ]
    assert life.apply(channelled("b")).channels == {}, "a channel that is not declared is no more"


@pytest.mark.parametrize(
    ("channels", "why"),
    [
        ({"champion": {}}, "cannot be the name of a channel"),
        ({"a": {"from": "b"}}, 'there is no channel "b"; there are: champion, a'),
        ({"a": {"from": "b"}, "b": {"from": "a"}}, "wait for each other"),
    ],
)
def test_channels_that_make_no_sense_are_refused(channels, why):
    with pytest.raises(ValidationError, match=why):
        channelled("a", **channels)


def ordered(life, what: str, **more: str) -> RegistryAttributes:
    order = Order(what, by="anna", at="2026-01-02T10:00:00+00:00", **more)  # type: ignore[arg-type]
    found = Registry().order(life.ctx, life.old, order)
    life.old = Stored(life.old.arguments, found)
    return found


def test_going_back_skips_what_is_quarantined_and_lifting_promotes_nothing(life):
    for name in "abc":
        life.apply(arguments(name))
    assert has(ordered(life, "rollback", channel="champion", why="slow")) == {"champion": 2}
    found = ordered(life, "rollback", channel="champion")
    assert has(found) == {"champion": 1}
    assert found.held == (
        "version 3 is quarantined by anna on 2026-01-02: slow; version 1 stays champion",
    )
    assert set(Registry().quarantined(found)) == {model("b").digest, model("c").digest}
    with pytest.raises(ResourceError, match="had none before that is kept and not quarantined"):
        ordered(life, "rollback", channel="champion")
    assert has(life.apply(arguments("c"))) == {"champion": 1}, "trained again it is the same model"
    assert has(ordered(life, "lift", version="3")) == {"champion": 1}
    with pytest.raises(ResourceError, match="Version 2 is quarantined by anna"):
        ordered(life, "promote", channel="champion", version="2")
    assert has(ordered(life, "promote", channel="champion", version="v3")) == {"champion": 3}
    assert [m.get("how") for m in life.old.attributes.promotions][-3:] == [
        "rollback",
        "rollback",
        "promote",
    ]


def test_a_quarantine_is_said_once_whatever_the_channels(life):
    shop = {"shop": {"from": "champion"}, "law": {"promote": "manual"}}
    for name in "ab":
        life.apply(channelled(name, **shop))
    found = ordered(life, "quarantine", version="2", why="slow")
    why = "version 2 is quarantined by anna on 2026-01-02: slow"
    rest = "version 1 stays champion, version 1 stays in shop, law has nothing yet"
    assert found.held == (f"{why}; {rest}",)


def test_a_person_may_put_an_older_version_back_and_the_candidate_does_not_return(life):
    for name in "ab":
        life.apply(arguments(name))
    found = ordered(life, "promote", channel="champion", version=model("a").digest[:20], why="law")
    assert has(found) == {"champion": 1}
    found = life.apply(arguments("b", gate("b", passed=True)))
    assert has(found) == {"champion": 1}
    assert "another was, by anna on 2026-01-02: law" in found.held[0]
    assert has(life.apply(arguments("c"))) == {"champion": 3}


def test_what_may_wait_for_a_person_waits(life):
    manual = {"sealed": {"promote": "manual", "require": [gate("a", passed=False)]}}
    life.apply(channelled("a", **manual))
    with pytest.raises(ResourceError, match=r"gate\.quality did not pass"):
        ordered(life, "promote", channel="sealed", version="1")
    manual["sealed"]["require"] = [gate("a", passed=True)]
    found = life.apply(channelled("a", **manual))
    assert found.held == ("version 1 waits for `mlform promote` to sealed; sealed has nothing yet",)
    assert has(ordered(life, "promote", channel="sealed", version="1"))["sealed"] == 1


def test_what_a_person_puts_into_a_channel_is_there_for_those_that_take_it_from_it(life):
    chain = {
        "shop": {"from": "champion", "promote": "manual"},
        "staging": {"from": "champion"},
        "signed": {"from": "champion", "approvals": 1},
    }
    said = {"candidate": handle("b"), "champion": {"promote": "manual"}, "channels": chain}
    found = life.apply(RegistryArguments.model_validate(said))
    assert has(found) == {}
    with pytest.raises(ResourceError, match="cannot go to shop: champion has no version"):
        ordered(life, "promote", channel="shop", version="1")

    found = ordered(life, "promote", channel="champion", version="1")
    assert has(found) == {"champion": 1, "staging": 1}
    waits = "version 1 is not promoted to signed: waits for 1 approval (`mlform approve`)"
    assert [text.split("; ")[0] for text in found.held] == [
        "version 1 waits for `mlform promote` to shop",
        waits,
    ]
    with pytest.raises(ResourceError, match="waits for 1 approval"):
        ordered(life, "promote", channel="signed", version="1")
    assert has(ordered(life, "promote", channel="shop", version="1"))["shop"] == 1


def test_as_many_versions_are_kept_as_can_be_gone_back_to(life):
    for name in "abcd":
        life.apply(arguments(name).model_copy(update={"keep": 1}))
    assert set(life.old.attributes.kept) == {model("c").digest, model("d").digest}
    with pytest.raises(ResourceError, match="can go back to: 3"):
        ordered(life, "rollback", channel="champion", version="1")


def test_a_contract_names_each_difference_and_holds_the_model(life):
    def told(name: str, size: int = 10, **about: object) -> Handle:
        said = {"task": "binary", "classes": [0, 1], "target": "late", **about}
        artifact = model(name).model_copy(update={"size": size, "about": said})
        return handle(name).model_copy(update={"artifact": artifact})

    def asked(it: Handle, **contract: object) -> RegistryArguments:
        measured = gate("a", passed=True)
        costs = {**measured.attributes, "costs": {"p99_ms": 40.0}, "candidate": it.digest}
        rules = {"require": [measured.model_copy(update={"attributes": costs})]}
        return RegistryArguments.model_validate(
            {"candidate": it, "champion": {**rules, "contract": contract}}
        )

    first = told("a", features=["x", "n"], types={"x": "float64", "n": "int64"})
    assert life.apply(asked(first)).held == ()
    wider = {"x": "int64", "n": "float64", "z": "string"}
    second = told("b", features=list(wider), types=wider, task="regression", classes=None)
    new = asked(second)
    predicted = Registry().predict(new, life.old)
    found = life.apply(new)
    assert predicted["held"] == found.held, "the plan says what apply comes to"
    assert [text.split("contract: ")[1].split(";")[0] for text in found.held] == [
        "it takes x as int64, and the model before took float64",
        "it needs the column z (string), which is none that the model before took",
        "its task is regression, not binary",
    ]
    assert has(life.apply(asked(second, signature="any"))) == {"champion": 2}
    for rules, why in [
        ({"inputs": {"x": "float64"}}, "it needs the column n (int64), which is none that callers"),
        ({"max_mb": 1e-6}, "it has 1e-05 MB, and 1e-06 are allowed"),
        ({"p99_ms": 25}, "gate.quality measured 40 ms for p99_ms, and 25 are allowed"),
    ]:
        held = life.apply(asked(first, signature="any", **rules)).held
        assert why in held[0]


def test_of_a_result_that_is_taken_again_nothing_is_foretold(life):
    for candidate in (
        Handle(address="training_job.t", digest="sha256:" + "1" * 64),
        Handle(address="training_job.t", attribute="model", digest="sha256:" + "1" * 64),
    ):
        new = RegistryArguments(candidate=candidate)
        assert Registry().predict(new, life.old) == {}
