"""Trees that are kept: the same as parsed, and no more than a saving of time."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from tests.syntax.generator import Maker

from mlform.diagnostics import Diagnostics
from mlform.syntax import parse
from mlform.syntax.kept import dump, load, parse_kept
from mlform.syntax.tree import Source

SPEC = """
locals {
  big   = 123456789012345678901234567890
  small = 1.50e-400
  words = [for k, v in { a = 1, (local.b) = "x${upper(k)}y" } : v if k != "é"]
  text  = <<-EOT
    %{ if true }yes%{ else }no%{ endif }
  EOT
}
model "trivial" "m" {
  input = one(local.words[*].a.0)
  nested { deep = -(1 + 2) * 3 >= 4 ? null : provider::x::f([1]...) }
}
"""


def test_a_tree_comes_back_as_it_was() -> None:
    body = parse(SPEC, "main.mlf.hcl", Diagnostics())
    data = dump(body)
    assert data is not None
    assert load(data, Source("main.mlf.hcl", SPEC)) == body


@given(st.integers(0, 10**9))
def test_so_does_any_tree(seed: int) -> None:
    text = Maker(seed).spec()
    body = parse(text, "main.mlf.hcl", Diagnostics())
    data = dump(body)
    assert data is not None
    assert load(data, body.source) == body


@given(st.data())
def test_a_damaged_file_is_no_tree(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        first = parse_kept(SPEC, "main.mlf.hcl", Diagnostics(), Path(folder))
        (kept,) = Path(folder).iterdir()
        written = kept.read_bytes()
        at = data.draw(st.integers(0, len(written) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        damaged = written[:at] + bytes([written[at] ^ bit]) + written[at + 1 :]
        for there in (damaged, written[:at]):
            kept.write_bytes(there)
            assert parse_kept(SPEC, "main.mlf.hcl", Diagnostics(), Path(folder)) == first
            assert kept.read_bytes() == written


def test_a_text_is_parsed_once(tmp_path: Path) -> None:
    found = Diagnostics()
    first = parse_kept(SPEC, "main.mlf.hcl", found, tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    assert parse_kept(SPEC, "main.mlf.hcl", found, tmp_path) == first
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before

    other = parse_kept(SPEC.replace("trivial", "other"), "main.mlf.hcl", found, tmp_path)
    assert other.blocks[-1].labels[0].text == "other"

    kept.write_bytes(b"\0" * 100)
    assert parse_kept(SPEC, "main.mlf.hcl", found, tmp_path) == first
    assert not list(found)


def test_problems_are_told_each_time(tmp_path: Path) -> None:
    for _ in range(2):
        found = Diagnostics()
        parse_kept("a = ", "main.mlf.hcl", found, tmp_path)
        assert found.errors
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_keep_it_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = Diagnostics()
    body = parse_kept(SPEC, "main.mlf.hcl", found, tmp_path / "file" / "trees")
    assert body.blocks
    assert not list(found)


def test_what_may_be_secret_is_not_kept(tmp_path: Path) -> None:
    text = 'variable "token" {\n  default   = "canary"\n  sensitive = true\n}\n'
    found = Diagnostics()
    assert parse_kept(text, "main.mlf.hcl", found, tmp_path).blocks
    assert list(tmp_path.iterdir()) == []
