"""Test the statistics of SED against the published script's computation, written plainly with numpy."""

import numpy as np
import pytest
from scipy.special import rel_entr

from tests.scorers.cases import BIN_BP, GENES, WINDOW, allele, binned_site, run, shapes
from vepscore.contract import GeneSite
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window
from vepscore.scorers.sed import (
    LOG_SED,
    SED,
    SED_D1,
    SED_D2,
    SED_LOG_D1,
    SED_LOG_D2,
    ExpressionDifference,
)
from vepscore.scorers.sed_shape import SED_JS, SED_ND2, SED_NDI

BINS = WINDOW.width_bp // BIN_BP
SCORERS = (SED, LOG_SED, SED_D1, SED_LOG_D1, SED_D2, SED_LOG_D2, SED_ND2, SED_NDI, SED_JS)


@pytest.fixture
def site(annotation: Annotation) -> GeneSite:
    return binned_site(annotation, allele(12_048))


def published_slices(window: Window) -> dict[str, list[int]]:
    """Return the bins of each gene as `map_snpseq_genes` finds them, exon by exon."""
    slices: dict[str, set[int]] = {}
    for gene_id, (_, _, transcripts) in GENES.items():
        for start, end in (exon for exons in transcripts for exon in exons):
            if end <= window.start0 or start >= window.end0:
                continue
            first = int(np.round(max(0, start - window.start0) / BIN_BP))
            last = int(np.round(max(0, end - window.start0) / BIN_BP))
            bins = range(min(first, BINS), min(last, BINS))
            if len(bins):
                slices.setdefault(gene_id, set()).update(bins)
    return {gene_id: sorted(bins) for gene_id, bins in slices.items()}


def published_statistic(
    scorer: ExpressionDifference, reference: np.ndarray, alternate: np.ndarray, pseudocounts: np.ndarray
) -> np.ndarray:
    """Return the statistic of `write_snp` for the bins of one gene, by track."""
    logs = np.log2(reference + 1), np.log2(alternate + 1)
    sums = reference.sum(axis=0), alternate.sum(axis=0)
    norms = [(x + pseudocounts) / (x + pseudocounts).sum(axis=0) for x in (reference, alternate)]
    divergences = rel_entr(*norms).sum(axis=0), rel_entr(*norms[::-1]).sum(axis=0)
    return {
        "SED": sums[1] - sums[0],
        "LOG_SED": np.log2(sums[1] + 1) - np.log2(sums[0] + 1),
        "SED_D1": np.abs(reference - alternate).sum(axis=0),
        "SED_LOG_D1": np.abs(logs[0] - logs[1]).sum(axis=0),
        "SED_D2": np.sqrt(np.power(reference - alternate, 2).sum(axis=0)),
        "SED_LOG_D2": np.sqrt(np.power(logs[0] - logs[1], 2).sum(axis=0)),
        "SED_ND2": np.sqrt(np.power(norms[0] - norms[1], 2).sum(axis=0)),
        "SED_NDI": np.abs(norms[0] - norms[1]).max(axis=0),
        "SED_JS": sum(divergences) / 2,
    }[scorer.name]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_equals_the_published_computation(site: GeneSite, scorer: ExpressionDifference) -> None:
    rng = np.random.default_rng(5)
    reference, alternate = rng.gamma(0.5, 20, (2, BINS, 3)).astype(np.float32)
    matrix = run(scorer, site, reference, alternate, strands="+-.")
    slices = published_slices(WINDOW)
    assert [gene.gene_id for gene in matrix.genes] == list(slices) == ["PLUS", "MINUS", "NONCODING"]
    for row, gene in zip(matrix.values, matrix.genes, strict=True):
        bins = slices[gene.gene_id]
        of_gene = (x[bins].astype(np.float64) for x in (reference, alternate))
        expected = published_statistic(scorer, *of_gene, np.percentile(reference, 25, axis=0))
        expected[1 if gene.strand == "+" else 0] = np.nan
        np.testing.assert_allclose(row, expected, rtol=2e-5, atol=2e-5)


def test_reads_the_bins_that_exons_fill_by_half(site: GeneSite) -> None:
    footprint = SED.footprint(site)
    bins = sorted({bin for bins in published_slices(WINDOW).values() for bin in bins})
    assert footprint.positions[footprint.positions >= 0].tolist() == bins
    assert not footprint.aligned


def test_genes_that_start_outside_the_window_count(annotation: Annotation) -> None:
    # Of PLUS it has the last exon, of MINUS half of the second.
    window = Window(chrom="chr1", start0=12_032, end0=13_056)
    footprint = SED.footprint(binned_site(annotation, allele(12_500), window))
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS", "MINUS", "NONCODING"]


def test_nothing_to_read(annotation: Annotation) -> None:
    for window in (
        Window(chrom="chr1", start0=14_016, end0=15_040),
        Window(chrom="chr9", start0=10_000, end0=11_024),
    ):
        assert SED.footprint(binned_site(annotation, allele(14_100), window)) is None


def test_equal_alleles_score_zero(site: GeneSite) -> None:
    signal = np.random.default_rng(6).gamma(0.5, 20, (BINS, 1)).astype(np.float32)
    for scorer in SCORERS:
        assert not run(scorer, site, signal, signal).values.any()


def test_small_changes_of_large_sums_are_not_lost(site: GeneSite) -> None:
    reference = np.full((BINS, 1), 1e6, np.float32)
    alternate = reference + np.float32(0.125)
    (value, *_) = run(LOG_SED, site, reference, alternate, strands=".").values[:, 0]
    assert value == pytest.approx(0.125 / 1e6 / np.log(2), rel=1e-3)


def test_only_differences_are_signed() -> None:
    assert [scorer.is_signed for scorer in SCORERS] == [True, True] + [False] * 7


def test_shapes_do_not_depend_on_the_allele(site: GeneSite) -> None:
    other = binned_site(site.annotation, allele(12_100, "ACG", "A"))
    assert shapes(SED.footprint(site)) == shapes(SED.footprint(other))
