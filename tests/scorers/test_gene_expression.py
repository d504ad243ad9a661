"""Test the change of mean coverage over the exons of each gene."""

from pathlib import Path

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, binned_site, read_annotation, run, shapes
from vepscore.contract import GeneSite
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window
from vepscore.scorers.gene_expression import RNA_SEQ, RNA_SEQ_ACTIVE


@pytest.fixture
def site(annotation: Annotation) -> GeneSite:
    return GeneSite(allele=allele(12_048), window=WINDOW, annotation=annotation, resolutions=RESOLUTIONS)


def test_reads_the_exons_of_genes_that_start_in_the_window(site: GeneSite) -> None:
    footprint = RNA_SEQ.footprint(site)
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS", "MINUS", "NONCODING"]
    exons = [(500, 700), (1000, 1100), (1900, 2000), (2300, 2600), (3000, 3100), (3800, 3900)]
    expected = np.concatenate([np.arange(*exon) for exon in exons])
    np.testing.assert_array_equal(footprint.positions[: len(expected)], expected)
    assert len(footprint.positions) == 4096
    assert footprint.aligned


def test_mask_has_each_genes_exons(site: GeneSite) -> None:
    footprint = RNA_SEQ.footprint(site)
    exonic = footprint.masks["exonic"]
    assert exonic.shape == (4, 4096)
    np.testing.assert_array_equal(exonic.sum(axis=1), [500, 300, 150, 0])
    noncoding = footprint.positions[exonic[2]]
    np.testing.assert_array_equal(noncoding, np.arange(2450, 2600))


def test_exons_are_cut_to_the_window(site: GeneSite) -> None:
    window = Window(chrom="chr1", start0=10_520, end0=11_050)
    footprint = RNA_SEQ.footprint(
        GeneSite(allele=allele(10_700), window=window, annotation=site.annotation, resolutions=RESOLUTIONS)
    )
    # Of PLUS only the second transcript starts here, so that its exons alone count.
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS"]
    np.testing.assert_array_equal(footprint.positions[footprint.positions >= 0], np.arange(30, 180))


def test_nothing_to_read(site: GeneSite) -> None:
    no_start = Window(chrom="chr1", start0=10_600, end0=11_000)
    only_before = Window(chrom="chr1", start0=10_000, end0=10_400)
    unknown_contig = Window(chrom="chr9", start0=10_000, end0=14_096)
    for window in (no_start, only_before, unknown_contig):
        where = RNA_SEQ.footprint(
            GeneSite(
                allele=allele(10_700), window=window, annotation=site.annotation, resolutions=RESOLUTIONS
            )
        )
        assert where is None


def test_log_fold_change_of_means(site: GeneSite) -> None:
    reference = np.ones((4096, 3), np.float32)
    alternate = reference.copy()
    alternate[2450:2500] = 2  # 50 of PLUS's 500 exonic bases and of NONCODING's 150
    alternate[2200] = 1e6  # in no exon
    matrix = run(RNA_SEQ, site, reference, alternate, strands="+-.")
    plus, noncoding = np.log([1.1 + 1e-3, 4 / 3 + 1e-3]) - np.log(1 + 1e-3)
    expected = [[plus, np.nan, plus], [np.nan, 0, 0], [noncoding, np.nan, noncoding]]
    np.testing.assert_allclose(matrix.values, expected, atol=1e-6)
    assert matrix.values.dtype == np.float32
    assert [gene.gene_id for gene in matrix.genes] == ["PLUS", "MINUS", "NONCODING"]


def test_active_is_the_larger_mean(site: GeneSite) -> None:
    reference = np.ones((4096, 1), np.float32)
    alternate = np.full((4096, 1), 0.5, np.float32)
    alternate[2450:2600] = 3
    matrix = run(RNA_SEQ_ACTIVE, site, reference, alternate)
    np.testing.assert_allclose(matrix.values, [[1], [1], [3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("ref", "alt", "alternate_sum"),
    [
        ("A", "C", 150 * 2),
        # The inserted bases fold into their largest; what lies right of them is read 2 bp further.
        ("A", "ATT", 149 * 2 + 7),
        # Of the deleted bases, 12,501 and 12,502, none is left.
        ("ATT", "A", 148 * 2),
    ],
)
def test_indels_are_aligned(site: GeneSite, ref: str, alt: str, alternate_sum: float) -> None:
    reference = np.ones((4096, 1), np.float32)
    alternate = np.full((4096, 1), 2, np.float32)
    if len(alt) > len(ref):
        alternate[2501] = 7
    indel = GeneSite(
        allele=allele(12_500, ref, alt), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    matrix = run(RNA_SEQ_ACTIVE, indel, reference, alternate)
    np.testing.assert_allclose(matrix.values[2], alternate_sum / 150, rtol=1e-6)


def test_coverage_in_bins(annotation: Annotation) -> None:
    site = binned_site(annotation, allele(12_048))
    footprint = RNA_SEQ.footprint(site)
    noncoding = footprint.positions[footprint.masks["exonic"][2]]
    np.testing.assert_array_equal(noncoding, np.arange(77, 81))  # 2,450 to 2,600 bp, in bins of 32 bp
    assert not footprint.aligned
    reference = np.ones((128, 1), np.float32)
    alternate = reference.copy()
    alternate[80] = 5
    matrix = run(RNA_SEQ, site, reference, alternate, strands=".")
    np.testing.assert_allclose(matrix.values[2], np.log(2 + 1e-3) - np.log(1 + 1e-3), rtol=1e-6)


def test_shapes_do_not_depend_on_the_allele(site: GeneSite) -> None:
    other = GeneSite(
        allele=allele(12_100, "ACG", "A"), window=WINDOW, annotation=site.annotation, resolutions=RESOLUTIONS
    )
    assert shapes(RNA_SEQ.footprint(site)) == shapes(RNA_SEQ.footprint(other))


def test_more_genes_than_the_official_256(tmp_path: Path) -> None:
    genes = {
        f"G{index}": ("lncRNA", "+", [[(10_000 + 10 * index, 10_005 + 10 * index)]]) for index in range(300)
    }
    crowded = GeneSite(
        allele=allele(12_048),
        window=WINDOW,
        annotation=read_annotation(tmp_path, genes),
        resolutions=RESOLUTIONS,
    )
    signal = np.ones((4096, 1), np.float32)
    assert run(RNA_SEQ, crowded, signal, signal).values.shape == (300, 1)
