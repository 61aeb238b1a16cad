"""A model that says whether the air is hazy, and a monitor on what it is asked."""

import itertools
import json
import time

import pandas as pd

from mlform.sdk import Handle, Stored
from mlform.sdk.testing import FakeContext
from mlform_core import models
from mlform_core.columns import conform
from mlform_core.monitor import Drift, DriftArguments, DriftAttributes

NUMBERS = ["temp", "dewp", "humid", "wind_speed", "pressure", "precip"]
TYPES = {**dict.fromkeys(NUMBERS, "float64"), "origin": "string", "time_hour": "timestamp"}
FEATURES = [{"name": n, "type": t} for n, t in TYPES.items()]
META = {
    "format": "skops",
    "task": "binary",
    "target": "hazy",
    "classes": [False, True],
    "features": FEATURES,
    "framework": "scikit-learn",
    "framework_version": "1",
}
ALARM = 0.2


class Watch:
    """A monitor on the log of a deployment that only its log exists of."""

    def __init__(self, path, model, reference) -> None:
        self.ctx = FakeContext(path, address="monitor.haze")
        self.model, self.clock = model, itertools.count(1_700_000_000)
        file = models.save(model, META, reference, self.ctx.workdir)
        self.artifact = self.ctx.artifacts.put_file(file)
        other = models.save(model, {**META, "target": "x"}, reference, self.ctx.workdir)
        self.other = self.ctx.artifacts.put_file(other)
        self.log_dir = path / "log"

    def target(self, digest):
        attributes = {"answers": digest, "log_dir": "log", "url": "http://127.0.0.1:1"}
        return Handle(address="deployment.haze", digest=digest, attributes=attributes)

    def arguments(self, digest=None, **given):
        checks = {"inputs": {"alarm": ALARM}, "predictions": {"method": "js", "alarm": 0.2}}
        return DriftArguments.model_validate(
            {
                "target": self.target(digest or self.artifact.digest),
                "window": {"rows": 500},
                "checks": checks,
                **given,
            }
        )

    def apply(self, digest=None, old=None, **given):
        new = self.arguments(digest, **given)
        return Stored(new, Drift().apply(self.ctx, new, old))

    def write(self, entry):
        """Append to the log what the server would: no file of it becomes Parquet meanwhile."""
        self.log_dir.mkdir(exist_ok=True)
        files = sorted(self.log_dir.iterdir())
        path = files[-1] if files else self.log_dir / f"{time.time_ns():020d}.ndjson"
        with path.open("a") as sink:
            sink.write(json.dumps(entry) + "\n")

    def asked(self, frame, digest=None, of=50):
        """Log the rows as requests of so many each."""
        everything = self.model.predict_proba(conform(frame, FEATURES))[:, 1].tolist()
        for start in range(0, len(frame), of):
            rows, predicted = frame.iloc[start : start + of], everything[start : start + of]
            texts = rows[list(TYPES)].assign(
                time_hour=rows["time_hour"].map(pd.Timestamp.isoformat)
            )
            values = {
                n: [None if pd.isna(v) else v for v in texts[n].astype(object)] for n in TYPES
            }
            said = {"d": digest or self.artifact.digest, "i": values, "p": predicted}
            self.write({"t": float(next(self.clock)), "id": str(start), **said})

    def refused(self, requests, rows=1):
        for _ in range(requests):
            said = {"d": self.artifact.digest, "e": "missing inputs: temp", "n": rows}
            self.write({"t": float(next(self.clock)), **said})

    def run(self, stored):
        self.ctx.lines.clear()
        attributes, alarms = Drift().run(self.ctx, stored)
        again = DriftAttributes.model_validate(attributes.model_dump(mode="json"))
        assert again == attributes, "attributes must survive the state"
        return Stored(stored.arguments, attributes), list(alarms)
