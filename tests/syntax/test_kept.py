"""Trees that are kept: the same as parsed, and no more than a saving of time."""

from __future__ import annotations

from pathlib import Path

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
def test_damaged_bytes_are_no_tree(data: st.DataObject) -> None:
    body = parse(SPEC, "main.mlf.hcl", Diagnostics())
    written = dump(body)
    assert written is not None
    at = data.draw(st.integers(0, len(written) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    damaged = written[:at] + bytes([written[at] ^ bit]) + written[at + 1 :]
    assert load(damaged, body.source) is None
    assert load(written[:at], body.source) is None


def test_a_text_is_parsed_once(tmp_path: Path) -> None:
    found = Diagnostics()
    first = parse_kept(SPEC, "main.mlf.hcl", found, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert parse_kept(SPEC, "main.mlf.hcl", found, tmp_path) == first

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
