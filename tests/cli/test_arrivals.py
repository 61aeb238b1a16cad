"""A plan says what arrived at a source, by rows and by what files say of themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cli.inside import Inside


def write(path: Path, rows: int, factor: float, missing: int, **more: object) -> None:
    amounts = [None if i % missing == 0 else i * factor for i in range(rows)]
    table = {"id": list(range(rows)), "amount": amounts, **more}
    pq.write_table(pa.table(table), path)


def test_what_arrived_is_told_without_reading_it(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "main.mlf.hcl").write_text('dataset "file" "d" {\n  path = "d"\n}\n')
    write(tmp_path / "d" / "a.parquet", 1000, 1.0, 100)
    folder.apply()
    assert "missing in what arrived" not in folder.mlform("plan").out
    write(tmp_path / "d" / "b.parquet", 500, 1.0, 100)
    said = folder.mlform("plan").out
    assert "dataset.d: 1 new, 0 changed of 2 files: +500 rows, 1,500 in all" in said
    assert "in what arrived" not in said, "it is as it was before"
    write(tmp_path / "d" / "b.parquet", 500, 9.0, 10, colour=["red"] * 500)
    said = folder.mlform("plan").out
    assert "dataset.d: column colour is new" in said
    assert "dataset.d: amount: 10.0% missing in what arrived, 1.0% before" in said
    assert "dataset.d: amount: 9 … 4491 in what arrived, 1 … 999 before" in said
    (tmp_path / "d" / "c.csv").write_text("id,amount\n1,2.5\n")
    said = folder.mlform("plan").out
    assert "2 new, 0 changed of 3 files: +501 rows" in said
    assert "in what arrived" not in said, "text says nothing of itself"
    assert folder.mlform("plan").out == said


def test_keys_and_times_that_grow_are_no_news(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    (tmp_path / "d").mkdir()
    spec = 'dataset "file" "d" {\n  path = "d"\n  MORE\n}\n'
    (tmp_path / "main.mlf.hcl").write_text(spec.replace("MORE", 'key = ["id"]\n  time = "at"'))
    write(tmp_path / "d" / "a.parquet", 1000, 1.0, 100, at=list(range(1000)))
    folder.apply()
    later = {"id": [*range(1000, 1450), *[None] * 50], "at": list(range(1000, 1500))}
    write(tmp_path / "d" / "b.parquet", 500, 9.0, 100, **later)
    said = folder.mlform("plan").out
    assert "dataset.d: amount: 9 … 4491 in what arrived, 1 … 999 before" in said
    assert "dataset.d: id: 10.0% missing in what arrived, 0.0% before" in said
    assert "id: 1000 …" not in said
    assert "at: 1000 …" not in said
    # Undeclared it is one all the same by its values; what repeats is none.
    (tmp_path / "main.mlf.hcl").write_text(spec.replace("MORE", ""))
    assert "id: 1000 …" not in folder.mlform("plan").out
    folder.apply()
    write(tmp_path / "d" / "c.parquet", 500, 1.0, 100, id=list(range(-9, 491)), at=[7] * 500)
    said = folder.mlform("plan").out
    assert "dataset.d: id: -9 … 490 in what arrived" in said
    folder.apply()
    write(tmp_path / "d" / "e.parquet", 500, 1.0, 100, at=list(range(2000, 2500)))
    assert (
        "dataset.d: at: 2000 … 2499 in what arrived, 0 … 1499 before" in folder.mlform("plan").out
    )


PINNED = """
dataset "file" "d" {
  path    = "d.csv"
  columns = ["a"]
  version = { mode = "pin" }
}
"""


def test_a_column_that_came_after_the_pin_is_told_with_the_way_to_it(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    spec = tmp_path / "main.mlf.hcl"
    spec.write_text(PINNED)
    (tmp_path / "d.csv").write_text("a,b\n1,x\n")
    folder.apply()
    (tmp_path / "d.csv").write_text("a,b,c\n1,x,3\n")
    spec.write_text(PINNED.replace('["a"]', '["a", "c", "d"]'))
    said = folder.mlform("apply", "-auto-approve", expect=1).err
    assert "main.mlf.hcl:4:13" in said
    assert "There is no column c, d in d.csv; there are a, b." in said
    assert "at the source there is c by now. `mlform update dataset.d` takes what is" in said
    spec.write_text(PINNED.replace('["a"]', '["a", "d"]'))
    said = folder.mlform("apply", "-auto-approve", expect=1).err
    assert "There is no column d in d.csv" in said
    assert "mlform update" not in said, "the source has none either"
    spec.write_text(PINNED.replace('["a"]', '["a", "c"]'))
    folder.mlform("update", "dataset.d")
    assert folder.apply() == {"dataset.d": "run"}


SALES = """
variable "url" {
  sensitive = true
  default   = "sqlite:///shop.db"
}
dataset "sql" "d" {
  url       = var.url
  table     = "sales"
  watermark = "changed"
  PARTITION
  version   = { mode = "pin" }
}
"""


def sales(folder: Inside, partition: str = "") -> sqlite3.Connection:
    (folder.path / "main.mlf.hcl").write_text(SALES.replace("PARTITION", partition))
    there = sqlite3.connect(folder.path / "shop.db", isolation_level=None)
    there.execute("CREATE TABLE sales (id INTEGER, region TEXT, amount FLOAT, changed INTEGER)")
    more(there, 1, 1000, missing=100)
    return there


def more(there: sqlite3.Connection, first: int, rows: int, missing: int, factor: float = 1) -> None:
    made = [
        (n, "ns"[n % 2], None if n % missing == 0 else n * factor, n)
        for n in range(first, first + rows)
    ]
    there.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", made)


def test_of_a_database_by_one_query_above_the_watermark(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    with closing(sales(folder)) as there:
        folder.apply()
        assert "arrived" not in folder.mlform("plan").out
        more(there, 2001, 500, missing=10, factor=2)
        there.execute("UPDATE sales SET changed = 3000 WHERE id <= 20")
        said = folder.mlform("plan").out
        assert "dataset.d: 0 new, 1 changed of 1 partitions: +500 rows, 1,500 in all" in said
        assert "dataset.d: 520 rows are above the watermark that was read" in said
        assert "dataset.d: amount: 9.6% missing in what arrived, 1.0% before" in said
        assert "dataset.d: amount: 1 … 4998 in what arrived, 1 … 999 before" in said
        assert "changed: " not in said, "a watermark grows"
        assert folder.mlform("plan").out == said
        there.execute("INSERT INTO sales VALUES (1, 'n', 'n/a', 3001)")
        said = folder.mlform("plan").out
        assert "521 rows are above the watermark" in said, "a plan needs no numbers there"


def test_of_partitions_each_above_its_own_and_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Inside(tmp_path)
    with closing(sales(folder, 'partition = "region"')) as there:
        folder.apply()
        there.execute("INSERT INTO sales VALUES (2000, 'n', 1, 2000), (1, 'w', 1, 5)")
        said = folder.mlform("plan").out
        assert "dataset.d: 1 new, 1 changed of 3 partitions: +2 rows, 1,002 in all" in said
        assert "dataset.d: 2 rows are above the watermark that was read" in said
        more(there, 5000, 9000, missing=100)
        monkeypatch.setattr("mlform_core.sql.PATIENCE", 0.0)
        said = folder.mlform("plan").out
        assert "+9,002 rows" in said
        assert "how many rows are above the watermark is not known: counting them took" in said


def test_of_a_function_nothing_is_known_and_that_is_said(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    (tmp_path / "main.mlf.hcl").write_text("""
dataset "python" "whole" {
  function = "made.py:rows"
  token    = "made.py:token"
  version  = { mode = "pin" }
}
dataset "python" "parts" {
  function = "made.py:part"
  token    = "made.py:parts"
  by       = "partition"
  version  = { mode = "pin" }
}
""")
    (tmp_path / "made.py").write_text("""
import json
from pathlib import Path

def parts():
    return json.loads(Path(__file__).with_name("versions.json").read_text())

def token():
    return sorted(parts().values())

def rows():
    return [{"n": 1}]

def part(name):
    return [{"n": 1}]
""")
    (tmp_path / "versions.json").write_text('{"a": 1, "b": 1}')
    folder.apply()
    assert "known before" not in folder.mlform("plan").out
    (tmp_path / "versions.json").write_text('{"a": 1, "b": 2, "c": 1}')
    said = folder.mlform("plan").out
    assert "dataset.whole: its token is another; what is in it is not known before made" in said
    assert "dataset.parts: 1 new, 1 changed partitions; what is in them is not known" in said
