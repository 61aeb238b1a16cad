"""A fairness rule on real lending data, through the installed command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.command import ROOT, Folder

RATE = re.compile(r'data-group="([^"]+)" data-of="([^"]+)">([\d.]+)%<')


@pytest.fixture
def lending(tmp_path: Path) -> Folder:
    path = tmp_path / "lending"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__")
    shutil.copytree(ROOT / "examples" / "lending", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    return Folder(path)


def test_an_unfair_model_is_held_until_the_rule_is_moved(lending: Folder) -> None:
    said = lending.mlform("apply", "-auto-approve", expect=3).out
    assert "failed: demographic_parity_ratio by race 0.749" in said
    assert "there is no champion yet" in said
    checks = lending.mlform("state", "show", "-json", "gate.fair").data["attributes"]["checks"]
    figures = {c["metric"]: c["estimate"] for c in checks}
    assert figures["demographic_parity_ratio"] == pytest.approx(0.749, abs=0.001)

    subprocess.run([sys.executable, "seen.py"], cwd=lending.path, check=True)
    drawn, committed = (
        {(of, group): float(rate) for group, of, rate in RATE.findall(text)}
        for text in (
            (lending.path / "seen.svg").read_text(),
            (ROOT / "examples" / "lending" / "seen.svg").read_text(),
        )
    )
    assert drawn == pytest.approx(committed, abs=0.2), "the page shows what a run gives"
    assert len(drawn) == 6

    assert lending.apply(expect=3) == {}
    moved = ["-var", "fair=0.7"]
    assert lending.actions(*moved) == {"gate.fair": "decide", "model.approval": "run?"}
    assert lending.apply(*moved) == {"gate.fair": "decide", "model.approval": "update"}
