"""Several models behind one endpoint: canaries, variants, shadows."""

import asyncio
import json
import math
import random
import signal
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.providers.serving_bench import (
    Load,
    Raising,
    body,
    bundle,
    call,
    end_of,
    fitted,
    handle,
    table,
    until,
)
from tests.providers.test_serving import children, metrics

from mlform.sdk import CancelledError, ResourceError
from mlform_core.http_arguments import HttpArguments, Rollout
from mlform_core.serving import control, settings
from mlform_core.serving.guard import Evidence, Guard
from mlform_core.serving.revision import Revision
from mlform_core.serving.settings import Serving
from mlform_core.serving.traffic import Choice, Traffic


def canary(**given):
    return {"kind": "canary", "steps": [50, 100], "bake": "1s", **given}


def asked(url, key):
    """Return which model answers one who has a key."""
    said = call(f"{url}/infer", body(table()[:1]), headers={"Mlform-Key": key})[1]
    return said["model_version"]


def test_settings_that_cannot_be_written_change_nothing(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    found = life.apply(first)
    (worker,) = children(found.pid)
    in_the_way = life.ctx.home / f"{settings.SETTINGS}.{found.pid}.tmp"
    in_the_way.mkdir()
    with pytest.raises(ResourceError, match="Settings not kept"):
        life.apply(second)
    with pytest.raises(ResourceError, match=r"Canary rolled back.*Settings not kept"):
        life.apply(second, rollout=canary(bake="0.1s"))
    assert asked(found.url, "anyone") == first.digest
    until(lambda: children(found.pid) == [worker])
    in_the_way.rmdir()
    assert life.apply(second, rollout=canary(bake="0.1s")).answers == second.digest


def test_a_canary_that_comes_off_takes_over_and_fails_no_request(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    url = life.apply(first).url
    with Load(url, json.dumps(body(table()[:2])).encode()) as load:
        load.until(lambda answers: len(answers) >= 5)
        found = life.apply(second, rollout=canary())
        load.until(lambda answers: answers[-5:] == [second.digest] * 5)
    assert load.failures == []
    assert (found.answers, found.revision, found.url) == (second.digest, 2, url)
    everything = [digest for answers in load.answers for digest in answers]
    while_tried = everything[everything.index(second.digest) :]
    assert first.digest in while_tried
    assert life.ctx.heard[-2][2].startswith("canary at 50%")


def test_what_is_quarantined_is_replaced_without_a_canary(life):
    bad, good = bundle(life.ctx), bundle(life.ctx, 0.01)
    life.apply(bad)
    life.ctx.quarantined = [bad.digest]
    slow = canary(bake="20s")
    assert life.apply(good, rollout=slow).answers == good.digest
    assert not any(note.startswith("canary") for _, _, note in life.ctx.heard)
    life.ctx.quarantined = []
    assert (settings.read(life.ctx.home).steps, slow["steps"]) == ([], [50, 100])


def test_a_canary_that_fails_is_rolled_back_at_once_and_no_client_notices(life):
    good = bundle(life.ctx)
    found = life.apply(good)
    bad = bundle(life.ctx, model=fitted(last=Raising), format="pickle", framework="tests")
    request = body(table()[:1])
    request["inputs"][0]["data"] = [1e6]
    with Load(found.url, json.dumps(request).encode()) as load:
        load.until(lambda answers: len(answers) >= 5)
        # Longer than any test may take: only a breach ends it.
        rollout = canary(bake="1h")
        with pytest.raises(ResourceError, match=r"Canary rolled back.*errors in.*again") as said:
            life.apply(bad, rollout=rollout, allow_pickle=True)
        seen = len(load.answers[0])
        load.until(lambda answers: len(answers) >= seen + 5)
    assert load.failures == []
    assert good.digest[7:19] in said.value.detail
    assert {digest for answers in load.answers for digest in answers} == {good.digest}
    assert life.read().answers == good.digest
    assert settings.read(life.ctx.home).digest == good.digest
    until(lambda: sum("role" in name for name in metrics(found)) == 1)


class Workers:
    """What answers for a model, as far as it matters who is still there."""

    def __init__(self):
        self.gone = asyncio.Event()

    async def close(self):
        self.gone.set()


SERVING = Serving(
    name="m",
    digest="sha256:a",
    host="",
    port=1,
    token="",
    revision=1,
    sample=1.0,
    log_bytes=1,
    redact=[],
    max_body=1,
    timeout=1.0,
    allow_pickle=False,
    workers=1,
    tokens=[],
    tokens_env="",
    port_env="",
    runtime="",
    steps=[0.5],
    bake=0.0,
    alpha=0.05,
    slow=0.0,
    variants={},
    shadow="",
)


def test_a_canary_that_fails_while_its_shadow_starts_does_not_take_over(tmp_path, monkeypatch):
    made = {}

    async def opened(_home, serving, digest, label=""):
        if label == "shadow":
            trial = traffic.trial
            while trial.breach is None:
                trial.see(Choice(trial.revision, trial, trial.share), "errors", "")
        made[digest] = Revision({}, digest, serving.revision, label, "", None, Workers())
        return made[digest]

    async def tried():
        await traffic.start()
        assert not await traffic.take(replace(SERVING, digest="sha256:b", shadow="sha256:c"))
        over = [asyncio.create_task(it.pool.gone.wait()) for it in made.values()]
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        answers = traffic.current.digest
        await traffic.close()
        return answers

    monkeypatch.setattr("mlform_core.serving.revision.opened", opened)
    traffic = Traffic(tmp_path, SERVING)
    assert (asyncio.run(tried()), traffic.outcome["worse"]) == ("sha256:a", True)
    assert all(it.pool.gone.is_set() for it in made.values())


def test_a_server_that_died_does_not_spare_a_model_its_canary(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    found = life.apply(first)
    end_of(found.pid, signal.SIGKILL)
    now = life.apply(second, rollout=canary(steps=[50]))
    assert (now.answers, now.url) == (second.digest, found.url)
    assert any(note.startswith("canary at 50%") for *_, note in life.ctx.heard)


def test_a_canary_that_is_called_off_leaves_all_as_it_was(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    found = life.apply(first)
    life.ctx.stop_after = 4
    with pytest.raises(CancelledError):
        life.apply(second, rollout=canary(bake="1h"))
    life.ctx.stop_after = None
    assert life.read() == found
    assert control.answers(settings.read(life.ctx.home), found.port)["trial"] is None


def killed_in_a_canary(life, artifact, bake, **given):
    """Leave behind what a run does that is killed while it waits for its canary."""

    def run():
        with pytest.raises(CancelledError):
            life.apply(artifact, rollout=canary(bake=bake), **given)

    kept = settings.read(life.ctx.home)
    killed = threading.Thread(target=run)
    # What a kill leaves behind: nobody waits, and nobody called it off.
    abandon, control.abandon = control.abandon, lambda *_: None
    try:
        killed.start()
        until(lambda: control.answers(kept, kept.port)["trial"] is not None)
        life.ctx.stop_after = 0
        killed.join(30)
    finally:
        control.abandon = abandon
    life.ctx.stop_after = None


def test_a_run_takes_up_the_canary_of_a_run_that_was_killed(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    life.apply(first)
    killed_in_a_canary(life, second, "4s")
    found = life.apply(second, rollout=canary(bake="4s"))
    assert (found.answers, found.revision) == (second.digest, 2)


def test_a_canary_that_was_rolled_back_while_no_run_waited_is_told_and_told_once(life):
    good = bundle(life.ctx)
    found = life.apply(good)
    bad = bundle(life.ctx, model=fitted(last=Raising), format="pickle", framework="tests")
    request = body(table()[:1])
    request["inputs"][0]["data"] = [1e6]
    killed_in_a_canary(life, bad, "1h", allow_pickle=True)
    with Load(found.url, json.dumps(request).encode()) as load:
        kept = settings.read(life.ctx.home)
        until(lambda: control.answers(kept, kept.port)["trial"] is None)
    assert load.failures == []
    rollout = canary(bake="0.1s")
    with pytest.raises(ResourceError, match=r"Canary rolled back.*errors in.*again") as said:
        life.apply(bad, rollout=rollout, allow_pickle=True)
    assert said.value.rejects == bad.digest
    assert asked(found.url, "anyone") == good.digest
    # Whoever lifts the quarantine has it tried anew.
    assert life.apply(bad, rollout=rollout, allow_pickle=True).answers == bad.digest


def test_a_canary_that_nobody_wants_any_more_is_seen_and_ended(life):
    first, second = bundle(life.ctx), bundle(life.ctx, 0.01)
    before = life.apply(first, rollout=canary(bake="1h"))
    killed_in_a_canary(life, second, "1h")
    assert life.read() == before.model_copy(update={"answers": second.digest})
    found = life.apply(first, rollout=canary(bake="1h"))
    assert (found.answers, life.read()) == (first.digest, found)
    assert control.answers(settings.read(life.ctx.home), found.port)["trial"] is None


def test_variants_are_sticky_and_have_their_shares(life):
    one, two, three = (bundle(life.ctx, c) for c in (1.0, 0.1, 0.01))
    variants = {
        "b": {"model": handle(two), "share": 30},
        "c": {"model": handle(three), "share": 20},
    }
    found = life.apply(one, variants=variants)
    assert found.variants == {"b": two.digest, "c": three.digest}
    keys = [f"customer {n}" for n in range(250)]
    answers = {key: asked(found.url, key) for key in keys}
    for artifact, share in ((one, 0.5), (two, 0.3), (three, 0.2)):
        count = sum(digest == artifact.digest for digest in answers.values())
        assert abs(count - 250 * share) < 5 * math.sqrt(250 * share * (1 - share))
    assert all(asked(found.url, key) == answers[key] for key in keys[:40])
    numbers = metrics(found)
    assert numbers['mlform_rows_total{revision="b"}'] > 40

    # One whose share goes to another keeps what it has of its own.
    variants["c"]["share"] = 10
    life.apply(one, variants=variants)
    moved = {key: asked(found.url, key) for key in keys[:100]}
    assert {(answers[k], moved[k]) for k in moved if answers[k] != moved[k]} == {
        (three.digest, one.digest)
    }
    life.apply(one)
    assert {asked(found.url, key) for key in keys[:20]} == {one.digest}


def test_a_shadow_is_asked_beside_and_answers_nobody(life):
    serves, shadow = bundle(life.ctx), bundle(life.ctx, 0.0001)
    found = life.apply(serves, shadow=handle(shadow))
    assert found.shadow == shadow.digest
    request = body(table()[:50])
    for number in range(3):
        said = call(f"{found.url}/infer", {**request, "id": f"r{number}"})[1]
        assert said["model_version"] == serves.digest
    other = 'mlform_shadow_requests_total{said="other"}'
    until(lambda: metrics(found).get(other) == 3)
    life.destroy()
    entries = life.logged()
    beside = {e["id"]: e for e in entries if e["d"] == shadow.digest}
    assert set(beside) == {"r0", "r1", "r2"}
    assert all(e["r"] == "shadow" and len(e["p"]) == 50 for e in beside.values())
    answered = next(e for e in entries if e["d"] == serves.digest)
    assert answered["p"] != beside[answered["id"]]["p"]


def test_another_runtime_is_taken_without_another_model(life):
    artifact = bundle(life.ctx)
    before = life.apply(artifact)
    after = life.apply(artifact, runtime={"kind": "native"})
    assert (before.runtime, after.runtime) == ("onnx", "native")
    assert after.pid == before.pid
    info = f'mlform_revision_info{{digest="{artifact.digest}",revision="1",role="current",'
    assert metrics(after)[f'{info}runtime="native"}}'] == 1


def test_shares_that_cannot_be(life):
    model = handle(bundle(life.ctx))
    half = {"model": model, "share": 50}
    with pytest.raises(ValidationError, match="leave nothing for model"):
        HttpArguments(model=model, variants={"b": half, "c": half})
    for steps in ([50, 5], [0, 5], [50, 101], []):
        with pytest.raises(ValidationError):
            Rollout(kind="canary", steps=steps)
    with pytest.raises(ValidationError, match="no length of time"):
        Rollout(kind="canary", bake="soon")


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), max_size=50))
def test_evidence_is_a_martingale(events):
    evidence = Evidence()
    for share, is_canary in events:
        before = evidence.value
        logs = list(evidence._logs)
        outcomes = []
        for outcome in (False, True):
            evidence._logs = list(logs)
            evidence.see(share, canary=outcome)
            outcomes.append((evidence.value, list(evidence._logs)))
        fair = (1 - share) * outcomes[0][0] + share * outcomes[1][0]
        assert fair == pytest.approx(before, rel=1e-9)
        evidence._logs = outcomes[is_canary][1]


def test_the_same_model_is_hardly_ever_rolled_back():
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    breaches = 0
    for _ in range(200):
        guard = Guard(0.05)
        share = chance.choice([0.05, 0.25, 0.5])
        looks = (
            guard.see(share, canary=chance.random() < share, signal="errors") for _ in range(400)
        )
        breaches += any(looks)
    # 10 would be the bound of one in twenty; all signals together have that.
    assert breaches <= 10


def test_one_client_counts_once():
    guard = Guard(0.05)
    for _ in range(1000):
        assert guard.see(0.05, canary=True, signal="errors", key="one") is None
    assert guard.evidence["errors"].events == [0, 1]
