"""The dense engine gives what a plain computation over whole windows gives, for every scorer and kind of allele."""

import contextlib
import copy
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.builders import make_records, vcf_row
from tests.engine.plain import PlainScorer, Scores
from vepscore.contract import Reads, ScoreBlock, Site
from vepscore.engine.dense import DenseEngine
from vepscore.engine.intake import Intake, PreparedAllele
from vepscore.engine.run import score_records
from vepscore.engine.scoring import Engine, NotFiniteError
from vepscore.genome.alleles import Status
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output
from vepscore.scorers.splice_junctions import SpliceJunctions

# Sums of thousands of float32 numbers, and differences of their logarithms; two outputs are rounded to float16.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
HALF_PRECISION = {"rtol": 2e-3, "atol": 1e-3}
ROUNDED = ("SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")

ROWS = {
    "SNV in two genes": vcf_row("chr1", 16_000, 1, "~"),
    "insertion": vcf_row("chr1", 16_000, 1, "~TGC"),
    "insertion at an exon's end": vcf_row("chr1", 15_799, 1, "~GGTAAGTACCCA"),
    "deletion": vcf_row("chr1", 17_100, 30, "~"),
    "deletion over three genes": vcf_row("chr1", 15_200, 400, "~"),
    "MNV": vcf_row("chr1", 17_050, 3, "~~~"),
    "shortening delins": vcf_row("chr1", 17_640, 5, "~~"),
    "lengthening delins": vcf_row("chr1", 17_640, 2, "~~GATTA"),
    "no gene": vcf_row("chr1", 9_000, 2, "~"),
    "past the contig's start": vcf_row("chr1", 450, 4, "~"),
    "first base": vcf_row("chr1", 0, 1, "~CA"),
    "past the contig's end": vcf_row("chr1", 29_600, 7, "~"),
    "past both ends": vcf_row("chr3", 3_050, 6, "~"),
}


@pytest.fixture(scope="session")
def plain(checkpoint: Checkpoint) -> PlainScorer:
    return PlainScorer(checkpoint)


def prepare(intake: Intake, *rows: Sequence[str]) -> list[PreparedAllele]:
    """All alleles of the rows, none of which may be refused."""
    alleles = [allele for record in make_records(*rows) for allele in intake.prepare(record)]
    assert {allele.status for allele in alleles} == {Status.OK}
    return alleles


def rows_of(block: ScoreBlock) -> Scores:
    """The block's rows in the plain scorer's form."""
    keys = [() if gene is None else (gene.gene_id,) for gene in block.genes]
    if block.junctions is not None:
        keys = [(*key, *map(int, junction)) for key, junction in zip(keys, block.junctions, strict=True)]
    if block.labels is not None:
        keys = [(*key, label) for key, label in zip(keys, block.labels, strict=True)]
    assert len(set(keys)) == len(keys) == len(block.values)
    return dict(zip(keys, block.values, strict=True))


def scores_of(blocks: Iterable[ScoreBlock]) -> dict[str, Scores]:
    return {block.scorer: rows_of(block) for block in blocks if len(block.values)}


def assert_scores_close(found: dict[str, Scores], expected: dict[str, Scores]) -> None:
    assert found.keys() == expected.keys()
    for scorer, rows in expected.items():
        assert found[scorer].keys() == rows.keys(), scorer
        tolerance = HALF_PRECISION if scorer in ROUNDED else TOLERANCE
        for row, values in rows.items():
            np.testing.assert_allclose(found[scorer][row], values, **tolerance, err_msg=f"{scorer} {row}")


@pytest.mark.parametrize("kind", ROWS)
def test_scores_equal_the_plain_computation(
    engine: DenseEngine, plain: PlainScorer, intake: Intake, kind: str
) -> None:
    (allele,) = prepare(intake, ROWS[kind])
    (blocks,) = engine.score([allele])
    assert_scores_close(scores_of(blocks), plain.score(allele))
    order = [scorer.name for scorer in engine.scorers]
    assert [block.scorer for block in blocks] == sorted((block.scorer for block in blocks), key=order.index)


@pytest.mark.parametrize("kind", ["SNV in two genes", "insertion", "deletion", "lengthening delins"])
def test_events_are_where_the_plain_computation_has_such_a_change(
    engine: DenseEngine, plain: PlainScorer, intake: Intake, kind: str
) -> None:
    (allele,) = prepare(intake, ROWS[kind])
    case = plain.predict(allele)
    (block,) = (block for block in engine.score([allele])[0] if block.scorer == "SPLICE_EVENTS")
    for gene, event, position0, values in zip(
        block.genes, block.labels, block.positions, block.values, strict=True
    ):
        change = case.site_changes(gene.gene_id)[event][position0 - allele.site.window.start0]
        np.testing.assert_allclose(np.nansum(values), change, **TOLERANCE, err_msg=f"{gene.name} {event}")


def test_the_cases_reach_every_scorer(engine: DenseEngine, intake: Intake) -> None:
    (blocks,) = engine.score(prepare(intake, ROWS["SNV in two genes"]))
    scores = scores_of(blocks)
    assert scores.keys() == {scorer.name for scorer in engine.scorers}
    assert len(scores) == 20
    for scorer, rows in scores.items():
        assert max(np.nanmax(np.abs(values)) for values in rows.values()) > 1e-4, scorer


