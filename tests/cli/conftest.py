"""What whole runs share."""

import pytest

from tests.builders import build_checkpoint, build_genome
from tests.cli.scoring import Bench, caches


@pytest.fixture(scope="session")
def bench(tmp_path_factory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    return Bench(
        genome=build_genome(folder),
        checkpoint=build_checkpoint(folder),
        environment=caches(folder / "caches"),
    )
