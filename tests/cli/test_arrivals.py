"""A plan says what arrived at a source, by rows and by what files say of themselves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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
