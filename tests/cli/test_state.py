"""``mlform state``: looking back, comparing, taking out, putting in, and renaming."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.inside import Inside
from tests.scenarios.command import Folder

SPEC = """\
dataset "file" "d" {
  path = "d.csv"
}
feature_view "python" "f" {
  from      = dataset.d
  transform = "f.py:build"
}
output "rows" {
  value = dataset.d.rows
}
"""
CODE = "def build(frame):\n    return frame\n"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Two applies: the second with a row more."""
    path = tmp_path_factory.mktemp("applied")
    (path / "main.mlf.hcl").write_text(SPEC)
    (path / "f.py").write_text(CODE)
    (path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    folder = Inside(path)
    folder.apply()
    (path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    folder.apply()
    return folder


@pytest.fixture
def folder(applied: Inside, tmp_path: Path) -> Inside:
    """A copy of it that may be changed; looking at it costs nothing to set up."""
    import shutil

    shutil.copytree(applied.path, tmp_path / "copy")
    return Inside(tmp_path / "copy")


def serial(folder: Inside) -> int:
    return int(folder.mlform("show", "-json").data["serial"])


def state_of(folder: Inside, *arguments: str) -> dict[str, dict]:
    found = folder.mlform("state", "list", "-json", *arguments).data
    return {r["address"]: r for r in found["resources"]}


def test_every_serial_can_be_looked_at(applied: Inside) -> None:
    now = serial(applied)
    entries = [e for e in applied.mlform("state", "history", "-json").data if e["serial"]]
    assert [e["serial"] for e in entries] == list(range(1, now + 1))
    assert state_of(applied, "-serial", "0") == {}
    assert list(state_of(applied, "-serial", "1")) == ["dataset.d"]
    assert state_of(applied, "-serial", str(now)) == state_of(applied)
    first = applied.mlform("state", "show", "dataset.d", "-serial", "1", "-json").data
    assert first["attributes"]["rows"] == 2
    assert "rows       = 2" in applied.mlform("state", "show", "dataset.d", "-serial=1").out
    assert "As of serial 1 (20" in applied.mlform("state", "list", "-serial", "1").out


def test_a_time_is_the_state_after_all_that_was_written_until_then(applied: Inside) -> None:
    entries = [e for e in applied.mlform("state", "history", "-json").data if e["serial"]]
    for entry in entries[:3]:
        found = applied.mlform("state", "list", "-at", entry["at"], "-json").data
        assert found["serial"] == entry["serial"]
    today = datetime.fromisoformat(entries[-1]["at"])
    yesterday = f"{today - timedelta(days=1):%Y-%m-%d}"
    assert state_of(applied, "-at", f"{today:%Y-%m-%d}") == state_of(applied)
    assert "Nothing was recorded" in applied.mlform("state", "list", "-at", yesterday).out
    assert "is no time" in applied.mlform("state", "list", "-at", "soon", expect=1).err
    said = applied.mlform("state", "list", "-at", yesterday, "-serial", "1", expect=1)
    assert "give one of them" in said.err


def test_what_was_never_there_is_said_with_what_is_meant(applied: Inside) -> None:
    said = applied.mlform("state", "show", "dataset.dd", expect=1).err
    assert 'Did you mean "dataset.d"?' in said
    assert (
        "no serial 99" in applied.mlform("state", "show", "dataset.d", "-serial=99", expect=1).err
    )
    assert "never recorded" in applied.mlform("state", "history", "dataset.x", expect=1).err
    said = applied.mlform("show", "dataset.d", expect=1).err
    assert "There is no file dataset.d. `mlform state show dataset.d` shows a resource." in said


def test_differences_name_each_attribute(applied: Inside) -> None:
    second = next(
        e["serial"] - 1
        for e in applied.mlform("state", "history", "dataset.d", "-json").data
        if e["serial"] > 1
    )
    said = applied.mlform("state", "diff", str(second), "now", "-json").data
    assert [(r["name"], r["change"]) for r in said["resources"]] == [
        ("dataset.d", "changed"),
        ("feature_view.f", "changed"),
    ]
    fields = said["resources"][0]["fields"]
    assert fields["attributes.rows"] == {"before": 2, "after": 3}
    assert said["outputs"][0]["fields"]["value"] == {"before": 2, "after": 3}
    text = applied.mlform("state", "diff", str(second)).out
    assert "~ dataset.d\n" in text
    assert "attributes.rows " in text
    assert "= 2 → 3" in text
    assert "2 changed; 1 output changed." in text
    assert "+ dataset.d" in applied.mlform("state", "diff", "0", "1").out
    applied.mlform("state", "diff", "1", "2", "-detailed-exitcode", expect=2)
    assert "nothing differs" in applied.mlform("state", "diff", "1", "1", "-detailed-exitcode").out


def test_what_was_pulled_is_pushed_into_an_empty_folder_and_nothing_runs(folder: Inside) -> None:
    document = folder.mlform("state", "pull").out
    assert document == folder.mlform("state", "pull").out
    (folder.path / "state.json").write_text(document)
    before = state_of(folder)
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (folder.path / ".mlform" / name).unlink(missing_ok=True)
    assert state_of(folder) == {}
    folder.mlform("state", "push", "state.json")
    assert state_of(folder) == before
    assert folder.actions() == {}
    assert folder.output("rows") == "3"


def test_push_refuses_what_is_older_altered_or_of_another_state(folder: Inside) -> None:
    old = folder.path / "old.json"
    old.write_text(folder.mlform("state", "pull").out)
    assert "nothing differs" in folder.mlform("state", "push", "old.json").out
    folder.mlform("state", "rm", "feature_view.f")
    now, there = serial(folder), state_of(folder)

    assert "older" in folder.mlform("state", "push", "old.json", expect=1).err
    altered = old.read_text().replace('"rows": 3', '"rows": 4')
    (folder.path / "altered.json").write_text(altered)
    assert "altered" in folder.mlform("state", "push", "altered.json", expect=1).err
    data = json.loads(old.read_text())
    (folder.path / "newer.json").write_text(json.dumps({**data, "format": 99}))
    assert "format 99" in folder.mlform("state", "push", "newer.json", expect=1).err
    (folder.path / "half.json").write_text(old.read_text()[:900])
    for broken in ("half.json", "d.csv", "none.json"):
        folder.mlform("state", "push", broken, "-force", expect=1)
    assert (serial(folder), state_of(folder)) == (now, there)

    assert (
        "+ feature_view.f" in folder.mlform("state", "push", "old.json", "-force", "-dry-run").out
    )
    assert serial(folder) == now
    folder.mlform("state", "push", "old.json", "-force")
    assert serial(folder) == now + 1
    assert "feature_view.f" in state_of(folder)
    assert folder.actions() == {}


def test_push_refuses_another_lineage_and_raises_the_serial_above_a_later_one(
    folder: Inside, applied: Inside, tmp_path: Path
) -> None:
    other = Inside(tmp_path / "other")
    other.path.mkdir()
    (other.path / "main.mlf.hcl").write_text('output "o" {\n  value = 1\n}\n')
    other.apply()
    (other.path / "there.json").write_text(applied.mlform("state", "pull").out)
    assert "another state" in other.mlform("state", "push", "there.json", expect=1).err

    early = folder.path / ".mlform" / "state.db"
    saved = early.read_bytes()
    folder.mlform("taint", "dataset.d")
    folder.mlform("untaint", "dataset.d")
    (folder.path / "late.json").write_text(folder.mlform("state", "pull").out)
    late = serial(folder)
    folder.mlform("state", "rm", "feature_view.f")
    early.write_bytes(saved)
    folder.mlform("state", "rm", "dataset.d")
    folder.mlform("state", "push", "late.json")
    assert serial(folder) == late + 1
    assert sorted(state_of(folder)) == ["dataset.d", "feature_view.f"]


def test_mv_renames_and_the_plan_is_empty_once_the_spec_says_so_too(folder: Inside) -> None:
    assert (
        "would move dataset.d → dataset.e"
        in folder.mlform("state", "mv", "-dry-run", "dataset.d", "dataset.e").out
    )
    assert sorted(state_of(folder)) == ["dataset.d", "feature_view.f"]
    said = folder.mlform("state", "mv", "dataset.d", "dataset.e").out
    assert "What needs it names it anew: feature_view.f." in said
    assert state_of(folder)["feature_view.f"]["needs"] == ["dataset.e"]
    spec = folder.path / "main.mlf.hcl"
    spec.write_text(spec.read_text().replace("dataset.d", "dataset.e").replace('"d"', '"e"'))
    assert folder.actions() == {}
    history = folder.mlform("state", "history", "dataset.e").out
    assert "dataset.d → dataset.e" in history


def test_a_pin_goes_along_whatever_lies_there_and_whenever_it_is_killed(tmp_path: Path) -> None:
    block = 'dataset "file" "{}" {{\n  path = "d.csv"\n  version = {{ mode = "pin" }}\n}}\n'
    (tmp_path / "main.mlf.hcl").write_text(block.format("a") + block.format("b"))
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n")
    folder = Inside(tmp_path)
    folder.apply()
    (tmp_path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    folder.mlform("update", "dataset.a")
    (tmp_path / "main.mlf.hcl").write_text(block.format("a"))
    folder.apply()
    (tmp_path / "d.csv").write_text("a,b\n4,z\n")
    killed = Folder(tmp_path, {"MLFORM_FAILPOINTS": "state.committed:3:kill"})
    killed.mlform("state", "mv", "dataset.a", "dataset.b", expect=-signal.SIGKILL)
    (tmp_path / "main.mlf.hcl").write_text(block.format("b"))
    assert list(state_of(folder)) == ["dataset.b"]
    assert folder.actions() == {}


def test_mv_refuses_what_cannot_be(folder: Inside) -> None:
    def refused(source: str, target: str) -> str:
        return folder.mlform("state", "mv", source, target, expect=1).err

    assert 'Did you mean "dataset.d"?' in refused("dataset.dd", "dataset.e")
    assert "cannot become a dataset" in refused("feature_view.f", "dataset.e")
    assert "is no address" in refused("dataset.d", "e")
    assert "a module to a module" in refused("dataset.d", "module.m")
    folder.mlform("state", "mv", "dataset.d", 'dataset.d["eu"]')
    folder.mlform("state", "mv", "dataset.d", "module.m.dataset.e")
    folder.mlform("state", "mv", "module.m", "module.n")
    assert sorted(state_of(folder)) == ["feature_view.f", 'module.n.dataset.e["eu"]']


def test_rm_forgets_and_what_was_made_is_taken_again(folder: Inside) -> None:
    said = folder.mlform("state", "rm", "-dry-run", "dataset.d").out
    assert "would forget dataset.d" in said
    assert "Did you mean" in folder.mlform("state", "rm", "dataset.dd", expect=1).err
    assert "made from it: feature_view.f" in said
    assert len(state_of(folder)) == 2
    done = folder.mlform("state", "rm", "dataset.d", "feature_view.f", "-json").data
    assert [c["from"] for c in done["changes"]] == ["dataset.d", "feature_view.f"]
    assert done["serial"] == serial(folder)
    assert state_of(folder) == {}
    assert folder.actions()["dataset.d"] == "reuse"


def test_replace_provider_wants_one_that_offers_the_types(folder: Inside) -> None:
    said = folder.mlform("state", "replace-provider", "core", "sklearn", expect=1).err
    assert 'does not offer dataset "file" (dataset.d)' in said
    said = folder.mlform("state", "replace-provider", "cor", "core", expect=1).err
    assert 'Did you mean "core"?' in said
    said = folder.mlform("state", "replace-provider", "core", "cora", expect=1).err
    assert 'Did you mean "core"?' in said
    folder.mlform("state", "replace-provider", "core", "core.second")
    assert state_of(folder)["dataset.d"]["receipt"]["provider"] == "core.second"
    folder.mlform("state", "replace-provider", "core.second", "core")
    assert folder.actions() == {}


def test_changes_by_hand_hold_the_lock_and_keep_the_chain(folder: Inside) -> None:
    from mlform.state.store import SqlStore

    folder.mlform("state", "rm", "feature_view.f")
    folder.mlform("state", "mv", "dataset.d", "dataset.e")
    store = SqlStore(f"sqlite:///{folder.path}/.mlform/state.db")
    with store.lock("apply"):
        (folder.path / "s.json").write_text(folder.mlform("state", "pull").out)
        apart = Folder(folder.path)  # in a process of its own, as two people would
        for command in (["rm", "dataset.e"], ["mv", "dataset.e", "dataset.f"], ["push", "s.json"]):
            assert "apply" in apart.mlform("state", *command, expect=4).err
    assert store.verify() == []
    with closing(sqlite3.connect(folder.path / ".mlform/state.db")) as database, database:
        database.execute("UPDATE journal SET detail = '{}' WHERE operation = 'revised'")
    assert store.verify() != []
    store.close()


def test_now_is_utc_whatever_the_zone(applied: Inside) -> None:
    day = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    assert state_of(applied, "-at", day) == state_of(applied)
