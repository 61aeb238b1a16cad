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


SPLIT = """
dataset "file" "d" {
  path  = "d.csv"
  split = { by = "hash", on = ["id"], parts = { train = 0.7, holdout = 0.3 } }
}
training_job "sklearn" "t" {
  data      = dataset.d
  target    = "y"
  estimator = "sklearn.linear_model.LogisticRegression"
}
"""


@pytest.mark.parametrize(
    ("wrong", "at", "told"),
    [
        (("0.3 }", "0.4 }"), "4:11", "dataset.d: split: the parts must add up to 1; 0.7 + 0.4"),
        (('"hash",', '"hash", sed = 3,'), "4:26", "split.sed: there is no such argument here. Did"),
        (('"hash"', '"hsh"'), "4:18", 'split.by: must be "hash" or "time" or "stratified" (it is'),
        (('"hash"', '"hsh"'), "4:18", 'Did you mean "hash"?'),
        (('by = "hash",', ""), "4:11", 'dataset.d: split: needs "by".'),
        (('["id"]', '"id"'), "4:31", "dataset.d: split.on: a list is required"),
        (('"y"', "y"), "8:15", '"y" names nothing. Text is written in quotes: "y".'),
    ],
)
def test_parts_of_arguments_that_are_one_of_several_are_told_as_they_are_written(
    tmp_path: Path, wrong: tuple[str, str], at: str, told: str
) -> None:
    folder = Inside(tmp_path)
    (tmp_path / "main.mlf.hcl").write_text(SPLIT.replace(*wrong))
    said = folder.mlform("validate", expect=1).err
    assert told in said
    assert f"main.mlf.hcl:{at}," in said


def test_what_refers_to_a_block_of_an_unknown_type_is_no_second_mistake(tmp_path: Path) -> None:
    folder = Inside(tmp_path)
    gate = 'gate "data" "g" {\n  data = dataset.d\n  expect = { rows_min = dataset.d.rows }\n}\n'
    (tmp_path / "main.mlf.hcl").write_text(SPLIT.replace('"file"', '"fiel"') + gate)
    said = folder.mlform("validate", expect=1).err
    assert 'No installed provider offers dataset "fiel". Did you mean "file"?' in said
    assert said.count("Error: ") == 1
