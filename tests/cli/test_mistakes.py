"""Arguments of the providers that come along, refused: in what words, and where the caret is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.inside import Inside

SPEC = """\
dataset "object" "sales" {
  url = "bucket/sales.parquet"
}
training_job "sklearn" "t" {
  data      = dataset.sales
  target    = "amount"
  estimator = "LogisticRegression"
}
model "registry" "m" {
  candidate = training_job.t
  channels = {
    champion = {}
  }
}
"""


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2:9", 'url: must be written as "s3://bucket/sales/*.parquet" is'),
        ("7:15", 'must be written as "sklearn.linear_model.LogisticRegression" is'),
        ("12:5", 'channels: "champion" cannot be the name of a channel'),
    ],
)
def test_how_it_is_written_is_said_where_it_is_wrong(tmp_path: Path, at: str, text: str) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    told = Inside(tmp_path).mlform("validate", expect=1).err
    (one,) = (it for it in told.split("Error: ") if text in it)
    assert f"main.mlf.hcl:{at}," in one
