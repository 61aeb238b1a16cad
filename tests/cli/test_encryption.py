"""Encryption at rest: state and saved plans, keys that change, rows that are moved."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.cli.inside import Inside
from tests.postgres import Server

SPEC = """\
variable "passphrase" {
  type      = string
  sensitive = true
  default   = ""
}
variable "before" {
  type      = string
  sensitive = true
  default   = ""
}
dataset "file" "d" {
  path   = "d.csv"
  owner  = "canary-argument"
  expect = { rows_min = 1 }
}
dataset "file" "e" {
  path   = "d.csv"
  expect = { rows_min = 2 }
}
output "o" {
  value = "canary-output"
}
"""
PASSPHRASE = """\
mlform {
  encryption {
    passphrase = var.passphrase
  }
}
"""
BOTH = PASSPHRASE.replace(
    "var.passphrase\n",
    "var.passphrase\n    fallback {\n      passphrase = var.before\n    }\n",
)
FIRST, SECOND = "correct horse battery", "another long passphrase"


def configure(folder: Inside, text: str = PASSPHRASE, key: str = FIRST) -> Inside:
    (folder.path / "settings.mlf.hcl").write_text(text)
    folder.environment = {"MLF_VAR_passphrase": key, "MLF_VAR_before": FIRST}
    return folder


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One state that was encrypted from the first, and one in clear."""
    made = {}
    for name in ("encrypted", "clear"):
        path = tmp_path_factory.mktemp(name)
        (path / "main.mlf.hcl").write_text(SPEC)
        (path / "d.csv").write_text("a,b\n1,x\n2,y\n")
        folder = Inside(path)
        if name == "encrypted":
            configure(folder)
        folder.apply()
        made[name] = path
    return made


@pytest.fixture
def encrypted(applied: dict[str, Path], tmp_path: Path) -> Inside:
    shutil.copytree(applied["encrypted"], tmp_path / "copy")
    return configure(Inside(tmp_path / "copy"))


@pytest.fixture
def clear(applied: dict[str, Path], tmp_path: Path) -> Inside:
    shutil.copytree(applied["clear"], tmp_path / "copy")
    return Inside(tmp_path / "copy")


def there(folder: Inside, text: str) -> list[str]:
    """Return the files of the state that hold a text."""
    files = [p for p in (folder.path / ".mlform").glob("state.db*") if p.is_file()]
    files += folder.path.glob("*.plan")
    return sorted(p.name for p in files if text.encode() in p.read_bytes())


def test_nothing_recorded_stands_in_clear_and_all_of_it_works(encrypted: Inside) -> None:
    encrypted.mlform("plan", "-out", "p.plan")
    assert there(encrypted, "canary") == []
    assert encrypted.actions() == {}
    assert encrypted.output("o") == "canary-output"
    shown = encrypted.mlform("state", "show", "dataset.d", "-json").data
    assert shown["arguments"]["owner"] == "canary-argument"
    assert encrypted.mlform("audit", "verify", "-json").data["valid"] is True
    assert encrypted.mlform("show", "p.plan").out
    encrypted.mlform("taint", "dataset.d")
    encrypted.mlform("state", "mv", "dataset.e", "dataset.f")
    assert encrypted.mlform("state", "list", "-serial", "1", "-json").data["resources"]
    encrypted.edit("main.mlf.hcl", '"e"', '"f"')
    encrypted.mlform("plan", "-out", "q.plan")
    encrypted.mlform("apply", "q.plan")
    assert encrypted.actions() == {}
    assert there(encrypted, "canary") == []
    assert encrypted.mlform("audit", "verify", "-json").data["valid"] is True


SECRET = """\
dataset "file" "s" {
  path  = "d.csv"
  owner = var.before
}
output "s" {
  value     = var.before
  sensitive = true
}
"""


