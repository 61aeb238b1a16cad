"""The documentation: links lead somewhere, and what it shows can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlform.config.executors import TYPES
from mlform.diagnostics import Diagnostics
from mlform.syntax import parse

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")],
    key=str,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```hcl\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" in target or target.startswith("#"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_anchor(h) for h in headings}, target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_specs_in_pages_can_be_read(page: Path) -> None:
    for spec in FENCE.findall(page.read_text("utf-8")):
        if "…" in spec or "KIND" in spec:
            continue
        diagnostics = Diagnostics()
        parse(spec, page.name, diagnostics)
        assert not diagnostics.errors, spec


def test_the_page_on_executors_has_every_option() -> None:
    text = (ROOT / "docs" / "executors.md").read_text("utf-8")
    for type_, options in TYPES.items():
        assert f"| `{type_}` |" in text
        for name in options:
            assert re.search(rf"^\| (`\w+`, )*`{name}`", text, re.MULTILINE), name
