"""What the tests of evaluation share."""

from pathlib import Path

import pytest

from tests.evaluate.planted import Genome, build_planted


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """The planted genome; nothing may be changed in it."""
    return build_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def human_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory, so that the human annotation is parsed once."""
    return tmp_path_factory.mktemp("human")