def test_same_allele_gives_the_same_bytes(engine: DenseEngine, intake: Intake) -> None:
    first, second = prepare(intake, ROWS["insertion"], ROWS["deletion"])
    once, _, again = (engine.score([allele])[0] for allele in (first, second, first))
    assert [block.values.tobytes() for block in once] == [block.values.tobytes() for block in again]


def test_batches_change_no_score(batched: DenseEngine, engine: DenseEngine, intake: Intake) -> None:
    """But for the rounding of float32 in the network: sums stay within 1e-6."""
    chrom, pos1, name, ref, alt = vcf_row("chr1", 16_000, 1, "~")
    row = (chrom, pos1, name, ref, f"{alt},{ref}GAT")
    alleles = prepare(intake, row, ROWS["deletion"], ROWS["MNV"])
    for allele, blocks in zip(alleles, score_in_batches(batched, alleles), strict=True):
        (alone,) = engine.score([allele])
        found, expected = scores_of(blocks), scores_of(alone)
        assert_scores_close(found, expected)
        for scorer in (scorer for scorer in expected if scorer.endswith("_ACTIVE")):
            for row, values in expected[scorer].items():
                np.testing.assert_allclose(found[scorer][row], values, rtol=1e-6, err_msg=scorer)


@pytest.fixture(scope="session")
def batched(engine: DenseEngine) -> DenseEngine:
    """Three windows in a pass; a copy, so that no scorer is compiled again."""
    copied = copy.copy(engine)
    copied.batch = 3
    return copied


def score_in_batches(engine: DenseEngine, alleles: Sequence[PreparedAllele]) -> list[list[ScoreBlock]]:
    return [
        blocks
        for first in range(0, len(alleles), engine.batch)
        for blocks in engine.score(alleles[first : first + engine.batch])
    ]


def test_alleles_of_other_lengths_and_genes_compile_nothing(
    engine: DenseEngine, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    assert_nothing_compiles_anew(engine, intake, caplog)


def assert_nothing_compiles_anew(engine: Engine, intake: Intake, caplog: pytest.LogCaptureFixture) -> None:
    """Two genes and three, one expressed and four, spans of 3 and 12 bases: the padded sizes are the same."""
    seen = prepare(intake, ROWS["SNV in two genes"], ROWS["insertion"])
    new = prepare(
        intake,
        vcf_row("chr1", 15_250, 280, "~"),
        vcf_row("chr1", 15_900, 3, "~~~"),
        vcf_row("chr1", 17_900, 1, "~" + "ACT" * 4),
    )
    score_in_batches(engine, seen)
    with compilations(caplog) as found:
        score_in_batches(engine, new)
    assert found == []
    with compilations(caplog) as found:
        jax.jit(lambda x: x + 1)(1)
    assert found != []


class OnAnyStrand(SpliceJunctions):
    """As a plug-in may be that does not say which sites it reads."""

    def where(self, site: Site) -> Reads | None:
        reads = super().where(site)
        return reads and dataclasses.replace(reads, site_classes=None)


def test_junctions_are_the_same_where_a_scorer_reads_all_sites(engine: DenseEngine, intake: Intake) -> None:
    copied = copy.copy(engine)
    copied.scorers = (OnAnyStrand(),)
    alleles = prepare(intake, ROWS["SNV in two genes"])
    expected = scores_of(engine.score(alleles)[0])["SPLICE_JUNCTIONS"]
    assert_scores_close(scores_of(copied.score(alleles)[0]), {"SPLICE_JUNCTIONS": expected})


@contextlib.contextmanager
def compilations(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What JAX says that it compiles."""
    found: list[str] = []
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        yield found
    found += [message for message in caplog.messages if message.startswith("Compiling")]


def break_head(engine: Engine, output: Output, names: Sequence[str]) -> Engine:
    """A copy that uses these scorers, and in which a head gives NaN."""
    leaves = dict(nnx.to_flat_state(engine._scoring._state))
    path = ("heads", str(output), "linear", "bias")
    leaves[path] = leaves[path].replace(jnp.full(leaves[path].shape, jnp.nan))
    broken = copy.copy(engine)
    broken.scorers = tuple(scorer for scorer in engine.scorers if scorer.name in names)
    broken._scoring = copy.copy(engine._scoring)
    broken._scoring._state = nnx.from_flat_state(list(leaves.items()))
    return broken


@pytest.mark.parametrize("name", ["SPLICE_SITES", "SPLICE_JUNCTIONS"])
def test_allele_without_finite_signals_fails_alone(engine: DenseEngine, intake: Intake, name: str) -> None:
    """Junctions are predicted between sites of the classifier, so they must not hide that it is broken."""
    broken = break_head(engine, Output.SPLICE_SITES, ["DNASE", "DNASE_ACTIVE", name])
    rows = [ROWS["no gene"], ROWS["SNV in two genes"], vcf_row("chr1", 9_001, 1, "~")]
    fine, failed, _ = (broken.score([allele])[0] for allele in prepare(intake, *rows))
    assert [block.scorer for block in fine] == ["DNASE", "DNASE_ACTIVE"]
    assert isinstance(failed, NotFiniteError)
    alleles = [
        result.alleles[0] for chunk in score_records(make_records(*rows), intake, broken) for result in chunk
    ]
    assert [allele.status for allele in alleles] == [Status.OK, Status.FAILED, Status.OK]
    assert alleles[1].reason == f"{name}: the device returned numbers that are not finite"
    assert (alleles[1].fields, alleles[1].blocks, alleles[1].details) == ({}, (), ())
    assert alleles[0].fields.keys() == alleles[2].fields.keys() == {"VS_DNASE"}
