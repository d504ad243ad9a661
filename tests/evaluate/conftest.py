"""What the tests of evaluation share."""

import pytest

from tests.evaluate.planted import Genome, build_planted


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Genome:
    """The planted genome; nothing may be changed in it."""
    return build_planted(tmp_path_factory.mktemp("planted"))