def test_a_document_gives_nobody_a_hash_to_guess_at(encrypted: Inside) -> None:
    """Pulled, it can be pushed by who has the key, or had it before, and by nobody else."""
    (encrypted.path / "secret.mlf.hcl").write_text(SECRET)
    encrypted.apply()
    document = encrypted.mlform("state", "pull").out
    assert document == encrypted.mlform("state", "pull").out
    assert "canary-argument" in document
    assert "scrypt" not in document
    (encrypted.path / "s.json").write_text(document)
    (encrypted.path / "t.json").write_text(re.sub(r"(mlf1[^\"]{60})\w", r"\1-", document))
    encrypted.mlform("state", "rm", "dataset.s")
    said = encrypted.mlform("state", "push", "t.json", "-force", expect=1).err
    assert "Invalid state document" in said
    other = configure(Inside(encrypted.path), key=SECOND)
    said = other.mlform("state", "push", "s.json", "-force", expect=1).err
    assert "Wrong encryption key" in said
    configure(other, BOTH, SECOND)
    other.mlform("state", "push", "s.json", "-force")
    assert other.actions() == {}, "with both keys at hand no secret has changed"
    assert json.loads(other.mlform("state", "pull").out)["format"] == 2
    other.mlform("state", "encrypt")
    configure(other, key=SECOND)
    assert other.actions() == {}


