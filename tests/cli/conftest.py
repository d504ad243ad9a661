"""What whole runs share."""

from pathlib import Path

import pysam
import pytest

from tests.builders import build_checkpoint, build_genome
from tests.cli.scoring import Bench, caches
from tests.official_checkpoint import write_metadata, write_official


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The genome has its index, so that no run says that it makes one, whichever comes first."""
    folder = tmp_path_factory.mktemp("bench")
    genome = build_genome(folder)
    pysam.faidx(str(genome.fasta))
    return Bench(
        genome=genome,
        checkpoint=build_checkpoint(folder),
        environment=caches(folder / "caches"),
    )


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the official layout; nothing may be changed in it."""
    return write_official(tmp_path_factory.mktemp("official") / "checkpoint")


@pytest.fixture(scope="session")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Its track metadata, by organism."""
    return write_metadata(tmp_path_factory.mktemp("metadata"))


@pytest.fixture(scope="session")
def metadata_options(metadata: dict[str, Path]) -> list[str]:
    """Its track metadata as options of the command line."""
    return [argument for path in metadata.values() for argument in ("--metadata", str(path))]
