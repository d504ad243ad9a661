"""Local activity: compare the signal summed over bins around the variant between the two alleles.

ATAC, DNASE, CAGE, PROCAP, CHIP_TF, CHIP_HISTONE   log2(1 + Σ alt) - log2(1 + Σ ref)
the same with _ACTIVE                              max(Σ alt, Σ ref)
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class CenterMask(Scorer):
    """Compare sums of the signal around the variant, by their log fold change or by the larger one.

    The alternate is read at its own positions, not aligned to the reference.

    Attributes:
        width_bp: width of the interval around the variant, rounded up to whole bins.
        active: score the larger sum, not the log fold change.

    Source: `CenterMaskVariantScorer` of alphagenome_research.
    """

    name: str
    output: Output
    width_bp: int
    active: bool = False
    info_field: str | None = None

    @property
    def is_signed(self) -> bool:
        """Whether scores have a direction: a fold change has one, the larger of two sums has none."""
        return not self.active

    def footprint(self, site: Site) -> Footprint:
        resolution_bp = site.resolution_bp(self.output)
        width = -(-self.width_bp // resolution_bp)
        center = (site.allele.pos0 - site.window.start0) // resolution_bp
        bins = center - width // 2 + np.arange(width)
        inside = bins[(bins >= 0) & (bins < site.window.width_bp // resolution_bp)]
        # Pad before rounding the size up, so that an interval cut by the window has the shape of a whole one.
        outside = np.full(width - len(inside), -1)
        return Footprint(positions=pad_positions(np.append(inside, outside)), masks={})

    def score(
        self,
        reference: Float32[Array, "positions tracks"],
        alternate: Float32[Array, "positions tracks"],
        masks: Mapping[str, Array],
    ) -> Float32[Array, " tracks"]:
        reference_sum, alternate_sum = reference.sum(axis=0), alternate.sum(axis=0)
        if self.active:
            return jnp.maximum(alternate_sum, reference_sum)
        return jnp.log2(1 + alternate_sum) - jnp.log2(1 + reference_sum)

    def rows(
        self, scores: Float32[np.ndarray, " tracks"], footprint: Footprint, site: Site, tracks: Tracks
    ) -> ScoreMatrix:
        return ScoreMatrix(scorer=self.name, output=self.output, values=scores[None], genes=(None,))


ATAC = CenterMask(name="ATAC", output=Output.ATAC, width_bp=501, info_field="VS_ATAC")
DNASE = CenterMask(name="DNASE", output=Output.DNASE, width_bp=501, info_field="VS_DNASE")
CAGE = CenterMask(name="CAGE", output=Output.CAGE, width_bp=501, info_field="VS_CAGE")
PROCAP = CenterMask(name="PROCAP", output=Output.PROCAP, width_bp=501, info_field="VS_PROCAP")
CHIP_TF = CenterMask(name="CHIP_TF", output=Output.CHIP_TF, width_bp=501, info_field="VS_CHIP_TF")
CHIP_HISTONE = CenterMask(
    name="CHIP_HISTONE", output=Output.CHIP_HISTONE, width_bp=2001, info_field="VS_CHIP_HISTONE"
)

ATAC_ACTIVE = dataclasses.replace(ATAC, name="ATAC_ACTIVE", active=True, info_field=None)
DNASE_ACTIVE = dataclasses.replace(DNASE, name="DNASE_ACTIVE", active=True, info_field=None)
CAGE_ACTIVE = dataclasses.replace(CAGE, name="CAGE_ACTIVE", active=True, info_field=None)
PROCAP_ACTIVE = dataclasses.replace(PROCAP, name="PROCAP_ACTIVE", active=True, info_field=None)
CHIP_TF_ACTIVE = dataclasses.replace(CHIP_TF, name="CHIP_TF_ACTIVE", active=True, info_field=None)
CHIP_HISTONE_ACTIVE = dataclasses.replace(
    CHIP_HISTONE, name="CHIP_HISTONE_ACTIVE", active=True, info_field=None
)
