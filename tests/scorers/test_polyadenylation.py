"""Test the largest change of the ratio between poly(A) sites of a gene."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, read_polya, run, shapes
from vepscore.contract import PolyASite
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import Window
from vepscore.scorers.polyadenylation import POLYADENYLATION

Sites = Mapping[str, tuple[str, list[int]]]  # gene → strand and positions of poly(A) sites
MakeSite = Callable[..., PolyASite]


@pytest.fixture
def site_with(annotation: Annotation, tmp_path: Path) -> MakeSite:
    """Return a function that makes a site whose genes have the given poly(A) sites."""

    def make(sites: Sites, each: Allele | None = None, window: Window = WINDOW) -> PolyASite:
        polya = read_polya(tmp_path, sites)
        return PolyASite(
            allele=each or allele(12_048),
            window=window,
            annotation=annotation,
            polya=polya,
            resolutions=RESOLUTIONS,
        )

    return make


def test_reads_the_400_bp_upstream_of_each_site(site_with: MakeSite) -> None:
    footprint = POLYADENYLATION.footprint(
        site_with({"PLUS": ("+", [12_000, 11_200, 12_100]), "MINUS": ("-", [12_500, 13_500])})
    )
    assert [gene.gene_id for gene in footprint.genes] == ["PLUS", "MINUS"]
    spans = [(801, 1201), (1601, 2101), (2500, 2900), (3500, 3900)]
    expected = np.concatenate([np.arange(*span) for span in spans])
    np.testing.assert_array_equal(footprint.positions[: len(expected)], expected)
    assert len(footprint.positions) == 4096
    np.testing.assert_array_equal(
        footprint.masks["upstream"][:2],
        [[(0, 400), (400, 800), (500, 900), (0, 0)], [(900, 1300), (1300, 1700), (0, 0), (0, 0)]],
    )
    assert footprint.masks["upstream"].shape == (4, 4, 2)
    assert footprint.aligned


@pytest.mark.parametrize(
    "sites",
    [
        {"PLUS": ("+", [11_200])},  # a single site
        {"PLUS": ("-", [11_200, 12_000])},  # sites of the other strand
        {"NONCODING": ("+", [12_480, 12_590])},  # of a gene that the variant does not overlap
        {"PLUS": ("+", [9_000, 11_200, 12_000, 12_400])},  # 75% after the window's start
        {"PLUS": ("+", [11_200, 12_000, 12_400, 14_095])},  # 75% before its end, which the last base is not
    ],
)
def test_nothing_to_read(site_with: MakeSite, sites: Sites) -> None:
    assert POLYADENYLATION.footprint(site_with(sites)) is None


@pytest.mark.parametrize("outside", [9_999, 14_095])
def test_80_percent_of_the_sites_will_do(site_with: MakeSite, outside: int) -> None:
    sites = {"PLUS": ("+", sorted([10_500, 11_200, 12_000, 12_400, outside]))}
    footprint = POLYADENYLATION.footprint(site_with(sites))
    upstream = footprint.masks["upstream"][0]
    assert (upstream[:, 0] < upstream[:, 1]).sum() == 4


def test_upstream_is_cut_to_the_window(site_with: MakeSite) -> None:
    footprint = POLYADENYLATION.footprint(site_with({"PLUS": ("+", [10_000, 10_099])}))
    np.testing.assert_array_equal(footprint.positions[footprint.positions >= 0], np.arange(100))
    np.testing.assert_array_equal(footprint.masks["upstream"][0, :2], [(0, 1), (0, 100)])


def test_largest_ratio_over_the_splits(site_with: MakeSite) -> None:
    """Fold changes 2, 1, 1 and 1, 1/2, 1: the first split gives 1, the second log2(1.5) and log2(0.75)."""
    reference = np.ones((4096, 2), np.float32)
    alternate = reference.copy()
    alternate[801:1201, 0] = 2
    alternate[1601:2001, 1] = 0.5
    site = site_with({"PLUS": ("+", [11_200, 12_000, 12_450])})
    matrix = run(POLYADENYLATION, site, reference, alternate, strands="+-")
    np.testing.assert_allclose(matrix.values, [[1, np.log2(1 / 0.75)]], rtol=1e-6)
    assert matrix.values.dtype == np.float32
    assert [gene.gene_id for gene in matrix.genes] == ["PLUS"]
    assert (matrix.scorer, matrix.output) == ("POLYADENYLATION", "RNA_SEQ")


def test_genes_do_not_mix(site_with: MakeSite) -> None:
    """A gene has two sites and another has three: padding of one is not padding of the other."""
    reference = np.ones((4096, 1), np.float32)
    alternate = reference.copy()
    alternate[3500:3900] = 4
    site = site_with({"PLUS": ("+", [11_200, 12_000, 12_450]), "MINUS": ("-", [12_600, 13_500])})
    matrix = run(POLYADENYLATION, site, reference, alternate)
    np.testing.assert_allclose(matrix.values, [[0], [2]], atol=1e-6)


def test_splits_without_coverage_count_as_zero(site_with: MakeSite) -> None:
    """The second site has no coverage in the reference, or in both: no split has a ratio."""
    reference = np.ones((4096, 2), np.float32)
    alternate = 2 * reference
    reference[1601:2001] = 0
    alternate[1601:2001, 1] = 0
    site = site_with({"PLUS": ("+", [11_200, 12_000])})
    matrix = run(POLYADENYLATION, site, reference, alternate, strands="..")
    np.testing.assert_array_equal(matrix.values, [[0, 0]])


def test_insertion_is_aligned(site_with: MakeSite) -> None:
    """The signal after the insertion shifts with it, so that nothing changes."""
    reference = np.ones((4096, 1), np.float32)
    reference[1601:2001] = 3
    insertion = allele(11_500, "A", "A" + 100 * "C")
    alternate = np.insert(reference, 1501, np.ones((100, 1)), axis=0)[:4096]
    site = site_with({"PLUS": ("+", [11_200, 12_000])}, insertion)
    np.testing.assert_allclose(run(POLYADENYLATION, site, reference, alternate).values, [[0]], atol=1e-6)


def test_shapes_do_not_depend_on_the_allele(site_with: MakeSite) -> None:
    sites = {"PLUS": ("+", [11_200, 12_000]), "MINUS": ("-", [12_600, 13_500])}
    first = POLYADENYLATION.footprint(site_with(sites))
    second = POLYADENYLATION.footprint(site_with(sites, allele(12_470, "AC", "A")))
    assert shapes(first) == shapes(second)


def test_positions_count_from_the_window(site_with: MakeSite) -> None:
    window = Window(chrom="chr1", start0=11_000, end0=12_512)
    footprint = POLYADENYLATION.footprint(site_with({"PLUS": ("+", [11_600, 12_000])}, window=window))
    np.testing.assert_array_equal(footprint.positions[footprint.positions >= 0][[0, -1]], [201, 1000])
