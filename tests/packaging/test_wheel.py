"""What an installed mlform puts into site-packages, and what a command imports."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    assert list(out.glob("*.tar.gz")), "the wheel is built from the sdist"
    return built


def test_the_wheel_installs_our_names_and_no_others(wheel: Path) -> None:
    names = {n.split("/")[0] for n in zipfile.ZipFile(wheel).namelist()}
    packages = {n for n in names if not n.endswith(".dist-info")}
    folders = [*(ROOT / "engine").iterdir(), *(ROOT / "providers").iterdir()]

    assert packages == {f.name for f in folders if f.is_dir() and f.name.startswith("mlform")}


def test_the_wheel_is_typed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {n for n in names if n.endswith("py.typed")} >= {"mlform/py.typed"}


@pytest.mark.parametrize("arguments", [["--help"], ["validate"], ["plan", "--help"]])
def test_light_commands_import_no_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(
        'dataset "file" "d" {\n  path = "x.csv"\n}\n'
        'training_job "sklearn" "t" {\n  data = dataset.d\n  split = null\n  target = "y"\n'
        '  estimator = "sklearn.linear_model.LogisticRegression"\n}\n'
        'training_job "xgboost" "x" {\n  data = dataset.d\n  split = null\n  target = "y"\n}\n'
        'training_job "lightgbm" "l" {\n  data = dataset.d\n  split = null\n  target = "y"\n}\n'
        'training_job "tune" "s" {\n  data = dataset.d\n  split = null\n  target = "y"\n'
        '  trainer = "xgboost"\n'
        '  metric = "r2"\n  trials = 3\n  search = { max_depth = { values = [2, 3] } }\n}\n'
    )
    command = [sys.executable, "-X", "importtime", "-m", "mlform", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert done.returncode == 0, done.stderr[-2000:]
    assert "mlform.cli" in imported
    for heavy in (
        "pandas",
        "sklearn",
        "sqlalchemy",
        "numpy",
        "pyarrow",
        "xgboost",
        "lightgbm",
        "optuna",
    ):
        assert heavy not in imported, heavy
