"""Test the mean change of contacts along the row of a variant."""

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, allele, run
from vepscore.contract import Site
from vepscore.genome.windows import Window
from vepscore.scorers.contact_maps import CONTACT_MAPS

WINDOW = Window(chrom="chr1", start0=0, end0=16_384)


@pytest.mark.parametrize(("pos0", "row"), [(0, 0), (2047, 0), (2048, 1), (8192, 4), (16_383, 7)])
def test_reads_the_row_of_the_variant(pos0: int, row: int) -> None:
    footprint = CONTACT_MAPS.footprint(Site(allele=allele(pos0), window=WINDOW, resolutions=RESOLUTIONS))
    np.testing.assert_array_equal(footprint.positions, [row, -1, -1, -1])
    assert not footprint.aligned


def test_mean_change_along_the_row() -> None:
    reference = np.zeros((8, 8, 2), np.float32)
    alternate = reference.copy()
    alternate[4, :, 0] = alternate[:, 4, 0] = [1, -1, 2, 0, 4, 0, 0, 0]
    alternate[3, 3] = 100
    matrix = run(
        CONTACT_MAPS,
        Site(allele=allele(8192), window=WINDOW, resolutions=RESOLUTIONS),
        reference,
        alternate,
        strands="..",
    )
    np.testing.assert_array_equal(matrix.values, [[1, 0]])
    assert matrix.values.dtype == np.float32
    assert matrix.genes == (None,)
