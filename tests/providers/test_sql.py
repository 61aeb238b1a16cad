"""``dataset "sql"``: SQLite and a real PostgreSQL, versions told by watermark or by a query."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from tests.postgres import running
from tests.scenarios.command import Folder

from mlform.sdk import ResourceError
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core import databases
from mlform_core.datasets import DatasetAttributes
from mlform_core.sql import Sql, SqlArguments

PASSWORD = "pass-word/7f3a"
ROWS = [(n, f"m{n % 3}", n / 4, None if n % 5 == 0 else f"text {n}") for n in range(1, 31)]
CREATE = "CREATE TABLE sales (id INTEGER PRIMARY KEY, month TEXT, amount FLOAT, note TEXT)"


@pytest.fixture
def sales(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    connection.execute(CREATE)
    connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", ROWS)
    yield connection
    connection.close()


def arguments(**given: Any) -> SqlArguments:
    where = {} if "url_env" in given else {"url": "sqlite:///shop.db"}
    how = {} if "snapshot" in given else {"watermark": "id"}
    what = {} if "query" in given else {"table": "sales"}
    return SqlArguments.model_validate(where | how | what | given)


def applied(ctx: FakeContext, new: SqlArguments) -> DatasetAttributes:
    ctx.inputs = Sql().inputs(ctx, new)
    return Sql().apply(ctx, new, None)


def rows(ctx: FakeContext, made: DatasetAttributes) -> list[tuple[Any, ...]]:
    found = []
    for artifact in made.partitions.values():
        table = pq.read_table(ctx.artifacts.path(artifact.digest)).drop_columns(["_split"])
        found += [tuple(row.values()) for row in table.to_pylist()]
    return sorted(found)


@pytest.mark.usefixtures("sales")
def test_it_keeps_the_promises_of_every_resource(tmp_path: Path) -> None:
    split = {"by": "hash", "on": ["id"], "parts": {"train": 0.7, "holdout": 0.3}}
    ctx = FakeContext(tmp_path)
    first, second = arguments(), arguments(split=split, key=["id"])
    before, after = check_resource(Sql(), first, second, ctx, exists=lambda _: "sales")
    assert rows(ctx, before.attributes) == ROWS
    assert sum(after.attributes.splits.values()) == 30
    assert before.attributes.columns == {
        "id": "int64", "month": "string", "amount": "float64", "note": "string"
    }  # fmt: skip


def test_only_partitions_that_moved_are_read_and_rows_are_told_before(
    tmp_path: Path, sales: sqlite3.Connection
) -> None:
    ctx, new = FakeContext(tmp_path), arguments(partition="month")
    before = applied(ctx, new)
    assert list(before.partitions) == ["month=m0", "month=m1", "month=m2"]
    assert ctx.inputs.rows == 30
    sales.execute("INSERT INTO sales VALUES (31, 'm1', 1, NULL)")
    ctx.made = 0
    after = applied(ctx, new)
    assert ctx.inputs.rows == 31 == after.rows
    assert ctx.made == 3  # what was read, the table and the facts of month=m1
    same = [n for n in after.partitions if after.partitions[n] == before.partitions.get(n)]
    assert same == ["month=m0", "month=m2"]


@pytest.mark.usefixtures("sales")
def test_nothing_but_the_watermark_is_asked_for_where_it_did_not_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, new = FakeContext(tmp_path), arguments(partition="month")
    first = Sql().inputs(ctx, new)
    asked: list[str] = []
    real = databases.connected

    @contextmanager
    def listening(*given: Any) -> Iterator[Any]:
        with real(*given) as connection:
            sa.event.listen(connection, "before_cursor_execute", lambda *e: asked.append(e[2]))
            yield connection

    monkeypatch.setattr("mlform_core.sql.connected", listening)
    assert Sql().inputs(ctx, new) == first
    assert len(asked) == 1 and "max(id)" in asked[0] and "GROUP BY" not in asked[0]


def test_a_version_that_left_the_source_is_made_from_the_store_or_below_its_watermark(
    tmp_path: Path, sales: sqlite3.Connection
) -> None:
    ctx, new = FakeContext(tmp_path), arguments()
    before = applied(ctx, new)
    pinned = ctx.inputs
    sales.execute("INSERT INTO sales VALUES (31, 'm1', 1, NULL)")
    elsewhere = FakeContext(tmp_path / "elsewhere", root=tmp_path, inputs=pinned)
    assert Sql().apply(elsewhere, new, None).partitions == before.partitions
    sales.execute("DELETE FROM sales WHERE id = 3")
    ctx.inputs = pinned
    assert Sql().apply(ctx, new, None).partitions == before.partitions
    third = FakeContext(tmp_path / "third", root=tmp_path, inputs=pinned)
    with pytest.raises(ResourceError, match="mlform update") as caught:
        Sql().apply(third, new, None)
    assert caught.value.summary == "Version not available"


def test_a_snapshot_query_tells_versions_that_no_watermark_sees(
    tmp_path: Path, sales: sqlite3.Connection
) -> None:
    ctx = FakeContext(tmp_path)
    whole = arguments(snapshot="SELECT count(*), sum(amount) FROM sales")
    parted = arguments(
        query="SELECT month, amount, 'at 12:30 :x 5%' AS said FROM sales -- all of it",
        snapshot="SELECT month, count(*), sum(amount) FROM sales GROUP BY month;",
        partition="month",
    )
    before, parts = Sql().inputs(ctx, whole), Sql().inputs(ctx, parted)
    made = applied(ctx, parted)
    assert made.rows == 30 and made.profile["columns"]["said"]["values"] == ["at 12:30 :x 5%"]
    sales.execute("DELETE FROM sales WHERE id = 3")
    assert Sql().inputs(ctx, whole) != before
    after = Sql().inputs(ctx, parted)
    moved = [n for n in after.parts if after.parts[n] != parts.parts[n]]
    assert moved == ["month=m0"] and applied(ctx, parted).rows == 29


@pytest.mark.parametrize(
    ("given", "summary", "said"),
    [
        ({"url": "nonsense"}, "Invalid database URL", "dialect://"),
        ({"url": f"odd://u:{PASSWORD}@h/d"}, "Unknown database", "odd"),
        ({"url": "sqlite:///none.db"}, "No such database", "none.db"),
        ({"table": "nothing"}, "Database cannot be read", "nothing"),
        ({"query": "SELEC 1"}, "Database cannot be read", "syntax error"),
        ({"query": "SELECT * FROM sales WHERE id < 0"}, "No data", "no rows"),
        ({"watermark": "nothing"}, "Database cannot be read", "nothing"),
        ({"query": "SELECT id, CASE id WHEN 3 THEN 'x' ELSE 1 END AS a FROM sales"}, "Mixed", "a"),
        ({"snapshot": "SELECT 1", "partition": "month"}, "Invalid snapshot query", "month"),
        ({"schema": {"amount": "string"}}, "Schema contract", "amount"),
        ({"expect": {"rows_min": 100}}, "Expectations", "30"),
        ({"columns": ["id", "none"]}, "Database cannot be read", "none"),
        ({"url_env": "MLFORM_TEST_NOT_SET"}, "No database URL", "MLFORM_TEST_NOT_SET"),
    ],
)
@pytest.mark.usefixtures("sales")
def test_what_is_wrong_is_said(
    tmp_path: Path, given: dict[str, Any], summary: str, said: str
) -> None:
    with pytest.raises(ResourceError) as caught:
        applied(FakeContext(tmp_path), arguments(**given))
    assert summary in caught.value.summary
    assert said in caught.value.detail
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"table": "a", "url_env": "X"},
        {"table": "a", "query": "b", "url_env": "X", "watermark": "c"},
        {"table": "a", "url_env": "X", "url": "b", "watermark": "c"},
        {"table": "a", "url_env": "X", "watermark": "c", "snapshot": "d"},
    ],
)
def test_each_thing_is_said_once(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="write"):
        SqlArguments.model_validate(given)


@pytest.mark.usefixtures("sales")
def test_rows_beyond_one_fetch_are_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "CHUNK", 4)  # "note" has chunks with nulls and without
    ctx = FakeContext(tmp_path)
    assert rows(ctx, applied(ctx, arguments())) == ROWS


SPEC = """
dataset "sql" "orders" {
  url_env   = "SHOP_URL"
  table     = "shop.orders"
  watermark = "changed_at"
  partition = "day"
  version   = { mode = "pin" }
  schema    = { id = "int64", paid = "bool", total = "float64", changed_at = "timestamp" }
}
output "rows" {
  value = dataset.orders.rows
}
"""


def too_long(url: sa.URL) -> None:
    with databases.connected(url) as connection, databases.limited(connection, 0.05) as can:
        assert can
        connection.execute(sa.text("SELECT pg_sleep(60)"))


def test_postgresql_is_pinned_updated_and_never_told_of(tmp_path: Path) -> None:
    with running() as server:
        with psycopg.connect(server.url, autocommit=True) as there:
            there.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            there.execute("CREATE SCHEMA shop")
            there.execute(
                "CREATE TABLE shop.orders (id bigint, day date, paid boolean, total numeric(9, 2),"
                " more jsonb, changed_at timestamptz)"
            )
            there.execute(
                "INSERT INTO shop.orders SELECT n, date '2026-01-01' + n / 10, n % 2 = 0, n / 4.0, "
                "jsonb_build_object('n', n), timestamptz '2026-01-01 00:00+01' + n * interval '1h'"
                " FROM generate_series(0, 29) n"
            )
            there.execute("GRANT USAGE ON SCHEMA shop TO reader")
            there.execute("GRANT SELECT ON shop.orders TO reader")
            twice = arguments(url=server.url, query="SELECT id, day, day FROM shop.orders")
            with pytest.raises(ResourceError, match="stands twice"):
                applied(FakeContext(tmp_path / "twice"), twice)
            (tmp_path / "main.mlf.hcl").write_text(SPEC)
            quoted = PASSWORD.replace("/", "%2F")
            url = server.to("postgres", f"reader:{quoted}")
            folder = Folder(tmp_path, {"SHOP_URL": url})
            said = folder.mlform("apply", "-auto-approve", "-json")
            assert said.ran() == {"dataset.orders": "run"} and folder.actions() == {}
            there.execute(
                "INSERT INTO shop.orders VALUES (30, '2026-01-03', true, 1, NULL, '2026-03-01')"
            )
            plan = folder.mlform("plan")
            assert "+1 rows" in plan.out and "day=2026-01-03" in plan.out
            assert "1 rows are above the watermark that was read" in plan.out
            with pytest.raises(ResourceError, match="statement timeout"):
                too_long(databases.parsed(url, tmp_path))
            folder.mlform("update")
            assert folder.apply() == {"dataset.orders": "run"} and folder.actions() == {}
            assert folder.mlform("output", "-raw", "rows").out.strip() == "31"
            wrong = Folder(tmp_path, {"SHOP_URL": url.replace(quoted, "x" + quoted)})
            there.execute("DROP TABLE shop.orders")
            assert "orders" in folder.mlform("plan", expect=1).err
        server.stop()
        away = wrong.mlform("plan", expect=1)
        assert "can be reached" in away.err
    texts = [plan.out, said.out, away.out, away.err]
    files = [f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()]
    for secret in (PASSWORD, quoted):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in files)
