"""Three candidates by one module, on real data, through the installed command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.command import ROOT, Folder

CANDIDATES = ("boosted", "forest", "linear")


@pytest.fixture
def contest(tmp_path: Path) -> Folder:
    path = tmp_path / "contest"
    ignore = shutil.ignore_patterns("data", ".mlform", "__pycache__")
    shutil.copytree(ROOT / "examples" / "contest", path, ignore=ignore)
    subprocess.run([sys.executable, "fetch.py"], cwd=path, check=True, capture_output=True)
    return Folder(path)


def test_candidates_are_made_by_a_module_and_judged_alike(contest: Folder) -> None:
    first = contest.apply()
    gates = {f'module.candidate["{name}"].gate.good' for name in CANDIDATES}
    assert first["model.tumours"] == "create"
    assert gates <= first.keys()
    assert contest.actions() == {}
    assert contest.actions("-var", "winner=linear") == {"model.tumours": "update"}

    strict = ["-var", "least=0.9999"]
    assert contest.actions(*strict) == dict.fromkeys(gates, "decide")
    done = contest.mlform("apply", "-auto-approve", *strict)
    assert "Warning: Check failed" in done.err
    assert "Not good enough" in done.err
    refused = contest.mlform("plan", *strict, "-var", "winner=linear", expect=1)
    assert "linear did not pass its gate" in refused.err


def test_a_wrong_winner_is_refused_before_anything_runs(contest: Folder) -> None:
    refused = contest.mlform("validate", "-var", "winner=none", expect=1)
    assert "there are boosted, forest, linear" in refused.err
    assert "modules" not in refused.err


def test_a_plan_for_a_pull_request(contest: Folder) -> None:
    said = contest.mlform("plan", "-markdown", "-out", "p.plan").out
    assert said.startswith("### Plan: 1 create, 7 run; 0 unchanged\n")
    assert '| `module.candidate["forest"].gate.good` | run | not applied yet |  |\n' in said
    assert contest.mlform("show", "-markdown", "p.plan").out == said
