"""``dataset "file"``: what is read, how rows are divided, and what must hold of them."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine

from mlform.sdk import Handle, ResourceError
from mlform.sdk.testing import FakeContext, check_resource
from mlform_core.datasets import DatasetAttributes
from mlform_core.file import File, FileArguments
from mlform_core.splits import HashSplit, TimeSplit, assign
from mlform_core.tables import read_table


@pytest.fixture
def wine() -> pd.DataFrame:
    """178 wines, as scikit-learn ships them (Forina et al., 1988)."""
    frame = load_wine(as_frame=True).frame
    frame.columns = [name.replace("/", "_") for name in frame.columns]
    frame.insert(0, "bottle", range(len(frame)))
    return frame


def arguments(**given: Any) -> FileArguments:
    return FileArguments.model_validate(given)


def applied(ctx: FakeContext, new: FileArguments) -> DatasetAttributes:
    file = File()
    ctx.inputs = file.inputs(ctx, new)
    return file.apply(ctx, new, None)


def table(ctx: FakeContext, made: DatasetAttributes, name: str) -> pa.Table:
    return pq.read_table(ctx.artifacts.path(made.partitions[name].digest))


def test_it_keeps_the_promises_of_every_resource(tmp_path: Path, wine: pd.DataFrame) -> None:
    wine.to_csv(tmp_path / "wine.csv", index=False)
    split = {"by": "hash", "on": ["bottle"], "parts": {"train": 0.7, "holdout": 0.3}}
    first = arguments(path="wine.csv")
    second = arguments(path="wine.csv", split=split, key=["bottle"])
    _, after = check_resource(
        File(), first, second, FakeContext(tmp_path), exists=lambda _: "wine.csv"
    )
    assert after.attributes.rows == 178
    assert sum(after.attributes.splits.values()) == 178
    assert after.attributes.columns["alcohol"] == "float64"


PACKED = [f"w.{kind}{packing}" for kind in ("csv", "jsonl") for packing in ("", ".gz", ".zst")]


@pytest.mark.parametrize("name", [*PACKED, "w.csv.zip", "w.ndjson.zip", "w.parquet", "w.pq"])
def test_every_format_gives_the_same_table(tmp_path: Path, wine: pd.DataFrame, name: str) -> None:
    text = wine.to_csv(index=False).encode()
    if "json" in name:
        text = wine.to_json(orient="records", lines=True, double_precision=15).encode()
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(text))
    elif name.endswith(".zst"):
        (tmp_path / name).write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("w", text)
    elif name.endswith((".csv", ".jsonl")):
        (tmp_path / name).write_bytes(text)
    else:
        wine.to_parquet(tmp_path / name, index=False)
    ctx = FakeContext(tmp_path)
    made = applied(ctx, arguments(path=name))
    read = table(ctx, made, name).to_pandas()[list(wine.columns)]
    pd.testing.assert_frame_equal(read, wine, check_dtype=False, check_exact=False)
    assert made.rows == len(wine)


def test_a_folder_and_a_glob_are_read_partition_by_partition(
    tmp_path: Path, wine: pd.DataFrame
) -> None:
    for year, part in (("2023", wine[:60]), ("2024", wine[60:])):
        folder = tmp_path / "data" / f"year={year}"
        folder.mkdir(parents=True)
        part.to_parquet(folder / "part.parquet", index=False)
    (tmp_path / "data" / ".hidden.parquet").write_bytes(b"")
    (tmp_path / "data" / "README.txt").write_text("not data")
    ctx = FakeContext(tmp_path)
    whole = applied(ctx, arguments(path="data"))
    assert list(whole.partitions) == ["year=2023/part.parquet", "year=2024/part.parquet"]
    assert whole.rows == 178
    assert applied(ctx, arguments(path="data/*/part.parquet")).partitions == whole.partitions


def test_lines_of_json_differ_in_what_they_hold_and_nested_values_are_text(tmp_path: Path) -> None:
    lines = ['{"b": 1, "at": "2026-01-02T03:04:05Z"}', '{"a": {"y": 1, "x": [2]}, "b": 2.5}', "{}"]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    ctx = FakeContext(tmp_path)
    made = applied(ctx, arguments(path="d.jsonl"))
    assert made.columns == {"b": "float64", "at": "timestamp", "a": "string"}
    read = table(ctx, made, "d.jsonl").to_pydict()
    assert read["a"] == [None, '{"x": [2], "y": 1}', None] and read["b"] == [1.0, 2.5, None]


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv"])
def test_texts_are_moments_where_a_contract_says_so(tmp_path: Path, name: str) -> None:
    moments = {
        "2026-01-02T03:04:05.678901": "2026-01-02T03:04:05.678901",
        "2026-01-02 03:04:05.123456789Z": "2026-01-02T03:04:05.123456",
        "2026-01-02T03:04:05.5+02:00": "2026-01-02T01:04:05.500000",
        "2026-01-02T03:04-0530": "2026-01-02T08:34:00",
        "1500-01-02": "1500-01-02T00:00:00",
    }
    lines = [json.dumps({"at": text, "n": 1}) for text in [*moments, None]]
    if name == "d.csv":
        lines = ["at,n", *(f"{text},1" for text in moments), ",1"]
    (tmp_path / name).write_text("\n".join(lines))
    ctx = FakeContext(tmp_path)
    assert applied(ctx, arguments(path=name)).columns["at"] == "string"
    made = applied(ctx, arguments(path=name, schema={"at": "timestamp"}))
    assert made.columns["at"] == "timestamp"
    found = table(ctx, made, name)["at"].to_pylist()
    assert [at and at.isoformat() for at in found] == [*moments.values(), None]

    (tmp_path / name).write_text("\n".join(lines).replace("03:04:05.5+", "33:04:05.5+"))
    why = (
        r"In partition d.*\ncolumn \"at\" has '2026-01-02T33:04:05.5\+02:00' in row 3, which is no"
    )
    with pytest.raises(ResourceError, match=why):
        applied(ctx, arguments(path=name, schema={"at": "timestamp"}))


def test_partitions_with_and_without_offsets_are_of_one_clock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("at,n\n2026-01-02T03:04:05Z,1\n")
    (tmp_path / "data" / "b.csv").write_text("at,n\n2026-01-02T04:04:05,2.5\n")
    ctx = FakeContext(tmp_path)
    made = applied(ctx, arguments(path="data"))
    handle = Handle(address="dataset.d", digest="x", attributes=made.model_dump(mode="json"))
    found = read_table(ctx, handle)
    assert [at.isoformat() for at in found["at"]] == ["2026-01-02T03:04:05", "2026-01-02T04:04:05"]
    assert found["n"].tolist() == [1.0, 2.5]


def test_folders_give_columns_where_that_is_asked_for(tmp_path: Path, wine: pd.DataFrame) -> None:
    places = [("1", "north%2Fwest"), ("2", "south"), ("3", "__HIVE_DEFAULT_PARTITION__")]
    for year, region in places:
        folder = tmp_path / "data" / f"year={year}" / f"region={region}"
        folder.mkdir(parents=True)
        wine[:10].to_parquet(folder / "part.parquet", index=False)
    ctx = FakeContext(tmp_path)
    split = {"by": "hash", "on": ["region"], "parts": {"a": 0.5, "b": 0.5}}
    made = applied(ctx, arguments(path="data", hive=True, split=split, key=["year"]))
    assert (made.columns["year"], made.columns["region"]) == ("int64", "string")
    found = [set(table(ctx, made, name)["region"].to_pylist()) for name in made.partitions]
    assert found == [{"north/west"}, {"south"}, {None}]
    assert "year" not in applied(ctx, arguments(path="data")).columns
    odd = tmp_path / "data" / "year=x" / "region=y"
    odd.mkdir(parents=True)
    wine[:10].to_parquet(odd / "part.parquet", index=False)
    assert applied(ctx, arguments(path="data", hive=True)).columns["year"] == "string"
    wine[:10].to_parquet(tmp_path / "data" / "loose.parquet", index=False)
    with pytest.raises(ResourceError, match=r"loose\.parquet has none"):
        applied(ctx, arguments(path="data", hive=True))


def test_a_column_without_any_value_in_a_partition_is_of_the_type_it_has_elsewhere(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("n,x\n1,\n2,\n")
    (tmp_path / "data" / "b.csv").write_text("n,x\n3,0.5\n")
    ctx = FakeContext(tmp_path)
    assert applied(ctx, arguments(path="data")).columns == {"n": "int64", "x": "float64"}
    alone = arguments(path="data/a.csv", schema={"x": "timestamp"})
    assert applied(ctx, alone).columns["x"] == "timestamp"


def test_only_a_partition_that_changed_is_read_again(tmp_path: Path, wine: pd.DataFrame) -> None:
    (tmp_path / "data").mkdir()
    wine[:60].to_csv(tmp_path / "data" / "a.csv", index=False)
    wine[60:].to_csv(tmp_path / "data" / "b.csv", index=False)
    ctx = FakeContext(tmp_path)
    before = applied(ctx, arguments(path="data"))
    ctx.made = 0
    wine[60:100].to_csv(tmp_path / "data" / "b.csv", index=False)
    after = applied(ctx, arguments(path="data"))
    assert ctx.made == 2  # the table and the facts of b.csv
    assert after.partitions["a.csv"] == before.partitions["a.csv"]
    assert after.partitions["b.csv"] != before.partitions["b.csv"]


def test_a_version_that_left_the_source_is_made_from_the_store(
    tmp_path: Path, wine: pd.DataFrame
) -> None:
    path = tmp_path / "wine.csv"
    wine.to_csv(path, index=False)
    ctx = FakeContext(tmp_path)
    new = arguments(path="wine.csv")
    before = applied(ctx, new)
    pinned = ctx.inputs
    wine[:10].to_csv(path, index=False)
    ctx.inputs = pinned
    assert File().apply(ctx, new, None).partitions == before.partitions
    fresh = FakeContext(tmp_path / "elsewhere", root=tmp_path, inputs=pinned)
    with pytest.raises(ResourceError) as caught:
        File().apply(fresh, new, None)
    assert caught.value.summary == "Version not available"
    assert "mlform update" in caught.value.detail


@pytest.mark.parametrize(
    ("given", "summary", "said"),
    [
        ({"path": "none.csv"}, "No data", "wine.csv"),
        ({"path": "*.pq"}, "No data", "wine.csv"),
        ({"path": "odd.txt"}, "Unknown format", "say format"),
        ({"path": "wine.csv", "columns": ["alcohol", "x"]}, "Unknown column", "no column x"),
        ({"path": "wine.csv", "key": ["y"]}, "Unknown column", "no column y"),
        ({"path": "wine.csv", "schema": {"alcohol": "string"}}, "Schema", "alcohol"),
        ({"path": "wine.csv", "expect": {"rows_min": 200}}, "", "178"),
        ({"path": "wine.csv", "expect": {"rows_max": 100}}, "", "178"),
        ({"path": "wine.csv", "expect": {"range": {"alcohol": [12, None]}}}, "", "alcohol"),
        ({"path": "wine.csv", "expect": {"in_set": {"target": [0, 1]}}}, "", "target"),
        ({"path": "wine.csv", "expect": {"unique": ["target"]}}, "", "target"),
        ({"path": "gaps.csv", "expect": {"null_rate_max": {"b": 0.1}}}, "", "b"),
        ({"path": "broken.parquet"}, "Unreadable data", "broken.parquet"),
        ({"path": "broken.csv.gz"}, "Unreadable data", "broken.csv.gz"),
        ({"path": "two.csv.zip"}, "Unreadable data", "2 files"),
    ],
)
def test_what_is_wrong_with_data_is_said(
    tmp_path: Path, wine: pd.DataFrame, given: dict[str, Any], summary: str, said: str
) -> None:
    wine.to_csv(tmp_path / "wine.csv", index=False)
    (tmp_path / "odd.txt").write_text("a\n1\n")
    (tmp_path / "gaps.csv").write_text("a,b\n1,\n2,3\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is none")
    (tmp_path / "broken.csv.gz").write_bytes(b"\x1f\x8b no gzip at all")
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(ResourceError) as caught:
        applied(FakeContext(tmp_path), arguments(**given))
    assert summary in caught.value.summary
    assert said in caught.value.detail


def test_numbers_that_are_none_are_no_accident(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1.5,nan\ninf,2.0\n-inf,3.5\n")
    made = applied(FakeContext(tmp_path), arguments(path="x.csv"))
    assert made.rows == 3
    ctx = FakeContext(tmp_path)
    with pytest.raises(ResourceError, match="b"):
        applied(ctx, arguments(path="x.csv", expect={"null_rate_max": {"b": 0.1}}))
    with pytest.raises(ResourceError, match="a"):
        applied(ctx, arguments(path="x.csv", expect={"range": {"a": [None, 100]}}))


def test_expectations_are_judged_anew_without_reading(tmp_path: Path, wine: pd.DataFrame) -> None:
    wine.to_csv(tmp_path / "wine.csv", index=False)
    ctx = FakeContext(tmp_path)
    new = arguments(path="wine.csv")
    made = applied(ctx, new)
    (tmp_path / "wine.csv").unlink()
    from mlform.sdk import Stored

    ctx.doing = "decide"
    stricter = arguments(path="wine.csv", expect={"rows_min": 500})
    with pytest.raises(ResourceError, match="178"):
        File().apply(ctx, stricter, Stored(new, made))
    assert File().apply(ctx, new, Stored(new, made)) == made


PARTS = {"train": 0.6, "validate": 0.2, "holdout": 0.2}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(), unique=True, max_size=60),
    st.lists(st.integers(), unique=True, max_size=60),
    st.integers(0, 5),
)
def test_a_row_stays_in_its_part_as_data_grow(
    before: list[int], more: list[int], seed: int
) -> None:
    split = HashSplit(by="hash", on=["id"], seed=seed, parts=PARTS)
    grown = [*more, *before]

    def parts(ids: list[int]) -> dict[int, str]:
        rows = pa.table({"id": pa.array(ids, pa.string() if not ids else None)})
        return dict(zip(ids, assign(rows, split).to_pylist(), strict=True))

    small = [i for i in before if -(2**63) <= i < 2**63]
    large = [i for i in dict.fromkeys(grown) if -(2**63) <= i < 2**63]
    first, second = parts(small), parts(large)
    assert all(second[i] == part for i, part in first.items())


def test_parts_have_their_shares_and_groups_stay_together() -> None:
    ids = pa.array(range(20_000))
    group = pa.array([i // 4 for i in range(20_000)])
    rows = pa.table({"id": ids, "group": group})
    alone = assign(rows, HashSplit(by="hash", on=["id"], parts=PARTS)).to_pylist()
    for part, share in PARTS.items():
        assert alone.count(part) / 20_000 == pytest.approx(share, abs=0.015)
    together = assign(rows, HashSplit(by="hash", on=["group"], parts=PARTS)).to_pylist()
    assert all(len(set(together[i : i + 4])) == 1 for i in range(0, 20_000, 4))


def test_blocks_of_time_stay_together() -> None:
    hours = pd.date_range("2024-01-01", periods=24 * 200, freq="h")
    rows = pa.table({"at": pa.array(hours)})
    split = TimeSplit(by="time", column="at", block="day", parts={"train": 0.7, "holdout": 0.3})
    parts = assign(rows, split).to_pylist()
    assert all(len(set(parts[i : i + 24])) == 1 for i in range(0, len(parts), 24))
    assert set(parts) == {"train", "holdout"}


def test_shares_must_add_up() -> None:
    with pytest.raises(ValueError, match=r"0.5 \+ 0.4 = 0.9"):
        HashSplit(by="hash", on=["id"], parts={"train": 0.5, "holdout": 0.4})


def test_the_order_in_which_parts_are_written_says_nothing():
    ids = pa.table({"id": list(range(500))})
    one, other = (
        assign(ids, HashSplit(by="hash", on=["id"], parts=parts)).to_pylist()
        for parts in ({"train": 0.7, "holdout": 0.3}, {"holdout": 0.3, "train": 0.7})
    )
    assert one == other
