"""The bell of ``bells``, installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.bells import PROVIDER


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A provider that is found as an installed one is."""
    found = tmp_path / "site"
    info = found / "bells-1.0.dist-info"
    info.mkdir(parents=True)
    (found / "bells.py").write_text(PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bells\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlform.providers]\nbells = bells:Bells\n")
    return found
