"""Test the junctions that change most in each gene and tissue."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, make_tracks, read_annotation, score, shapes
from vepscore.contract import GeneSite, Junctions, ScoreMatrix
from vepscore.genome.annotation import Annotation
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.scorers.splice_junctions import SPLICE_JUNCTIONS

TISSUES = 3


@pytest.fixture
def site(annotation: Annotation) -> GeneSite:
    """An SNV that the coding genes PLUS (500-2500 in the window) and MINUS (1900-3900) overlap."""
    return GeneSite(allele=allele(12_048), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)


SITES = 16


def make_sites(*by_class: Sequence[int], size: int = SITES) -> np.ndarray:
    sites = np.full((4, size), -1, np.int32)
    for row, positions in zip(sites, by_class, strict=True):
        row[: len(positions)] = positions
    return sites


def run(site: GeneSite, sites: np.ndarray, reference: np.ndarray, alternate: np.ndarray) -> ScoreMatrix:
    footprint = SPLICE_JUNCTIONS.footprint(site)
    signals = Junctions(sites, reference), Junctions(sites, alternate)
    scores = score(SPLICE_JUNCTIONS, *signals, footprint)
    return SPLICE_JUNCTIONS.rows(scores, footprint, site, make_tracks(Output.SPLICE_JUNCTIONS, "." * TISSUES))


def counts(size: int = SITES) -> np.ndarray:
    return np.ones((size, size, 2, TISSUES), np.float32)


def change(ratio: float) -> np.float32:
    return np.float32(np.float16(abs(np.log(ratio + 1e-7) - np.log(1 + 1e-7))))


def test_rows_are_coding_genes_but_sites_lie_in_all_genes(site: GeneSite) -> None:
    overlapping = GeneSite(
        allele=allele(12_460), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    footprint = SPLICE_JUNCTIONS.footprint(overlapping)
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS", "MINUS"]
    np.testing.assert_array_equal(footprint.positions[:3400], np.arange(500, 3900))
    np.testing.assert_array_equal(footprint.masks["body"], [[500, 2500], [1900, 3900], [0, 0], [0, 0]])
    np.testing.assert_array_equal(footprint.masks["strand"], [0, 1, 0, 0])
    assert footprint.aligned


@pytest.mark.parametrize("pos0", [12_590, 14_000])
def test_noncoding_strandless_or_no_gene(tmp_path: Path, pos0: int) -> None:
    genes = {
        "NONCODING": ("lncRNA", "+", [[(12_450, 12_600)]]),
        "STRANDLESS": ("protein_coding", ".", [[(12_000, 12_700)]]),
    }
    annotation = read_annotation(tmp_path, genes)
    assert (
        SPLICE_JUNCTIONS.footprint(
            GeneSite(allele=allele(pos0), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)
        )
        is None
    )


def test_annotated_sites(site: GeneSite) -> None:
    footprint = SPLICE_JUNCTIONS.footprint(site)
    assert footprint.annotated_sites.shape == (4096, 4)
    found = {
        name: footprint.positions[column].tolist()
        for name, column in zip(SPLICE_CLASSES, footprint.annotated_sites.T, strict=True)
    }
    assert found == {
        "donor+": [599, 699, 1099],
        "acceptor+": [1000, 2300, 2400],
        "donor-": [3000, 3800],
        "acceptor-": [1999, 3099],
    }


def test_largest_junction_of_each_tissue_with_its_scores_in_all(site: GeneSite) -> None:
    sites = make_sites([599, 1099], [1000, 2400], [], [])
    reference, alternate = counts(), counts()
    alternate[0, 0, 0] = [2, 1, 4]  # 600-1000: the largest in tissues 0 and 2
    alternate[0, 1, 0] = [1, 0.25, 1]  # 600-2400: the largest in tissue 1
    alternate[1, 1, 0] = [1.5, 1, 1]  # 1100-2400: never the largest
    alternate[1, 0, 0] = 100  # the acceptor lies before the donor
    alternate[:, :, 1] = 50  # the other strand
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_array_equal(matrix.junctions, [[10_600, 11_000], [10_600, 12_400]])
    expected = [[change(2), change(1), change(4)], [0, change(0.25), 0]]
    np.testing.assert_array_equal(matrix.values, expected)
    assert matrix.values.dtype == np.float32
    assert matrix.junctions.dtype == np.int64
    assert [gene.gene_id for gene in matrix.genes] == ["PLUS", "PLUS"]


def test_minus_strand_runs_from_acceptor_to_donor(site: GeneSite) -> None:
    sites = make_sites([], [], [3000, 3800], [1999, 3099])
    reference, alternate = counts(), counts()
    alternate[1, 0, 1] = 8  # donor 3800, acceptor 1999
    alternate[0, 1, 1] = 100  # donor 3000, acceptor 3099: not in the order of the strand
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_array_equal(matrix.junctions, [[12_000, 13_800]])
    np.testing.assert_array_equal(matrix.values, [[change(8)] * TISSUES])
    assert [gene.gene_id for gene in matrix.genes] == ["MINUS"]


def test_junction_lies_wholly_inside_the_gene(site: GeneSite) -> None:
    sites = make_sites([499, 500], [2499, 2500], [], [])
    reference, alternate = counts(), counts()
    alternate[0, 0, 0] = alternate[1, 1, 0] = alternate[0, 1, 0] = 100
    alternate[1, 0, 0] = 2
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_array_equal(matrix.junctions, [[10_501, 12_499]])
    np.testing.assert_array_equal(matrix.values, [[change(2)] * TISSUES])


def test_first_of_equals_wins_donor_first(site: GeneSite) -> None:
    sites = make_sites([599, 699], [2300, 2400], [], [])
    reference, alternate = counts(), counts()
    alternate[0, 1, 0] = alternate[1, 0, 0] = 3
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_array_equal(matrix.junctions, [[10_600, 12_400]])


def test_equal_means_equal_in_float16(site: GeneSite) -> None:
    """The second is larger in float32 and not in float16."""
    sites = make_sites([599, 699], [2300], [], [])
    reference, alternate = counts(), counts()
    alternate[0, 0, 0], alternate[1, 0, 0] = 3.0, 3.0001
    assert change(3.0) == change(3.0001)
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_array_equal(matrix.junctions, [[10_600, 12_300]])


def test_small_changes_are_not_flushed_to_zero(site: GeneSite) -> None:
    sites = make_sites([599], [1000], [], [])
    reference, alternate = counts(), counts()
    alternate[0, 0, 0] = 1 + 2**-20
    matrix = run(site, sites, reference, alternate)
    np.testing.assert_allclose(matrix.values, 2.0**-20, rtol=0.05)


def test_no_junction_in_any_gene(site: GeneSite) -> None:
    matrix = run(site, make_sites([], [], [], []), counts(), counts())
    assert matrix.values.shape == (0, TISSUES)
    assert matrix.junctions.shape == (0, 2)
    assert matrix.genes == ()


def test_shapes_do_not_depend_on_the_allele(site: GeneSite) -> None:
    other = GeneSite(
        allele=allele(12_470, "AC", "A"), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    assert shapes(SPLICE_JUNCTIONS.footprint(site)) == shapes(SPLICE_JUNCTIONS.footprint(other))
