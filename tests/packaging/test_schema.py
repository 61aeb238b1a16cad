"""The contracts in schema/ are those of the code, and what commands print keeps them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from jsonschema import Draft202012Validator
from tests.scenarios.command import Folder

SCHEMA = Path(__file__).parents[2] / "schema"

SPEC = """
dataset "file" "d" {
  path = "d.csv"
}
output "rows" {
  value = dataset.d.rows
}
"""


def test_the_contracts_are_those_of_the_code() -> None:
    wanted = runpy.run_path(str(SCHEMA / "generate.py"))["contracts"]()
    there = {p.relative_to(SCHEMA).as_posix(): p.read_text() for p in SCHEMA.rglob("*.json")}

    assert there == wanted, "run `make schema` and read the difference"


def _keeps(name: str, data: object) -> None:
    schema = json.loads((SCHEMA / f"{name}.schema.json").read_text())
    errors = [e.message for e in Draft202012Validator(schema).iter_errors(data)]
    assert errors == []


def test_what_commands_print_keeps_the_contracts(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(SPEC)
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    folder = Folder(tmp_path)

    _keeps("plan", folder.mlform("plan", "-json").data)
    for line in folder.mlform("apply", "-auto-approve", "-json").lines:
        _keeps("events", line)
    _keeps("state", folder.mlform("show", "-json").data)
    _keeps("why", folder.mlform("why", "dataset.d", "-json").data)
    _keeps("why-not", folder.mlform("why", "-not", "dataset.d", "-json").data)
    _keeps("savings", folder.mlform("savings", "-json").data)
    _keeps("diagnostics", folder.mlform("validate", "-json").lines[0])
    folder.edit("main.mlf.hcl", "dataset.d.rows", "dataset.e.rows")
    _keeps("diagnostics", folder.mlform("validate", "-json", expect=1).lines[0])
