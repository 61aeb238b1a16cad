"""What several rooms of the tests of providers share."""

import pytest


@pytest.fixture
def life(tmp_path):
    """A deployment's life; it ends with the test."""
    from tests.providers.serving_bench import Life

    life = Life(tmp_path)
    yield life
    if life.old is not None:
        life.destroy()


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A deployment of a model of the weather, whose log is written as tests like."""
    from tests.providers.measured import World

    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def sight(tmp_path_factory):
    """The same of a model of numbers."""
    from tests.providers.measured import Sight

    return Sight(tmp_path_factory.mktemp("sight"))
