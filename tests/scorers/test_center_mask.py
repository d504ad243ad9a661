"""Test the scores of the bins around a variant."""

import jax
import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, run, shapes
from vepscore.contract import Site
from vepscore.scorers.center_mask import ATAC, ATAC_ACTIVE, CHIP_HISTONE, CHIP_TF, CenterMask


def read_bins(scorer: CenterMask, pos0: int) -> np.ndarray:
    positions = scorer.footprint(Site(allele=allele(pos0), window=WINDOW, resolutions=RESOLUTIONS)).positions
    return positions[positions >= 0]


@pytest.mark.parametrize(
    ("scorer", "first", "last", "size"),
    [(ATAC, 1798, 2298, 512), (CHIP_TF, 14, 17, 4), (CHIP_HISTONE, 8, 23, 16)],
)
def test_reads_the_width_around_the_variant(scorer: CenterMask, first: int, last: int, size: int) -> None:
    footprint = scorer.footprint(Site(allele=allele(12_048), window=WINDOW, resolutions=RESOLUTIONS))
    np.testing.assert_array_equal(footprint.positions[: last - first + 1], np.arange(first, last + 1))
    assert (footprint.positions[last - first + 1 :] == -1).all()
    assert len(footprint.positions) == size
    assert not footprint.aligned


@pytest.mark.parametrize(
    ("scorer", "pos0", "first", "last"),
    [
        (ATAC, 10_000, 0, 250),
        (ATAC, 14_095, 3845, 4095),
        (CHIP_TF, 10_127, 0, 1),
        (CHIP_TF, 10_128, 0, 2),
        (CHIP_HISTONE, 14_095, 23, 31),
    ],
)
def test_is_cut_to_the_window(scorer: CenterMask, pos0: int, first: int, last: int) -> None:
    np.testing.assert_array_equal(read_bins(scorer, pos0), np.arange(first, last + 1))


@pytest.mark.parametrize("scorer", [ATAC, CHIP_TF, CHIP_HISTONE])
def test_shape_is_the_same_everywhere(scorer: CenterMask) -> None:
    alleles = [allele(10_000), allele(10_300), allele(12_048, "A", "ACGT"), allele(14_095)]
    found = {
        tuple(shapes(scorer.footprint(Site(allele=each, window=WINDOW, resolutions=RESOLUTIONS))).items())
        for each in alleles
    }
    assert len(found) == 1


def signals() -> tuple[np.ndarray, np.ndarray]:
    """Return reference 1 and 0 in two tracks, alternate 3 at the variant; huge values where nothing is read."""
    reference = np.full((4096, 2), 1e6, np.float32)
    reference[1798:2299] = [1, 0]
    alternate = reference.copy()
    alternate[2048] = 3
    return reference, alternate


def test_fold_change_of_sums() -> None:
    matrix = run(
        ATAC, Site(allele=allele(12_048), window=WINDOW, resolutions=RESOLUTIONS), *signals(), strands=".."
    )
    expected = [[np.log2(1 + 503) - np.log2(1 + 501), np.log2(1 + 3) - np.log2(1 + 0)]]
    np.testing.assert_allclose(matrix.values, expected, atol=1e-6)
    assert matrix.values.dtype == np.float32
    assert matrix.genes == (None,)
    assert (matrix.scorer, matrix.output) == ("ATAC", "ATAC")


def test_active_is_the_larger_sum() -> None:
    reference, alternate = signals()
    reference[2048, 1] = 5
    matrix = run(
        ATAC_ACTIVE,
        Site(allele=allele(12_048), window=WINDOW, resolutions=RESOLUTIONS),
        reference,
        alternate,
        strands="..",
    )
    np.testing.assert_array_equal(matrix.values, [[503, 5]])


def test_indel_is_read_where_it_is() -> None:
    reference, alternate = signals()
    alternate[2049:2052] = 3
    matrix = run(
        ATAC_ACTIVE,
        Site(allele=allele(12_048, "A", "ACGT"), window=WINDOW, resolutions=RESOLUTIONS),
        reference,
        alternate,
        strands="..",
    )
    np.testing.assert_array_equal(matrix.values, [[509, 12]])


def test_alleles_share_one_compilation() -> None:
    traced = []

    @jax.jit
    def score(reference: jax.Array, alternate: jax.Array, masks: dict[str, jax.Array]) -> jax.Array:
        traced.append(reference.shape)
        return ATAC.score(reference, alternate, masks)

    for pos0 in (10_000, 12_048, 14_095):
        footprint = ATAC.footprint(Site(allele=allele(pos0), window=WINDOW, resolutions=RESOLUTIONS))
        signal = np.ones((len(footprint.positions), 2), np.float32)
        score(signal, signal, dict(footprint.masks))
    assert len(traced) == 1
