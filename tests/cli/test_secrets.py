"""A secret, followed through everything a run leaves behind and says."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

import pytest
from tests.scenarios.command import Folder, Said

from mlform.apply.redaction import SHOWN, Redactor

CANARY = 'canary "7f3a/ä+%" secret'
PROVIDER = """\
import base64, sys, urllib.parse
from mlform.sdk import *


class KeyArguments(Arguments):
    token: Secret[str] = ""
    once: WriteOnly[str] = ""
    fail: Operational[bool] = False


class KeyAttributes(Attributes):
    length: int


class Key(Resource[KeyArguments, KeyAttributes], kind="training_job", type="key"):
    \"\"\"Tells its secret to everybody.\"\"\"

    def apply(self, ctx, new, old):
        for secret in (new.token, new.once):
            print("printed", secret)
            print("as base64", base64.b64encode(b"a:" + secret.encode()).decode(), file=sys.stderr)
            ctx.log(f"logged {urllib.parse.quote(secret)}")
            ctx.progress(1, 2, f"noted {secret}")
        if new.fail:
            raise RuntimeError(f"cannot use {new.token!r} nor {new.once}")
        return KeyAttributes(length=len(new.token))


class Leaky(Provider):
    def resources(self):
        return [Key()]
"""
SPEC = """\
variable "secret" {
  type      = string
  sensitive = true
}
variable "passing" {
  type      = string
  ephemeral = true
  default   = null
}
variable "fail" {
  type    = bool
  default = false
}
training_job "key" "k" {
  token = var.secret
  once  = var.passing
  fail  = var.fail
}
output "shown" {
  value     = "with ${var.secret}"
  sensitive = true
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A spec, and a provider that is found as an installed one is."""
    site, spec = tmp_path / "site", tmp_path / "spec"
    info = site / "leaky-1.0.dist-info"
    info.mkdir(parents=True)
    spec.mkdir()
    (site / "leaky.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nleaky = leaky:Leaky\n")
    (spec / "main.mlf.hcl").write_text(SPEC)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    canary = {"MLF_VAR_secret": CANARY, "MLF_VAR_passing": CANARY}
    return Folder(spec, {"PYTHONPATH": path, **canary})


def forms() -> list[bytes]:
    plain = [CANARY, quote(CANARY), quote(CANARY, safe=""), json.dumps(CANARY)[1:-1]]
    inside = base64.b64encode(b"a:" + CANARY.encode()).decode()[4:-4]
    return [form.encode() for form in [*plain, "7f3a/", inside]]


def test_nothing_says_it_and_no_file_holds_it(folder: Folder) -> None:
    said: list[Said] = []
    said.append(folder.mlform("plan", "-out", "p.plan"))
    said.append(folder.mlform("show", "-json", "p.plan"))
    said.append(folder.mlform("apply", "p.plan"))
    assert SHOWN in said[-1].out, "what it logs is told, without the secret"
    said.append(folder.mlform("plan", "-json", "-detailed-exitcode"))
    said.append(folder.mlform("apply", "-auto-approve", "-json", "-var", "fail=true", expect=1))
    assert "cannot use" in said[-1].out, "what failed is told"
    said += [folder.mlform("state", *c) for c in (["history", "-json"], ["pull"])]
    told = ["show", "state show training_job.k", "state history", "state diff 0", "output"]
    hashes = [folder.mlform(*c.split(), "-json") for c in (*told, "audit training_job.k")]
    assert not any("scrypt" in it.out for it in hashes), "nobody is given a hash to guess at"
    assert sum('{"$sensitive":true}' in "".join(it.out.split()) for it in hashes) == 5
    said += hashes
    folder.mlform("audit", "training_job.k", "-export", "dossier.zip")
    with ZipFile(folder.path / "dossier.zip") as archive:
        archive.extractall(folder.path / "dossier")
    checked = subprocess.run([sys.executable, folder.path / "dossier" / "verify.py"], check=False)
    assert checked.returncode == 0
    said.append(folder.mlform("destroy", "-auto-approve"))
    for one in said:
        for form in forms():
            assert form not in (one.out + one.err).encode(), form
    files = [p for p in folder.path.rglob("*") if p.is_file()]
    assert any(p.name == "log.txt" for p in files)
    for form in forms():
        held = [p.relative_to(folder.path).as_posix() for p in files if form in p.read_bytes()]
        assert held == [], form


def test_texts_without_a_secret_stay_as_they_are() -> None:
    clean = Redactor(["", "abc", CANARY])
    assert clean("abc and nothing else") == "abc and nothing else"
    assert clean(f"<{CANARY}>") == f"<{SHOWN}>"
    assert Redactor([])(CANARY) == CANARY


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("after", ["", "z", "zz"])
def test_base64_is_found_wherever_it_begins(before: str, after: str) -> None:
    written = base64.b64encode((before + CANARY + after).encode()).decode()
    cleaned = Redactor([CANARY])(written)
    assert SHOWN in cleaned
    assert len(cleaned) < len(SHOWN) + 12, "no more than the ends are left"


def test_several_lines_are_found_one_by_one() -> None:
    assert sys.getdefaultencoding() == "utf-8"
    clean = Redactor(["first line\nsecond line"])
    assert clean("…second line…") == f"…{SHOWN}…"
