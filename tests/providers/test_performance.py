"""The performance monitor: real weather, labels that come late, and estimates without any."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score
from tests.providers.measured import INPUTS, Watch, flipped

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import lasting
from mlform_core.metrics import Outcomes
from mlform_core.performance import Performance
from mlform_core.performance_estimate import calibration


@pytest.fixture
def watch(measured, request):
    return Watch(measured, request.node.name)


def test_a_model_as_good_as_at_release_raises_no_alarm(watch):
    rows = watch.world.later[:3000]
    predicted = watch.asked(rows)
    stored, alarms = watch.run(watch.apply(rows[["station", "hazy"]]))
    assert alarms == []
    assert [w["labelled"] for w in stored.attributes.windows] == [1000] * 3
    found = [w["statistics"][0] for w in stored.attributes.windows]
    for number, one in enumerate(found):
        part = slice(1000 * number, 1000 * (number + 1))
        assert one["value"] == pytest.approx(
            roc_auc_score(rows["hazy"][part], predicted[part]), abs=1e-5
        )
        assert one["low"] < one["value"] < one["high"]
    assert watch.run(stored)[0].attributes == stored.attributes


def test_keys_may_be_what_a_feature_view_makes_inputs_of(watch):
    watch.place = "raw"
    rows = watch.world.later[:1000]
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(rows[["station", "hazy"]]))
    assert [w["labelled"] for w in stored.attributes.windows] == [1000]


def test_one_that_got_worse_raises_one_that_says_from_what(watch):
    rows = watch.world.later[:1000]
    watch.asked(rows)
    stored, (alarm,) = watch.run(watch.apply(flipped(rows)[["station", "hazy"]]))
    held = watch.world.frame[watch.world.frame["_split"] == "holdout"]
    released = roc_auc_score(held["hazy"], watch.world.fitted.predict_proba(held[INPUTS])[:, 1])
    (finding,) = alarm.findings
    assert (alarm.name, alarm.incident) == ("performance", False)
    assert finding["released"] == pytest.approx(released, abs=1e-5)
    assert finding["threshold"] == pytest.approx(released - 0.03, abs=1e-5)
    assert finding["value"] < finding["threshold"]
    assert alarm.summary.startswith("performance: roc_auc ")
    assert stored.attributes.alarm == alarm.summary


def test_labels_come_late_and_what_is_missing_is_said(watch):
    rows = watch.world.later[:2500]
    labels = rows[["station", "hazy"]]
    watch.asked(rows)
    now = {"window": {"rows": 1000, "wait": "100000d"}}
    stored, alarms = watch.run(watch.apply(labels[:850], **now))
    assert (alarms, stored.attributes.windows, stored.attributes.missing) == ([], [], 1150)
    assert watch.ctx.lines == [
        (
            "waiting for labels: 2 windows; 1,150 rows have none yet "
            "(judged with 90% of them, or after 100000d)"
        )
    ]
    stored, _ = watch.run(watch.apply(labels[:1300], old=stored, **now))
    assert [w["labelled"] for w in stored.attributes.windows] == [1000]
    assert stored.attributes.missing == 700
    stored, _ = watch.run(watch.apply(labels[:1300], old=stored))  # 30 days are long over
    assert [w["labelled"] for w in stored.attributes.windows] == [1000, 300]
    assert stored.attributes.missing == 0
    assert watch.ctx.lines == ["500 of 1,000 rows in the window that is open"]


def test_a_label_is_used_once(watch):
    rows = watch.world.later[:1000]
    watch.asked(pd.concat([rows[:600], rows[:400], rows[:500], rows[600:]]))
    stored, _ = watch.run(watch.apply(rows[["station", "hazy"]]))
    assert [w["labelled"] for w in stored.attributes.windows] == [600]
    assert watch.ctx.lines == [
        "asked for before: 400 rows; a label is used once",
        "900 of 1,000 rows in the window that is open",
    ]
    watch.asked(rows[:100])
    stored, _ = watch.run(stored)
    assert [w["labelled"] for w in stored.attributes.windows] == [600, 400]


def test_windows_of_time_end_with_their_time(watch):
    rows = watch.world.later[:1000]
    watch.asked(rows, each=1800.0)  # two hundred an hour
    stored, _ = watch.run(
        watch.apply(rows[["station", "hazy"]], window={"every": "1h", "wait": "1d"})
    )
    assert sum(w["rows"] for w in stored.attributes.windows) == 1000
    assert {w["rows"] for w in stored.attributes.windows} == {200}


def test_each_model_is_measured_by_itself_and_only_who_serves_alarms(watch):
    rows = watch.world.later[:2000]
    more = LogisticRegression(max_iter=5000, C=0.5).fit(rows[INPUTS], rows["hazy"])
    other = watch.world.bench.model(more, rows, INPUTS, "hazy", "binary").digest
    watch.asked(rows[:500], digest=other)
    watch.asked(rows[500:1000])
    labels = flipped(rows)[["station", "hazy"]]
    stored, alarms = watch.run(watch.apply(labels, require={"roc_auc": {"min": 0.9}}))
    assert {w["model"]: w["rows"] for w in stored.attributes.windows} == {
        other: 500,
        watch.world.model.digest: 500,
    }
    assert [a.window["model"] for a in alarms] == [watch.world.model.digest]


def test_another_bound_judges_what_was_seen_anew(watch):
    rows = watch.world.later[:1000]
    watch.asked(rows)
    labels = flipped(rows)[["station", "hazy"]]
    stored, _ = watch.run(watch.apply(labels))
    assert stored.attributes.windows[0]["worse"]
    lax = watch.apply(labels, old=stored, require={"roc_auc": {"max_regress": 0.9}})
    assert not lax.attributes.windows[0]["worse"]
    assert lasting(lax.attributes) == lasting(stored.attributes)
    said = Performance().tried(lax.arguments, stored)
    assert said.endswith("0 would break these limits and 0 raise an alarm (1 did)")
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    assert 'aria-label="roc_auc"' in page
    assert "held to 0." in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_slices_and_groups_are_held_to_their_own_bounds(watch):
    rows = watch.world.later[:4000]
    watch.asked(rows)
    bad = rows["origin"] == "JFK"
    labels = rows.assign(hazy=np.where(bad, 1 - rows["hazy"], rows["hazy"]))
    given = {
        "window": {"rows": 4000},
        "require": {},
        "slices": {"by": ["origin"], "min": {"accuracy": 0.6}},
        "fairness": {
            "attribute": "origin",
            "demographic_parity_ratio": {"min": 0.2},
            "equalized_odds_difference": {"max": 0.3},
        },
    }
    columns = ["station", "hazy", "origin"]
    stored, alarms = watch.run(watch.apply(rows[columns], **given))
    assert alarms == [], "the groups are alike"
    page = watch.ctx.artifacts.read(stored.attributes.page.digest).decode()
    assert 'aria-label="equalized_odds_difference by origin"' in page
    (window,) = stored.attributes.windows
    by_name = {s["slice"]: s["value"] for s in window["statistics"]}
    decided = watch.world.fitted.predict(rows[INPUTS])
    for origin in ("EWR", "JFK", "LGA"):
        mine = (rows["origin"] == origin).to_numpy()
        expected = accuracy_score(rows["hazy"][mine], decided[mine])
        assert by_name[f"origin={origin}"] == pytest.approx(expected, abs=1e-6)

    other = Watch(watch.world, "slices-flipped")
    other.asked(rows)
    _, (alarm,) = other.run(other.apply(labels[columns], **given))
    assert {f["column"] for f in alarm.findings} == {
        "accuracy of origin=JFK",
        "equalized_odds_difference by origin",
    }


def test_without_labels_the_performance_is_estimated(watch):
    rows = watch.world.later
    predicted = watch.asked(rows)
    require = {m: {"min": 0.0} for m in ("roc_auc", "accuracy", "brier")}
    stored, alarms = watch.run(watch.apply(window={"rows": len(rows)}, require=require))
    assert alarms == []
    (window,) = stored.attributes.windows
    assert (window["estimated"], window["labelled"]) == (True, 0)
    truth = {
        "roc_auc": roc_auc_score(rows["hazy"], predicted),
        "accuracy": accuracy_score(rows["hazy"], predicted >= 0.5),
        "brier": brier_score_loss(rows["hazy"], predicted),
    }
    for one in window["statistics"]:
        assert one["value"] == pytest.approx(truth[one["metric"]], abs=0.02)
        # The bounds hold nine of ten times, three metrics: three times as wide never failed.
        reach = 3 * (one["high"] - one["low"]) / 2
        assert abs(one["value"] - truth[one["metric"]]) < reach


def test_an_estimate_stands_beside_what_labels_say_where_it_is_asked_for(watch):
    rows = watch.world.later[:1000]
    watch.asked(rows)
    labels = rows[["station", "hazy"]]
    stored, alarms = watch.run(watch.apply(labels, estimate=True))
    assert alarms == []
    (one,) = stored.attributes.windows[0]["statistics"]
    assert one["estimate"]["low"] < one["value"] < one["estimate"]["high"]
    flat, (alarm,) = watch.run(watch.apply(flipped(rows)[["station", "hazy"]], estimate=True))
    (other,) = flat.attributes.windows[0]["statistics"]
    assert alarm.name == "performance"
    assert other["estimate"] == one["estimate"], "labels have no part in it"
    page = watch.ctx.artifacts.read(flat.attributes.page.digest).decode()
    assert "0 of 1 figures by labels lay in the 90 % bounds of their estimate" in page


def test_an_estimate_sees_a_model_that_has_become_unsure(watch):
    near = watch.world.later.assign(
        p=watch.world.fitted.predict_proba(watch.world.later[INPUTS])[:, 1]
    )
    unsure = near.iloc[(near["p"] - near["p"].median()).abs().argsort()[:1000]]
    watch.asked(unsure)
    _, (alarm,) = watch.run(watch.apply())
    assert alarm.name == "estimated performance"
    assert alarm.summary.startswith("estimated performance: roc_auc ")


def test_what_says_nothing_of_its_chances_is_not_estimated(watch):
    frame = watch.world.frame
    fitted = LinearRegression().fit(frame[INPUTS], frame["visib"])
    model = watch.world.bench.model(fitted, frame, INPUTS, "visib", "regression")
    require = {"accuracy": {"min": 0.1}}
    with pytest.raises(ResourceError, match="accuracy is not defined for what the log has of a r"):
        watch.apply(digest=model.digest, require=require)
    with pytest.raises(ValidationError, match="ece cannot be estimated without labels"):
        watch.apply(require={"ece": {"max": 1.0}})
    with pytest.raises(ValidationError, match="fairness takes labels"):
        watch.apply(fairness={"attribute": "origin"})
    chance = np.random.default_rng(1)
    few = Outcomes("binary", chance.integers(0, 2, 500).astype(float), chance.random(500))
    with pytest.raises(ResourceError, match="calibrating takes 1,000"):
        calibration(few)


def test_a_gate_that_judged_another_leaves_absolute_bounds(watch):
    rows = watch.world.later[:1000]
    watch.asked(rows)
    attributes = {**watch.world.gate.attributes, "candidate": "sha256:" + "0" * 64}
    gate = Handle(address="gate.fine", digest="x", attributes=attributes)
    require = {"roc_auc": {"max_regress": 0.0, "min": 0.99}}
    stored = watch.apply(rows[["station", "hazy"]], release=gate, require=require)
    assert "gate.fine has judged another model" in watch.ctx.lines[-1]
    _, (alarm,) = watch.run(stored)
    assert [f["check"] for f in alarm.findings] == ["min roc_auc"]


def test_figures_of_release_stay_when_the_gate_judges_others(watch):
    stored = watch.apply(watch.world.later[["station", "hazy"]])
    attributes = {**watch.world.gate.attributes, "candidate": "sha256:" + "0" * 64}
    gate = Handle(address="gate.fine", digest="x", attributes=attributes)
    later = watch.apply(watch.world.later[["station", "hazy"]], release=gate, old=stored)
    assert later.attributes.released == stored.attributes.released != {}


def test_mistakes_are_explained(watch):
    labels = watch.world.later[["station", "hazy", "visib"]]
    with pytest.raises(ResourceError, match="The request log has no number: it is no input"):
        watch.apply(labels.rename(columns={"station": "number"}), key=["number"])
    with pytest.raises(ValidationError, match=r'has no column "hasy". Did you mean "hazy"'):
        watch.apply(labels, label="hasy")
    with pytest.raises(ResourceError, match="temp is float64: keys are texts or whole numbers"):
        watch.apply(watch.world.later[["temp", "hazy"]], key=["temp"])
    with pytest.raises(ResourceError, match=r'no column orign. Did you mean "origin"'):
        watch.apply(
            watch.world.later[["station", "hazy", "origin"]],
            slices={"by": ["orign"], "min": {"accuracy": 0.5}},
        )
    for wrong, said in (
        ({"require": {}}, "nothing is checked"),
        ({"window": {}}, "write one of rows and every"),
        ({"window": {"rows": 50}}, "greater than or equal to 100"),
        ({"require": {"roc_auk": {"min": 1}}}, 'Did you mean "roc_auc"'),
        ({"require": {"roc_auc": {}}}, "write max_regress, min or max"),
        ({"release": None}, "max_regress compares with the gate"),
    ):
        with pytest.raises(ValidationError, match=said):
            watch.arguments(labels, **wrong)


def test_destroy_says_what_stays(watch):
    assert "alarms" in Performance().destroy(watch.ctx, watch.apply())
