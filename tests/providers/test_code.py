"""Files that code reads beside itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlform.sdk import ResourceError
from mlform.sdk.code import check_included, included
from mlform.sdk.testing import FakeContext


@pytest.fixture
def ctx(tmp_path: Path) -> FakeContext:
    for name in ("sql/a.sql", "sql/deep/b.sql", "sql/__pycache__/c.pyc", "top.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return FakeContext(tmp_path)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], []),
        (["top.txt"], ["top.txt"]),
        (["sql"], ["sql/a.sql", "sql/deep/b.sql"]),
        (["sql/*.sql"], ["sql/a.sql"]),
        (["sql/**/*.sql", "top.txt"], ["sql/a.sql", "sql/deep/b.sql", "top.txt"]),
    ],
)
def test_paths_globs_and_folders_are_taken(
    ctx: FakeContext, patterns: list[str], names: list[str]
) -> None:
    found = included(ctx, patterns)
    assert list(found) == names
    assert found == {name: ctx.file_digest(ctx.root / name) for name in names}


@pytest.mark.parametrize("pattern", ["../other", "/etc/hosts", ""])
def test_what_leads_out_of_the_folder_is_refused(ctx: FakeContext, pattern: str) -> None:
    with pytest.raises(ResourceError, match="Invalid include"):
        included(ctx, [pattern])


def test_a_pattern_that_names_nothing_is_told(ctx: FakeContext) -> None:
    with pytest.raises(ResourceError, match=r"\*\.R"):
        included(ctx, ["*.R"])


def test_what_changed_since_the_plan_is_refused(ctx: FakeContext) -> None:
    planned = included(ctx, ["sql"])
    check_included(ctx, ["sql"], planned)
    (ctx.root / "sql" / "a.sql").write_text("other")
    with pytest.raises(ResourceError, match=r"sql/a\.sql"):
        check_included(ctx, ["sql"], planned)