def test_on_a_server_and_back(encrypted: Inside, postgres: Server) -> None:
    """Moved to PostgreSQL with encryption on, worked with there, and moved back."""
    schema = f"sealed_{os.getpid()}_{time.monotonic_ns()}"
    backend = f'backend "postgres" {{\n url = "{postgres.url}"\n schema = "{schema}"\n }}\n'
    before = encrypted.mlform("show", "-json").data
    configure(encrypted, PASSPHRASE.replace("encryption {", f"{backend} encryption {{"))
    assert "Moved 1 workspace " in encrypted.mlform("init", "-migrate-state").out
    assert encrypted.mlform("show", "-json").data == before
    (encrypted.path / "d.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    encrypted.mlform("plan", "-out=p.plan")
    encrypted.apply("p.plan")
    encrypted.mlform("plan", "-detailed-exitcode")
    encrypted.mlform("audit", "verify")
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    with psycopg.connect(postgres.url) as connection:
        names = [row[0] for row in connection.execute(query, [schema])]
        rows = [list(connection.execute(f'SELECT * FROM {schema}."{n}"')) for n in names]  # noqa: S608 - ours
    assert "leases" in names and "canary" not in repr(rows)
    configure(encrypted)
    said = encrypted.mlform("init", "-migrate-state").out
    assert "Moved 1 workspace " in said
    encrypted.mlform("plan", "-detailed-exitcode")
    encrypted.mlform("audit", "verify")
    assert there(encrypted, "canary") == []


def test_without_the_key_nothing_is_read_or_written(encrypted: Inside) -> None:
    encrypted.mlform("plan", "-out", "p.plan")
    before = (encrypted.path / ".mlform/state.db").read_bytes()
    configure(encrypted, key=SECOND)
    for command in (["plan"], ["state", "list"], ["apply", "p.plan"], ["show", "p.plan"]):
        said = encrypted.mlform(*command, expect=1).err
        assert "Wrong encryption key" in said
        assert SECOND not in said
    (encrypted.path / "settings.mlf.hcl").unlink()
    for command in (["plan"], ["state", "show", "dataset.d"], ["show", "p.plan"]):
        assert "State is encrypted" in encrypted.mlform(*command, expect=1).err
    configure(encrypted, key="short")
    assert "at least 16 characters" in encrypted.mlform("state", "list", expect=1).err
    assert (encrypted.path / ".mlform/state.db").read_bytes() == before


def test_a_state_in_clear_is_encrypted_by_a_command_and_decrypted_again(clear: Inside) -> None:
    assert there(clear, "canary-argument") == ["state.db"]
    configure(clear)
    assert clear.actions() == {}, "what is in clear is still read"
    head = clear.mlform("audit", "verify", "-json").data
    done = clear.mlform("state", "encrypt", "-json").data
    assert done["encrypted"] is True
    assert there(clear, "canary") == []
    after = clear.mlform("audit", "verify", "-json").data
    assert after["valid"] is True
    assert after["entries"] == head["entries"] + 1
    assert clear.actions() == {}
    enforced = PASSPHRASE.replace("var.passphrase\n", "var.passphrase\n    enforced   = true\n")
    configure(clear, enforced)
    assert clear.actions() == {}

    only_old = (
        "mlform {\n  encryption {\n    fallback {\n      passphrase = var.before\n    }\n  }\n}\n"
    )
    configure(clear, only_old)
    assert clear.mlform("state", "encrypt", "-json").data["encrypted"] is False
    (clear.path / "settings.mlf.hcl").unlink()
    assert clear.actions() == {}
    assert clear.mlform("audit", "verify", "-json").data["valid"] is True
    configure(clear, enforced)
    assert "State is not encrypted" in clear.mlform("plan", expect=1).err


def test_a_key_is_changed_with_the_old_one_to_fall_back_on(encrypted: Inside) -> None:
    configure(encrypted, BOTH, SECOND)
    assert encrypted.actions() == {}
    encrypted.mlform("taint", "dataset.d")
    encrypted.mlform("untaint", "dataset.d")
    assert encrypted.actions() == {}, "some rows under each key"
    configure(encrypted, key=SECOND)
    encrypted.mlform("state", "list", expect=1)
    configure(encrypted, BOTH, SECOND)
    encrypted.mlform("state", "encrypt")
    configure(encrypted, key=SECOND)
    assert encrypted.actions() == {}
    assert encrypted.mlform("audit", "verify", "-json").data["valid"] is True
    configure(encrypted, key=FIRST)
    assert "Wrong encryption key" in encrypted.mlform("plan", expect=1).err


def test_a_row_that_stands_somewhere_else_is_found_out(encrypted: Inside) -> None:
    from mlform.state.codec import seal

    with closing(sqlite3.connect(encrypted.path / ".mlform/state.db")) as database, database:
        (data,) = database.execute(
            "SELECT data FROM records WHERE address = 'dataset.d'"
        ).fetchone()
        sealed = seal("dataset.e", data)  # whoever moves a row can seal it again
        database.execute(
            "UPDATE records SET data = ?, sha256 = ? WHERE address = 'dataset.e'", (data, sealed)
        )
    assert "record of dataset.e is not what was written" in encrypted.mlform("plan", expect=1).err
    assert (
        "the record of dataset.e was altered" in encrypted.mlform("audit", "verify", expect=1).out
    )


def test_a_key_command_prints_the_key(clear: Inside) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    script = clear.path / "key.py"
    script.write_text(f"print({key!r})\n")
    command = json.dumps([sys.executable, str(script)])
    configure(clear, f"mlform {{\n  encryption {{\n    key_command = {command}\n  }}\n}}\n")
    clear.mlform("state", "encrypt")
    assert there(clear, "canary") == []
    assert clear.actions() == {}

    def refused(text: str) -> str:
        from mlform.state import cipher

        cipher._known.clear()
        script.write_text(text)
        return clear.mlform("plan", expect=1).err

    assert "must print 32 bytes" in refused("print('key')")
    assert "exit code 3" in refused("raise SystemExit(3)")
    assert "Wrong encryption key" in refused(f"print({'00' * 32!r})")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("", "takes a `passphrase` or a `key_command`"),
        ('passphrase = "x"\nkey_command = ["y"]', "not from both"),
        ('passphrase = "short"', "at least 16"),
        ("key_command = []", "the program and its arguments"),
        ('passphrase = "long enough to be taken"\nenforced = "x"', "true or false"),
        ('passphrase = "long enough to be taken"\nfallback {\n}', "A fallback has"),
        ('password = "long enough to be taken"', "password"),
    ],
)
def test_what_is_wrong_with_encryption_is_said(tmp_path: Path, block: str, words: str) -> None:
    (tmp_path / "main.mlf.hcl").write_text(f"mlform {{\nencryption {{\n{block}\n}}\n}}\n")
    said = Inside(tmp_path).mlform("validate", expect=1).err
    assert words in said
    assert "main.mlf.hcl:" in said
