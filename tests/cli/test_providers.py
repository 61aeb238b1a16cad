"""``providers``, ``providers schema`` and ``graph``, through the installed command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

SPEC = """
module "m" {
  source   = "./inner"
  for_each = { "a b" = "x.csv" }
  path     = each.value
}
training_job "sklearn" "t" {
  data      = module.m["a b"].data
  target    = "b"
  split     = null
  estimator = "sklearn.linear_model.LogisticRegression"
}
"""
INNER = """
variable "path" {
  type = string
}
dataset "file" "d" {
  path = var.path
}
output "data" {
  value = dataset.d
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "main.mlf.hcl").write_text(INNER)
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "x.csv").write_text("a,b\n1,0\n2,1\n")
    return Folder(tmp_path)


def test_providers_says_what_uses_them(folder: Folder) -> None:
    assert folder.mlform("providers", "-json").data == {
        "core": {"dataset.file": ['module.m["a b"].dataset.d']},
        "sklearn": {"training_job.sklearn": ["training_job.t"]},
    }
    assert "sklearn\n  training_job.sklearn  training_job.t\n" in folder.mlform("providers").out


def test_the_schema_has_every_type_with_its_documentation(folder: Folder) -> None:
    found = folder.mlform("providers", "schema", "-json").data
    path = found["providers"]["core"]["resources"]["dataset.file"]["arguments"]["path"]
    assert (path["class"], path["required"]) == ("identity", True)
    assert path["description"].startswith("A file, a glob or a folder")
    assert path["schema"]["type"] == "string"
    assert "training_job.sklearn" in found["providers"]["sklearn"]["resources"]
    assert "$ref" not in json.dumps(found)
    assert "``" not in json.dumps(found)
    text = folder.mlform("providers", "schema").out
    assert "dataset.file" in text and "``" not in text
    # A sentence is told whole, however many lines it takes in the source.
    assert "returns a pandas, Arrow or polars table, or a list of rows that are objects\n" in text


def test_graph_of_instances_blocks_and_a_plan(folder: Folder) -> None:
    dataset, job = 'module.m["a b"].dataset.d', "training_job.t"
    instances = folder.mlform("graph", "-format=json").data
    assert instances["edges"] == [{"from": dataset, "to": job}]
    config = folder.mlform("graph", "-type=config", "-format=json").data
    assert config["edges"] == [{"from": "module.m.dataset.d", "to": job}]
    plan = folder.mlform("graph", "-type=plan", "-format=json").data
    assert {n["address"]: n["action"] for n in plan["nodes"]} == {dataset: "run", job: "run"}
    assert {n["module"] for n in plan["nodes"]} == {None, 'module.m["a b"]'}

    dot = folder.mlform("graph").out
    assert '"module.m[\\"a b\\"].dataset.d" -> "training_job.t";' in dot
    assert "subgraph" in dot
    mermaid = folder.mlform("graph", "-format=mermaid").out
    assert 'n1["module.m[#quot;a b#quot;].dataset.d"]' in mermaid
    assert "-type is" in folder.mlform("graph", "-type=none", expect=1).err


def test_functions_are_described_as_terraform_does(folder: Folder) -> None:
    found = folder.mlform("metadata", "functions", "-json").data
    signatures = found["function_signatures"]
    assert found["format_version"] == "1.0"
    assert len(signatures) > 115
    assert all(s["description"] for s in signatures.values())
    substr = signatures["substr"]
    assert [(p["name"], p["type"]) for p in substr["parameters"]] == [
        ("str", "string"),
        ("offset", "number"),
        ("length", "number"),
    ]
    assert substr["return_type"] == "string"
    assert signatures["split"]["return_type"] == ["list", "string"]
    assert signatures["concat"]["variadic_parameter"]["type"] == "dynamic"
    assert "abs  " in folder.mlform("metadata", "functions").out
