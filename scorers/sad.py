"""SNP activity difference: compare the signal of the predicted part of the window between the two alleles.

With r and a the predictions for the reference and the alternate allele in a track, of which there is one per bin:

    SAD    Σ a - Σ r                                 SAR    Σ log2(1 + a) - Σ log2(1 + r)
    SADR   log2(1 + Σ a) - log2(1 + Σ r)             SAX    a - r where |a - r| is largest
    SAXR   log2(1 + a) - log2(1 + r) where its size is largest

SAD and SAR are the published scores of Enformer, which are stored as float16; here they are float32. Enformer's
notebook shows means over bins instead: SAD divided by 896. Basenji's later script calls SAR logSAD.

Source: Avsec et al. (Nature Methods, 2021); google-deepmind/deepmind-research, `enformer/README.md`, which names
calico/basenji, `bin/basenji_sad.py:write_snp` at commit 738321c.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import Output, Tracks

ENFORMER_PREDICTED_BP = 114_688  # 896 bins of 128 bp

Signal = Float32[Array, "positions tracks"]
TrackScores = Float32[Array, " tracks"]
Statistic = Literal["SAD", "SAR", "SADR", "SAX", "SAXR"]


def _log_ratio(reference: Array, alternate: Array) -> Array:
    """Return log2(1 + alternate) - log2(1 + reference), without cancellation."""
    return jnp.log1p((alternate - reference) / (1 + reference)) / math.log(2)


def _largest(difference: Signal) -> TrackScores:
    """Return the value of largest size in each track, with its sign."""
    index = jnp.argmax(jnp.abs(difference), axis=0)
    return jnp.take_along_axis(difference, index[None], axis=0)[0]


# Padding, where both signals are 0, changes none of them.
_STATISTICS: dict[Statistic, Callable[[Signal, Signal], TrackScores]] = {
    "SAD": lambda r, a: (a - r).sum(axis=0),
    "SAR": lambda r, a: _log_ratio(r, a).sum(axis=0),
    "SADR": lambda r, a: _log_ratio(r.sum(axis=0), a.sum(axis=0)),
    "SAX": lambda r, a: _largest(a - r),
    "SAXR": lambda r, a: _largest(_log_ratio(r, a)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActivityDifference(Scorer):
    """Compare the signal in the middle of the window by one statistic: SAD, SAR, SADR, SAX or SAXR.

    The alternate is read at its own positions, not aligned to the reference.

    Attributes:
        width_bp: width of the interval in the window's middle, cut to the window.
    """

    name: str
    output: Output
    statistic: Statistic
    width_bp: int = ENFORMER_PREDICTED_BP
    by_name_only: bool = True

    @property
    def is_signed(self) -> bool:
        """Whether scores have a direction: positive where the alternate's signal is larger."""
        return True

    def footprint(self, site: Site) -> Footprint:
        resolution_bp = site.resolution_bp(self.output)
        bins = site.window.width_bp // resolution_bp
        count = min(self.width_bp // resolution_bp, bins)
        return Footprint(positions=pad_positions((bins - count) // 2 + np.arange(count)), masks={})

    def score(self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]) -> TrackScores:
        return _STATISTICS[self.statistic](reference, alternate)

    def rows(
        self, scores: Float32[np.ndarray, " tracks"], footprint: Footprint, site: Site, tracks: Tracks
    ) -> ScoreMatrix:
        return ScoreMatrix(scorer=self.name, output=self.output, values=scores[None], genes=(None,))


def _of_outputs(statistic: Statistic) -> tuple[ActivityDifference, ...]:
    """Return the scorers of one statistic, for each output that Enformer predicts."""
    outputs = (Output.DNASE, Output.ATAC, Output.CHIP_TF, Output.CHIP_HISTONE, Output.CAGE)
    return tuple(
        ActivityDifference(name=f"{statistic}_{output}", output=output, statistic=statistic)
        for output in outputs
    )


SAD_DNASE, SAD_ATAC, SAD_CHIP_TF, SAD_CHIP_HISTONE, SAD_CAGE = _of_outputs("SAD")
SAR_DNASE, SAR_ATAC, SAR_CHIP_TF, SAR_CHIP_HISTONE, SAR_CAGE = _of_outputs("SAR")
SADR_DNASE, SADR_ATAC, SADR_CHIP_TF, SADR_CHIP_HISTONE, SADR_CAGE = _of_outputs("SADR")
SAX_DNASE, SAX_ATAC, SAX_CHIP_TF, SAX_CHIP_HISTONE, SAX_CAGE = _of_outputs("SAX")
SAXR_DNASE, SAXR_ATAC, SAXR_CHIP_TF, SAXR_CHIP_HISTONE, SAXR_CAGE = _of_outputs("SAXR")
