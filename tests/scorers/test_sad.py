"""Test the SNP activity differences against a plain numpy computation."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from tests.scorers.cases import RESOLUTIONS, WINDOW, allele, run, shapes
from vepscore.contract import Footprint, Site
from vepscore.genome.windows import Window
from vepscore.outputs import Output
from vepscore.scorers.sad import SAD_CHIP_TF, SAR_CAGE, ActivityDifference, Statistic

PREDICTED = Window(chrom="chr1", start0=1_040_960, end0=1_155_648)  # of Enformer's window


def make_site(pos0: int, window: Window = WINDOW) -> Site:
    return Site(allele=allele(pos0), window=window, resolutions=RESOLUTIONS | {Output.CAGE: 128})


def make_scorer(statistic: Statistic, width_bp: int = 2304) -> ActivityDifference:
    return ActivityDifference(name=statistic, output=Output.CHIP_TF, statistic=statistic, width_bp=width_bp)


def read_bins(footprint: Footprint) -> np.ndarray:
    return footprint.positions[footprint.positions >= 0]


@pytest.mark.parametrize("scorer", [SAD_CHIP_TF, SAR_CAGE])
def test_reads_the_bins_that_enformer_predicts(scorer: ActivityDifference) -> None:
    found = scorer.footprint(make_site(1_098_303, PREDICTED))
    np.testing.assert_array_equal(read_bins(found), np.arange(896))
    assert not found.aligned
    assert shapes(found) == shapes(scorer.footprint(make_site(1_050_000, PREDICTED)))


def test_reads_the_middle_of_a_wider_window() -> None:
    wider = Window(chrom="chr1", start0=1_000_000, end0=1_196_608)
    found = SAD_CHIP_TF.footprint(make_site(1_098_303, wider))
    np.testing.assert_array_equal(read_bins(found), np.arange(320, 1216))


def test_is_cut_to_the_window() -> None:
    np.testing.assert_array_equal(read_bins(SAD_CHIP_TF.footprint(make_site(12_048))), np.arange(32))


def signals() -> tuple[np.ndarray, np.ndarray]:
    """Return signals of 32 bins and three tracks, of which the middle 18 bins are read; the last track is the same."""
    rng = np.random.default_rng(0)
    reference = rng.gamma(0.5, 3, (32, 3))
    alternate = reference * rng.gamma(9, 1 / 9, (32, 3))
    alternate[:, 2] = reference[:, 2]
    alternate[[0, 31]] = 1e6
    return reference.astype(np.float32), alternate.astype(np.float32)


def log(x: np.ndarray) -> np.ndarray:
    return np.log2(1 + x)


def largest(difference: np.ndarray) -> np.ndarray:
    return np.array([track[np.abs(track).argmax()] for track in difference.T])


PLAIN: dict[Statistic, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "SAD": lambda r, a: a.sum(axis=0) - r.sum(axis=0),
    "SAR": lambda r, a: log(a).sum(axis=0) - log(r).sum(axis=0),
    "SADR": lambda r, a: log(a.sum(axis=0)) - log(r.sum(axis=0)),
    "SAX": lambda r, a: largest(a - r),
    "SAXR": lambda r, a: largest(log(a) - log(r)),
}


@pytest.mark.parametrize("statistic", get_args(Statistic))
def test_equals_plain_numpy(statistic: Statistic) -> None:
    reference, alternate = signals()
    matrix = run(make_scorer(statistic), make_site(12_048), reference, alternate, strands="...")
    read = (signal[7:-7].astype(np.float64) for signal in (reference, alternate))
    np.testing.assert_allclose(matrix.values, PLAIN[statistic](*read)[None], rtol=2e-5, atol=5e-6)
    assert matrix.values.dtype == np.float32
    assert matrix.values[0, 2] == 0
    assert (matrix.genes, matrix.scorer, matrix.output) == ((None,), statistic, "CHIP_TF")
