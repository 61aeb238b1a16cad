"""Models beside each other, and one that is rolled back, on real flights; as the example says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.scenarios.command import ROOT, Folder


@pytest.fixture
def rollout(tmp_path: Path) -> Iterator[Folder]:
    path = tmp_path / "rollout"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__", "live.*g", "live.md")
    shutil.copytree(ROOT / "examples" / "rollout", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    known = path / "data" / "flights.parquet"
    pd.read_parquet(known)[::3].to_parquet(known, index=False)  # a third of the work
    folder = Folder(path)
    yield folder
    folder.mlform("destroy", "-auto-approve")


def test_a_bad_model_is_taken_back_and_nobody_notices(rollout: Folder) -> None:
    assert len(rollout.apply()) == 11  # in one round: the keys of what is judged are known
    live = [sys.executable, "live.py", "--rows", "300"]
    said = subprocess.run(live, cwd=rollout.path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    page = (rollout.path / "live.md").read_text()
    for model in ("boosted", "forest", "linear"):
        assert f"| {model} |" in page
    assert "refusals in" in page
    assert "requests meanwhile 0 failed." in page
    assert (rollout.path / "live.svg").read_text().startswith("<svg")

    held = rollout.mlform("plan", "-var", "unknown=error").out
    assert "quarantined" in held
    assert "deployment.late_api" not in rollout.apply()  # it serves the model of before already
    assert rollout.actions() == {}
