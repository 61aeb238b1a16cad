"""Options and fixtures for all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from tests.postgres import Server, running


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--golden=update``."""
    parser.addoption("--golden", choices=["check", "update"], default="check")


def pytest_configure() -> None:
    """Take interrupts: what a shell runs in the background ignores them, and its children too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Have collections of garbage not look at all that was imported and collected, each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--golden") == "update")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server that all tests share, each with a schema or a database of its own."""
    with running() as server:
        yield server
