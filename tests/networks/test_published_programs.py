"""Our scores of real alleles from published weights, against what the programs print; see `expected/README.md`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from flax import nnx

from tests.networks.published_programs import (
    EXPECTED,
    PROGRAMS,
    SETTINGS,
    Expected,
    Setting,
    cells_of,
    find_weights,
    score_all,
)
from tests.paths import need
from vepscore.engine.preparer import AllelePreparer, RefusedAllele
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.io.records import open_records
from vepscore.model.checkpoint import load_checkpoint
from vepscore.model.family import find_family
from vepscore.model.network import Network
from vepscore.networks.dilated.dilated_config import PangolinConfig, SpliceAIConfig
from vepscore.networks.dilated.splice_networks import Pangolin, SpliceAI

NETWORKS = {
    "spliceai": (SpliceAI, SpliceAIConfig(replicates=1)),
    "cispliceai": (SpliceAI, SpliceAIConfig(replicates=1, program="cispliceai")),
    "pangolin": (Pangolin, PangolinConfig(replicates=1, tissues=1)),
}
LONG_REF = "REF has more than 100 bp, twice the distance"
REFUSED = {
    "spliceai": {
        "del101": LONG_REF,
        "del1001": LONG_REF,
        "between_genes": "POS is in no gene",
        "between_genes_del": "POS is in no gene",
        "contig_end_50": "fewer than 5,050 bp are after POS on the contig",
    },
    "cispliceai": {},
    "pangolin": {
        "del101": LONG_REF,
        "del1001": LONG_REF,
        "between_genes": "POS is in no gene, or a gene's first base",
        "between_genes_del": "POS is in no gene, or a gene's first base",
    },
}
NOT_SEQUENCE = {"contig_start", "in_N", "ref_mismatch", "alt_star", "alt_symbolic", "alt_N", "no_contig"}


@pytest.fixture(scope="module")
def preparer(tmp_path_factory: pytest.TempPathFactory) -> AllelePreparer:
    cache = tmp_path_factory.mktemp("cache")
    return AllelePreparer(
        reference=Reference(need("data/hg38_native.fa.gz"), cache),
        window_bp=16_384,
        margin_bp=5_000,
        annotation=Annotation.from_gtf(need("data/refseq_hg38.gtf.gz"), cache),
        as_written=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_scores_and_positions_are_those_of_the_program(
    preparer: AllelePreparer, tmp_path: Path, program: str
) -> None:
    weights = find_weights(program)
    checkpoint, family = tmp_path / program, find_family(PROGRAMS[program].family)
    family.import_weights(
        weights, checkpoint, name=program, metadata={}, dtype="float32", observe=lambda read, total: None
    )
    network = load_checkpoint(checkpoint).network
    expected = Expected.read(program)
    assert set(_check_all(network, preparer, expected)) == expected.rows.keys()


def _check_all(
    network: Network, preparer: AllelePreparer, expected: Expected
) -> Iterator[tuple[str, Setting]]:
    """Check every entry, and yield what it is of."""
    for name, setting, entries, reason in score_all(network, preparer, SETTINGS):
        rows = expected.rows[name, setting]
        assert len(entries) == len(rows), (name, setting, reason)
        for entry, row in zip(entries, rows, strict=True):
            cells = cells_of(entry)
            different = {column for column in cells if cells[column] != row[column]}
            assert different <= set(row["undetermined"].split(",")), (name, setting, entry, row)
        yield name, setting


@pytest.mark.parametrize("program", REFUSED)
def test_alleles_that_a_program_skips_have_a_status_and_a_reason(
    preparer: AllelePreparer, program: str
) -> None:
    kind, config = NETWORKS[program]
    scorers = tuple(kind(config, rngs=nnx.Rngs(0)).own_scorers())
    refused: dict[str, RefusedAllele] = {}
    with open_records(EXPECTED / "refused.vcf") as records:
        for record in records:
            for allele in dataclasses.replace(preparer, scorers=scorers).prepare(record):
                if isinstance(allele, RefusedAllele):
                    refused[record.id] = allele
    reasons = {
        name: allele.reason.split(": ")[-1]
        for name, allele in refused.items()
        if allele.status is Status.NOT_APPLICABLE
    }
    assert reasons == REFUSED[program]
    assert refused.keys() - reasons.keys() == NOT_SEQUENCE
