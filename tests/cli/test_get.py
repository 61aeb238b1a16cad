"""``get``, with real repositories served from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INNER = 'variable "n" {\n  type = number\n}\noutput "twice" {\n  value = var.n * 2\n}\n'


def git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "modules" / "twice").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "modules" / "twice" / "main.mlf.hcl").write_text(INNER)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "tag", "v1")
    (folder / "modules" / "twice" / "main.mlf.hcl").write_text(INNER.replace("* 2", "* 3"))
    git(folder, "commit", "--quiet", "-am", "second")
    return folder


def mlform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlform", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def spec(folder: Path, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "main.mlf.hcl").write_text(
        f'module "m" {{\n  source = "{source}"\n  n = 21\n}}\n'
        'output "result" {\n  value = module.m.twice\n}\n'
    )
    return folder


def result(folder: Path) -> str:
    assert mlform(folder, "apply", "-auto-approve").returncode == 0
    return mlform(folder, "output").stdout.strip()


def test_a_module_is_fetched_at_a_tag_and_used(tmp_path: Path, repository: Path) -> None:
    folder = spec(tmp_path / "spec", f"git::file://{repository}//modules/twice?ref=v1")
    before = mlform(folder, "validate")
    assert before.returncode == 1
    assert "mlform get" in before.stderr
    done = mlform(folder, "get")
    assert (done.returncode, done.stderr) == (0, "")
    assert git(repository, "rev-parse", "v1")[:12] in done.stdout
    assert result(folder) == "result = 42"
    assert "in place" in mlform(folder, "get").stdout


def test_a_branch_moves_only_with_update(tmp_path: Path, repository: Path) -> None:
    git(repository, "branch", "work")
    folder = spec(tmp_path / "spec", f"git::file://{repository}//modules/twice?ref=work")
    mlform(folder, "get")
    assert result(folder) == "result = 63"
    git(repository, "checkout", "--quiet", "work")
    (repository / "modules" / "twice" / "main.mlf.hcl").write_text(INNER.replace("* 2", "* 4"))
    git(repository, "commit", "--quiet", "-am", "third")
    mlform(folder, "get")
    assert result(folder) == "result = 63"
    mlform(folder, "get", "-update")
    assert result(folder) == "result = 84"


def test_a_commit_can_be_named(tmp_path: Path, repository: Path) -> None:
    commit = git(repository, "rev-parse", "v1")
    folder = spec(tmp_path / "spec", f"git::file://{repository}//modules/twice?ref={commit}")
    assert mlform(folder, "get").returncode == 0
    assert result(folder) == "result = 42"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("git::file:///nowhere/at-all.git", "git could not fetch"),
        ("git::file://{repository}//none", 'no folder "none"'),
        ("git::file://{repository}?ref=none", "git could not fetch"),
        ("git::file://{repository}?rev=1", "?ref="),
        ("git::file://{repository}//../x", "leads out"),
        ("git::ext::sh -c true", "no source"),
        ("git::https://me:canary@localhost:1/x.git", "git could not fetch"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    tmp_path: Path, repository: Path, source: str, said: str
) -> None:
    folder = spec(tmp_path / "spec", source.format(repository=repository))
    done = mlform(folder, "get")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr.replace(source, "")
    left = tmp_path / "spec" / ".mlform" / "modules"
    assert not left.exists() or not [p for p in left.iterdir() if p.name.endswith(".tmp")]


def test_nothing_to_fetch_is_said(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text('output "x" {\n  value = 1\n}\n')
    done = mlform(tmp_path, "get")
    assert (done.returncode, done.stdout) == (
        0,
        "Nothing to fetch: every module lies beside its caller.\n",
    )
