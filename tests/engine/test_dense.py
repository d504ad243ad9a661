"""The dense engine returns the scores of a plain computation, for every scorer and kind of allele."""

import copy
import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.builders import make_records, vcf_row
from tests.engine.alleles import INDELS, ROWS, UNCHANGED, prepare
from tests.engine.comparison import (
    TOLERANCE,
    assert_nothing_compiles_again,
    assert_scores_close,
    assert_unchanged_scores_nothing,
    break_head,
    score_in_batches,
    scores_of,
)
from tests.engine.plain import PlainScorer
from vepscore.contract import Footprint, Site
from vepscore.engine.dense import DenseEngine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scored_records import score_records
from vepscore.engine.scoring import NotFiniteError
from vepscore.genome.alleles import Status
from vepscore.model.checkpoint import Checkpoint
from vepscore.outputs import Output
from vepscore.scorers.splice_junctions import SpliceJunctions


@pytest.fixture(scope="session")
def plain(checkpoint: Checkpoint) -> PlainScorer:
    return PlainScorer(checkpoint)


@pytest.mark.parametrize("kind", ROWS)
def test_scores_equal_the_plain_computation(
    engine: DenseEngine, plain: PlainScorer, preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(preparer, ROWS[kind])
    (matrices,) = engine.score([allele])
    assert_scores_close(scores_of(matrices), plain.score(allele))
    order = [scorer.name for scorer in engine.scorers]
    assert [matrix.scorer for matrix in matrices] == sorted(
        (matrix.scorer for matrix in matrices), key=order.index
    )


@pytest.mark.parametrize("kind", INDELS)
def test_indels_in_two_windows_equal_the_plain_computation(
    engine: DenseEngine, plain: PlainScorer, both_preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(both_preparer, INDELS[kind])
    assert len(allele.alternates) == 2
    assert_scores_close(scores_of(engine.score([allele])[0]), plain.score(allele))


@pytest.mark.parametrize("kind", ["SNV in two genes", "insertion", "deletion", "lengthening delins"])
def test_events_are_where_the_plain_computation_has_such_a_change(
    engine: DenseEngine, plain: PlainScorer, preparer: AllelePreparer, kind: str
) -> None:
    (allele,) = prepare(preparer, ROWS[kind])
    case = plain.predict(allele)
    (matrix,) = (matrix for matrix in engine.score([allele])[0] if matrix.scorer == "SPLICE_EVENTS")
    for gene, event, position0, values in zip(
        matrix.genes, matrix.labels, matrix.positions, matrix.values, strict=True
    ):
        change = case.site_changes(gene.gene_id)[event][position0 - allele.site.window.start0]
        np.testing.assert_allclose(np.nansum(values), change, **TOLERANCE, err_msg=f"{gene.name} {event}")


def test_the_cases_reach_every_scorer(engine: DenseEngine, preparer: AllelePreparer) -> None:
    (matrices,) = engine.score(prepare(preparer, ROWS["SNV in two genes"]))
    scores = scores_of(matrices)
    assert scores.keys() == {scorer.name for scorer in engine.scorers}
    for scorer, rows in scores.items():
        assert max(np.nanmax(np.abs(values)) for values in rows.values()) > 1e-4, scorer


def test_alt_equal_to_ref_scores_nothing(engine: DenseEngine, preparer: AllelePreparer) -> None:
    assert_unchanged_scores_nothing(engine, preparer)


def test_same_allele_gives_the_same_bytes(engine: DenseEngine, preparer: AllelePreparer) -> None:
    first, second = prepare(preparer, ROWS["insertion"], ROWS["deletion"])
    once, _, again = (engine.score([allele])[0] for allele in (first, second, first))
    assert [matrix.values.tobytes() for matrix in once] == [matrix.values.tobytes() for matrix in again]


def test_batches_change_no_score(batched: DenseEngine, engine: DenseEngine, preparer: AllelePreparer) -> None:
    """Batching changes only how float32 sums in the network are rounded, by less than 1e-6."""
    chrom, pos1, name, ref, alt = vcf_row("chr1", 16_000, 1, "~")
    row = (chrom, pos1, name, ref, f"{alt},{ref}GAT")
    alleles = prepare(preparer, row, ROWS["deletion"], ROWS["MNV"])
    for allele, matrices in zip(alleles, score_in_batches(batched, alleles), strict=True):
        (alone,) = engine.score([allele])
        found, expected = scores_of(matrices), scores_of(alone)
        assert_scores_close(found, expected)
        for scorer in (scorer for scorer in expected if scorer.endswith("_ACTIVE")):
            for row, values in expected[scorer].items():
                np.testing.assert_allclose(found[scorer][row], values, rtol=1e-6, err_msg=scorer)


@pytest.fixture(scope="session")
def batched(engine: DenseEngine) -> DenseEngine:
    """Return a copy with three windows in a pass, so that no scorer is compiled again."""
    copied = copy.copy(engine)
    copied.batch = 3
    copied.predictor = copy.copy(engine.predictor)
    copied.predictor._batch = 3
    return copied


def test_alt_equal_to_ref_takes_no_place_in_a_batch(
    batched: DenseEngine, preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alleles = prepare(preparer, ROWS["no gene"], UNCHANGED[0], ROWS["first base"])
    passes: list[int] = []
    embed = batched.predictor._embed
    monkeypatch.setattr(
        batched.predictor, "_embed", lambda state, codes: (passes.append(len(codes)), embed(state, codes))[1]
    )
    matrices = batched.score(alleles)
    assert passes == [3, 3]
    assert all((matrix.values == 0).all() for matrix in matrices[1] if matrix.scorer == "DNASE")
    assert all(
        (matrix.values != 0).any() for one in (0, 2) for matrix in matrices[one] if matrix.scorer == "DNASE"
    )
    batched.score(alleles[1:2])
    assert passes == [3, 3, 3]


def test_alleles_of_other_lengths_and_genes_compile_nothing(
    engine: DenseEngine, preparer: AllelePreparer, caplog: pytest.LogCaptureFixture
) -> None:
    assert_nothing_compiles_again(engine, preparer, caplog)


class OnAnyStrand(SpliceJunctions):
    """A scorer that uses all classes of splice sites, as a plug-in may."""

    def footprint(self, site: Site) -> Footprint | None:
        footprint = super().footprint(site)
        return footprint and dataclasses.replace(footprint, site_classes=None)


def test_junctions_are_the_same_where_a_scorer_reads_all_sites(
    engine: DenseEngine, preparer: AllelePreparer
) -> None:
    copied = copy.copy(engine)
    copied.scorers = (OnAnyStrand(),)
    alleles = prepare(preparer, ROWS["SNV in two genes"])
    expected = scores_of(engine.score(alleles)[0])["SPLICE_JUNCTIONS"]
    assert_scores_close(scores_of(copied.score(alleles)[0]), {"SPLICE_JUNCTIONS": expected})


def test_strand_on_which_no_gene_lies_need_not_be_finite(
    engine: DenseEngine, checkpoint: Checkpoint, preparer: AllelePreparer
) -> None:
    network = nnx.clone(checkpoint.network)
    bias = network.heads[Output.SPLICE_SITE_USAGE].linear.bias
    channel = checkpoint.tracks[Output.SPLICE_SITE_USAGE].channel[1]  # the only track of the minus strand
    bias.set_value(bias[...].at[:, channel].set(jnp.nan))
    scorers = [scorer for scorer in engine.scorers if scorer.name == "SPLICE_SITE_USAGE"]
    broken = DenseEngine(dataclasses.replace(checkpoint, network=network), scorers)
    alleles = prepare(preparer, vcf_row("chr1", 13_000, 1, "~"), ROWS["SNV in two genes"])
    plus, both = broken.score(alleles)
    (expected,) = DenseEngine(checkpoint, scorers).score(alleles[:1])
    assert scores_of(plus).keys() == scores_of(expected).keys() == {"SPLICE_SITE_USAGE"}
    assert_scores_close(scores_of(plus), scores_of(expected))
    assert isinstance(both, NotFiniteError)


@pytest.mark.parametrize("name", ["SPLICE_SITES", "SPLICE_JUNCTIONS"])
def test_allele_without_finite_signals_fails_alone(
    engine: DenseEngine, checkpoint: Checkpoint, preparer: AllelePreparer, name: str
) -> None:
    """Junctions are predicted between classified sites, so they must not hide that the classifier is broken."""
    scorers = [scorer for scorer in engine.scorers if scorer.name in ("DNASE", "DNASE_ACTIVE", name)]
    broken = DenseEngine(break_head(checkpoint, Output.SPLICE_SITES), scorers)
    rows = [ROWS["no gene"], ROWS["SNV in two genes"], vcf_row("chr1", 9_001, 1, "~")]
    fine, failed, _ = (broken.score([allele])[0] for allele in prepare(preparer, *rows))
    assert [matrix.scorer for matrix in fine] == ["DNASE", "DNASE_ACTIVE"]
    assert isinstance(failed, NotFiniteError)
    alleles = [
        result.alleles[0]
        for chunk in score_records(make_records(*rows), preparer, broken)
        for result in chunk
    ]
    assert [allele.status for allele in alleles] == [Status.OK, Status.FAILED, Status.OK]
    assert alleles[1].reason == f"{name}: the device returned numbers that are not finite"
    assert (alleles[1].fields, alleles[1].matrices, alleles[1].details) == ({}, (), ())
    assert alleles[0].fields.keys() == alleles[2].fields.keys() == {"VS_DNASE"}
