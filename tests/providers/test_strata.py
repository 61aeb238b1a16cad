"""Splits by strata: rows never move, and each stratum is held to the shares or told why not."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mlform.sdk import Looking, ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core import tables
from mlform_core.file import File, FileArguments
from mlform_core.splits import StratifiedSplit

PARTS = {"train": 0.7, "holdout": 0.3}


def rows(count: int, start: int = 0) -> pa.Table:
    ids = list(range(start, start + count))
    return pa.table({"id": ids, "rare": [i % 12 == 0 for i in ids], "x": [i / 7 for i in ids]})


class Data:
    """A folder of files, as a dataset."""

    def __init__(self, base: Path) -> None:
        self.base, self.ctx = base, FakeContext(base)
        (base / "d").mkdir()

    def put(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.base / "d" / name)

    def apply(self, **split: object):
        said = {"by": "stratified", "on": ["id"], "strata": ["rare"], "parts": PARTS, **split}
        new = FileArguments.model_validate({"path": "d", "split": said})
        looking: Looking = self.ctx
        self.ctx.inputs = File().inputs(looking, new)
        return File().apply(self.ctx, new, None)

    def parts(self, found) -> dict[int, str]:
        told: dict[int, str] = {}
        for artifact in found.partitions.values():
            table = pq.read_table(self.ctx.artifacts.path(artifact.digest))
            told |= dict(zip(table["id"].to_pylist(), table[tables.SPLIT].to_pylist(), strict=True))
        return told


def test_a_seed_is_named_under_which_every_stratum_has_its_shares_and_no_row_moves(tmp_path):
    data = Data(tmp_path)
    data.put("a.parquet", rows(1500))
    data.put("b.parquet", rows(1500, 1500))
    with pytest.raises(ResourceError, match="Strata are not balanced") as refused:
        data.apply(seed=3, tolerance=0.004)
    said = refused.value.detail
    assert re.search(r"rare=(true|false) \(\S+ rows\) has \d+\.\d% in (train|holdout)", said)
    named = re.search(r"With seed = (\d+) every stratum is within 0\.\d%", said)
    assert named is not None, said
    found = data.apply(seed=int(named[1]), tolerance=0.004)
    assert {s: sum(p.values()) for s, p in found.strata.items()} == {
        "rare=false": 2750,
        "rare=true": 250,
    }
    for counts in found.strata.values():
        share = counts["holdout"] / sum(counts.values())
        assert share == pytest.approx(0.3, abs=0.004)
    before = data.parts(found)
    data.put("a.parquet", rows(1700))
    data.put("c.parquet", rows(900, 3000))
    after = data.parts(data.apply(seed=int(named[1]), tolerance=0.05))
    assert {i: after[i] for i in before} == before


def test_what_cannot_be_divided_so_evenly_is_said(tmp_path):
    data = Data(tmp_path)
    data.put("a.parquet", rows(480))
    with pytest.raises(ResourceError, match="small strata cannot be divided so evenly"):
        data.apply(tolerance=0.0001, min_rows=10)
    assert data.apply(tolerance=0.2, min_rows=30).strata["rare=true"]["train"] > 0
    with pytest.raises(ResourceError, match="x tells more than 50 strata apart"):
        data.apply(strata=["x"])
    with pytest.raises(ResourceError, match="There is no column colour"):
        data.apply(strata=["colour"])
    with pytest.raises(ValidationError, match="must add up to 1"):
        StratifiedSplit(by="stratified", on=["id"], strata=["rare"], parts={"train": 0.5})
