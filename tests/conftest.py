"""Options and fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.postgres import Server, running


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--golden=update``."""
    parser.addoption("--golden", choices=["check", "update"], default="check")


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--golden") == "update")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server that all tests share, each with a schema or a database of its own."""
    with running() as server:
        yield server
