"""Test the largest change of splice sites and of their usage in each gene."""

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, run, shapes
from vepscore.contract import GeneSite
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window
from vepscore.scorers.splicing import SPLICE_SITE_USAGE, SPLICE_SITES


@pytest.fixture
def site(annotation: Annotation) -> GeneSite:
    """An SNV that PLUS and MINUS overlap, but not NONCODING."""
    return GeneSite(allele=allele(12_048), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)


def test_reads_the_bodies_of_overlapping_genes(site: GeneSite) -> None:
    footprint = SPLICE_SITES.footprint(site)
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS", "MINUS"]
    np.testing.assert_array_equal(footprint.positions[:3400], np.arange(500, 3900))
    assert len(footprint.positions) == 4096
    np.testing.assert_array_equal(footprint.masks["body"], [[0, 2000], [1400, 3400], [0, 0], [0, 0]])
    assert footprint.aligned


def test_bodies_are_cut_to_the_window(site: GeneSite) -> None:
    window = Window(chrom="chr1", start0=12_000, end0=12_512)
    footprint = SPLICE_SITES.footprint(
        GeneSite(allele=site.allele, window=window, annotation=site.annotation, resolutions=RESOLUTIONS)
    )
    np.testing.assert_array_equal(footprint.positions, np.arange(512))
    np.testing.assert_array_equal(footprint.masks["body"][:2], [[0, 500], [0, 512]])


@pytest.mark.parametrize(
    ("pos0", "ref", "alt", "genes"),
    [
        (10_499, "A", "C", []),
        (10_499, "AC", "A", ["PLUS"]),
        (10_499, "A", "ACG", ["PLUS"]),  # as long as the longer of REF and ALT
        (12_500, "A", "C", ["MINUS", "NONCODING"]),
        (14_000, "A", "C", []),
    ],
)
def test_overlap_counts_ref_and_alt(site: GeneSite, pos0: int, ref: str, alt: str, genes: list[str]) -> None:
    footprint = SPLICE_SITES.footprint(
        GeneSite(
            allele=allele(pos0, ref, alt), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
        )
    )
    assert [gene.gene_id for gene in footprint.genes] == genes if genes else footprint is None


def test_largest_change_in_each_gene(site: GeneSite) -> None:
    reference = np.full((4096, 4), 0.5, np.float32)
    alternate = reference.copy()
    alternate[600] = 0.75  # PLUS alone
    alternate[2000] = 0.375  # both
    alternate[3899] = 0.0  # the last base of MINUS
    alternate[3900] = alternate[499] = 1.0  # in neither
    matrix = run(SPLICE_SITES, site, reference, alternate, strands="++--")
    nan = np.nan
    np.testing.assert_array_equal(matrix.values, [[0.25, 0.25, nan, nan], [nan, nan, 0.5, 0.5]])
    assert matrix.values.dtype == np.float32
    assert [gene.gene_id for gene in matrix.genes] == ["PLUS", "MINUS"]


def test_unstranded_tracks_count_for_both_strands(site: GeneSite) -> None:
    reference = np.zeros((4096, 1), np.float32)
    alternate = reference.copy()
    alternate[600] = 1
    matrix = run(SPLICE_SITE_USAGE, site, reference, alternate, strands=".")
    np.testing.assert_array_equal(matrix.values, [[1], [0]])
    assert matrix.scorer == "SPLICE_SITE_USAGE"


def test_insertion_is_folded_into_its_largest(site: GeneSite) -> None:
    """A shift is no change; the largest value of the inserted bases is compared with the base before them."""
    reference = np.zeros((4096, 1), np.float32)
    reference[2048], reference[3000] = 0.5, 1
    alternate = np.zeros((4096, 1), np.float32)
    alternate[2049], alternate[3003] = 0.75, 1
    insertion = GeneSite(
        allele=allele(12_048, "A", "ACGT"), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    matrix = run(SPLICE_SITES, insertion, reference, alternate)
    np.testing.assert_array_equal(matrix.values, [[0.25], [0.25]])


def test_deleted_bases_count_as_zero(site: GeneSite) -> None:
    reference = np.zeros((4096, 1), np.float32)
    reference[2050], reference[3000] = 0.5, 1
    alternate = np.zeros((4096, 1), np.float32)
    alternate[2997] = 1
    deletion = GeneSite(
        allele=allele(12_048, "ACGT", "A"), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    matrix = run(SPLICE_SITES, deletion, reference, alternate)
    np.testing.assert_array_equal(matrix.values, [[0.5], [0.5]])


def test_shapes_do_not_depend_on_the_allele(site: GeneSite) -> None:
    other = GeneSite(
        allele=allele(12_470, "AC", "A"), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    assert shapes(SPLICE_SITES.footprint(site)) == shapes(SPLICE_SITES.footprint(other))
