"""Mistakes people make, and what they are told. Rewrite with ``pytest --golden=update``."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.syntax.trees import errors

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.hcl"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_messages(path: Path, golden_update: bool) -> None:
    told = "".join(f"{line}\n" for line in errors(path.read_bytes().decode()))
    wanted = path.with_suffix(".txt")
    if golden_update:
        wanted.write_text(told, encoding="utf-8")
    assert told == wanted.read_text(encoding="utf-8")
    assert told, "every golden text has a mistake"
