"""Regions of the genome become positions of the window, in bases or in bins."""

import numpy as np
import pytest

from tests.scorers.cases import BIN_BP, WINDOW, allele, binned_site
from vepscore.genome.annotation import Annotation
from vepscore.outputs import Output
from vepscore.scorers.gene_positions import index_ranges, positions_within

BINS = WINDOW.width_bp // BIN_BP


@pytest.mark.parametrize(
    ("start", "end", "bins"),
    [
        (0, 32, [0]),
        (15, 47, [0]),  # 17 and 15 of 32
        (17, 49, [1]),
        (16, 48, [0, 1]),  # halves are rounded to the even bin
        (48, 80, []),
        (100, 110, []),
        (-500, 40, [0]),
        (BINS * BIN_BP - 20, BINS * BIN_BP + 900, [BINS - 1]),
        (BINS * BIN_BP, BINS * BIN_BP + 900, []),
    ],
)
def test_bins_of_a_region_are_rounded(start: int, end: int, bins: list[int], annotation: Annotation) -> None:
    site = binned_site(annotation, allele(12_048))
    regions = np.array([(start, end)]) + WINDOW.start0
    found = positions_within(regions, site, Output.RNA_SEQ)
    assert found.tolist() == bins
    ((first, last),) = index_ranges(regions, np.arange(BINS), site, Output.RNA_SEQ).tolist()
    assert list(range(first, last)) == bins
