"""What is written as an address may have an index that is worked out: each trigger its monitor."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.bells import made
from tests.scenarios.command import Folder

ON = "  on      = [monitor.b[var.main].alarm, monitor.b[local.regions[1]]]"
SPEC = """
locals {
  regions = ["eu", "us"]
}
variable "main" {
  default = "us"
}
dataset "file" "d" {
  path    = "d.csv"
  version = { mode = "pin" }
}
monitor "bell" "b" {
  for_each = toset(local.regions)
  path     = "${each.key}.txt"
}
trigger "again" {
  for_each = toset(local.regions)
  on       = [monitor.b[each.key].alarm]
  advance  = [dataset.d]
  mode     = "propose"
}
trigger "main" {
  on      = [monitor.b[var.main].alarm, monitor.b[local.regions[1]]]
  advance = [dataset.d]
  mode    = "propose"
}
"""


def folder_of(site: Path) -> Folder:
    folder = made(site)
    for region in ("eu", "us"):
        (folder.path / f"{region}.txt").write_text("")
    (folder.path / "main.mlf.hcl").write_text(SPEC)
    return folder


def test_an_alarm_sets_off_the_triggers_whose_index_is_that_of_its_monitor(site: Path) -> None:
    folder = folder_of(site)
    folder.apply()
    assert folder.actions() == {}
    (folder.path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    (folder.path / "us.txt").write_text("it drifts\n")
    folder.mlform("monitor", "run")
    said = folder.mlform("reapply", "-json").lines
    alarms = {x["address"]: x["alarms"] for x in said if x["type"] == "trigger"}
    assert {a: len(n) for a, n in alarms.items()} == {
        'trigger.again["us"]': 1,
        "trigger.main": 1,
    }


def test_what_is_no_address_is_told_in_place(site: Path) -> None:
    folder = folder_of(site)
    spec = folder.path / "main.mlf.hcl"
    summaries: list[str] = []
    for written, caret, told in (
        ("local.regions", "local.regions", "KIND.NAME or KIND.NAME[KEY]; only in the brackets"),
        ("monitor.b[each.key]", "each.key", '"each" has a value only in a block with `for_each`.'),
        ("monitor.b[var.mian]", "var.mian", 'no variable "mian". Did you mean "main"?'),
        ("monitor.b[dataset.d.rows]", "dataset.d.rows", "must be known while planning"),
        ('monitor.b["fr"].alarm', 'monitor.b["fr"].alarm', 'There is no monitor.b["fr"].'),
        ("sensitive(1).b.alarm", "sensitive(1).b.alarm", "is no address: write KIND.NAME"),
    ):
        line = f"  on      = [{written}]"
        spec.write_text(SPEC.replace(ON, line))
        said = folder.mlform("validate", expect=1).err
        assert said.count("Error: ") == 1
        summaries += re.findall("Error: (.*)", said)
        assert told in said
        assert f"│ {line}\n     │ {' ' * line.index(caret)}{'^' * len(caret)}\n" in said
    assert summaries == [
        "Not an address",
        "Unknown reference",
        "Unknown reference",
        "Index not known",
        "Unknown reference",
        "Not an address",
    ]
