"""A feature view that a deployment serves, through the installed command.

The tests of this file are one story in order: each starts where the last one ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.providers.serving_bench import Load, call, until
from tests.scenarios.command import Folder

from mlform_core.serving import control, log

SPEC = """
dataset "file" "trips" {
  path = "trips.csv"
  time = "at"
}
dataset "file" "shops" {
  path = "shops.csv"
  time = "seen"
}
feature_view "python" "trips" {
  from      = dataset.trips
  inputs    = { shops = dataset.shops }
  as_of     = { shops = { on = ["shop"], ttl = "2d" } }
  transform = "features/trips.py:build"
  online    = { absent = ["minutes"] }
}
training_job "sklearn" "trips" {
  data      = feature_view.trips
  split     = null
  target    = "minutes"
  estimator = "sklearn.linear_model.LinearRegression"
}
gate "evaluation" "close" {
  candidate = training_job.trips.model
  data      = feature_view.trips
  split     = null
  require   = { mae = { max = 100 } }
}
model "registry" "trips" {
  candidate = training_job.trips.model
  champion  = { require = [gate.close] }
}
deployment "http" "trips" {
  model    = model.trips.champion
  features = feature_view.trips
}
"""
CODE = '''
"""What is known of a trip."""

def build(trips, shops):
    return trips[["minutes"]].assign(km=trips["metres"] / 1000, staff=shops["staff"].fillna(0.0))
'''
DAYS = [f"2026-01-{day:02}T08:00:00Z" for day in range(1, 29)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    path = tmp_path_factory.mktemp("online")
    trips = [
        (at, "ab"[i % 2], 700 + 311 * (i % 13), 100 * (i % 13) + 5 * min(i % 28, 14))
        for i, at in enumerate(DAYS * 3)
    ]
    lines = ["at,shop,metres,minutes", *(",".join(map(str, row)) for row in trips)]
    (path / "trips.csv").write_text("\n".join(lines))
    shops(path, 14)
    (path / "features").mkdir()
    (path / "features" / "trips.py").write_text(CODE)
    (path / "main.mlf.hcl").write_text(SPEC)
    folder = Folder(path)
    folder.apply()
    yield folder
    control.stop(path / ".mlform" / "resources" / "deployment.trips")


def shops(path: Path, days: int) -> None:
    """Write how many worked in a shop on each of so many days."""
    rows = [f"{at},{shop},{n + 3}" for n, at in enumerate(DAYS[:days]) for shop in "ab"]
    (path / "shops.csv").write_text("\n".join(["seen,shop,staff", *rows]))


def url(folder: Folder) -> str:
    home = folder.path / ".mlform" / "resources" / "deployment.trips"
    port = json.loads((home / "serving.json").read_text())["port"]
    return f"http://127.0.0.1:{port}/v2/models/trips"


def trip(at: str | None = "2026-01-29T08:00:00Z") -> dict[str, Any]:
    """Return a trip as a request."""
    given = {"at": at, "shop": "a", "metres": 1633}
    return {
        "inputs": [
            {
                "name": n,
                "shape": [1],
                "data": [v],
                "datatype": "BYTES" if n != "metres" else "INT64",
            }
            for n, v in given.items()
            if v is not None
        ]
    }


def seen(folder: Folder) -> dict[str, Any]:
    """Return what the model saw of the last request."""
    logged = folder.path / ".mlform" / "resources" / "deployment.trips" / "log"
    many = len(entries(logged))
    assert call(f"{url(folder)}/infer", trip())[0] == 200
    until(lambda: len(entries(logged)) > many)
    return entries(logged)[-1]["i"]


def entries(logged: Path) -> list[dict[str, Any]]:
    return [entry for entry, _ in log.entries(logged, None) if entry is not None]


def answered(folder: Folder, **given: Any) -> float:
    status, said = call(f"{url(folder)}/infer", trip(**given))
    assert status == 200, said
    return said["outputs"][0]["data"][0]


def test_a_request_has_the_columns_of_the_dataset(folder: Folder) -> None:
    assert {i["name"] for i in call(url(folder))[1]["inputs"]} == {"at", "shop", "metres"}
    assert answered(folder) == answered(folder, at=None), "without its time it is of now"


def test_code_that_makes_the_same_rolls_and_trains_nothing(folder: Folder) -> None:
    folder.edit("features/trips.py", '"metres"] / 1000', '"metres"] / 10 ** 3')
    with Load(url(folder), json.dumps(trip()).encode(), kept=1, fresh=1) as load:
        load.until(lambda mine: len(mine) > 2)
        assert folder.apply() == {"feature_view.trips": "run", "deployment.trips": "roll"}
        many = max(map(len, load.answers))
        load.until(lambda mine: len(mine) > many)
    assert load.failures == []
    said = folder.mlform("why", "deployment.trips").out
    assert "data changed: feature_view.trips._transform" in said
    assert "code changed: features/trips.py:build" in said


def test_what_is_looked_up_moves_with_the_data(folder: Folder) -> None:
    before = answered(folder)
    shops(folder.path, 28)
    done = folder.apply()
    assert done["deployment.trips"] == "roll"
    assert answered(folder) != before, "the shop was seen within two days now"


def test_what_looks_at_other_rows_is_refused_and_what_serves_goes_on(folder: Folder) -> None:
    before = answered(folder)
    folder.edit("features/trips.py", "/ 10 ** 3", '/ trips["metres"].mean()')
    said = folder.mlform("apply", "-auto-approve", expect=1).err
    assert "Not the same at request time" in said
    assert '"km" of row' in said
    assert "of dataset.trips (at = " in said
    assert answered(folder) == before


def test_code_waits_for_its_model_where_a_gate_holds_that(folder: Folder) -> None:
    before = answered(folder)
    folder.edit("features/trips.py", '/ trips["metres"].mean()', "* 0")
    folder.mlform("apply", "-auto-approve", expect=3)
    assert answered(folder) == before, "the champion keeps the transform it was trained with"
    folder.edit("features/trips.py", "* 0", "/ 500")
    assert folder.apply()["deployment.trips"] == "roll"
    assert answered(folder) == pytest.approx(before)
    assert seen(folder)["km"] == [1633 / 500]


def test_a_model_is_rolled_back_to_with_its_transform(folder: Folder) -> None:
    before = answered(folder)
    folder.mlform("rollback", "model.trips", "-auto-approve")
    assert answered(folder) == pytest.approx(before)
    assert seen(folder)["km"] == [1633 / 1000]
