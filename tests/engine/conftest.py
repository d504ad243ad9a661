"""Provide the tiny genome, its checkpoints and engines to the tests of the engine."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.builders import WINDOW_BP, TinyGenome, build_checkpoint, build_genome
from tests.builtin_scorers import names_in_all
from tests.scorers.cases import RESOLUTIONS
from vepscore.engine.dense import DenseEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.polya import PolyASites
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.outputs import Output


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="session")
def genome(folder: Path) -> TinyGenome:
    return build_genome(folder)


@pytest.fixture(scope="session")
def reference(genome: TinyGenome, folder: Path) -> Reference:
    return Reference(genome.fasta, folder / "cache")


@pytest.fixture(scope="session")
def preparer(genome: TinyGenome, reference: Reference, folder: Path) -> AllelePreparer:
    return AllelePreparer(
        resolutions=RESOLUTIONS,
        reference=reference,
        window_bp=WINDOW_BP,
        annotation=Annotation.from_gtf(genome.gtf, folder / "cache"),
        polya=PolyASites.from_tsv(genome.polya),
        source="in.vcf",
    )


@pytest.fixture(scope="session")
def both_preparer(preparer: AllelePreparer) -> AllelePreparer:
    """Prepare alleles with two windows for an indel's alternate allele."""
    return dataclasses.replace(preparer, indel_anchor=IndelAnchor.BOTH)


@pytest.fixture(scope="session")
def checkpoint_folder(folder: Path) -> Path:
    return build_checkpoint(folder)


@pytest.fixture(scope="session")
def checkpoint(checkpoint_folder: Path) -> Checkpoint:
    return load_checkpoint(checkpoint_folder)


@pytest.fixture(scope="session")
def paired_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with as many tracks on one strand as on the other, for each output."""
    usage = checkpoint.tracks[Output.SPLICE_SITE_USAGE]
    usage = dataclasses.replace(usage, strand=np.array(["+", "-", "."], dtype=object))
    return dataclasses.replace(checkpoint, tracks={**checkpoint.tracks, Output.SPLICE_SITE_USAGE: usage})


@pytest.fixture(scope="session")
def engine(checkpoint: Checkpoint) -> DenseEngine:
    """Return an engine with all scorers of `-s all`, shared by the tests because compiling it takes seconds."""
    return DenseEngine(checkpoint, load_scorers(sorted(names_in_all())))
