"""Provide a small annotation to the tests of the scorers."""

import pytest

from tests.scorers.cases import read_annotation
from vepscore.genome.annotation import Annotation


@pytest.fixture(scope="session")
def annotation(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    return read_annotation(tmp_path_factory.mktemp("annotation"))
