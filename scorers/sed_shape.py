"""Changes in the shape of a gene's RNA-seq coverage, such as those of splicing, as Borzoi scores them beside SED.

Coverage r and a of the reference and the alternate allele in the bins of a gene's exons is normalized to a sum of 1,
after a pseudocount is added: the lower quartile of the reference's coverage over all bins that the network predicts.

    SED_ND2    √Σ (a - r)²        SED_NDI    max |a - r|        SED_JS    Σ (a - r)·(ln a - ln r) / 2

The published names are nD2, nDi and JS. JS is the mean of the two Kullback-Leibler divergences. Genes, exons and bins
are those of `vepscore.scorers.sed`.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32

from vepscore.contract import Footprint, GeneSite, pad_positions
from vepscore.scorers.gene_positions import Signal
from vepscore.scorers.sed import ExpressionDifference

Shape = Float32[Array, "positions tracks"]  # of a gene's coverage; 0 outside of its exons
TrackScores = Float32[Array, " tracks"]

# From the normalized coverage of the reference, and the difference of the alternate's from it.
_STATISTICS: dict[str, Callable[[Shape, Shape], TrackScores]] = {
    "SED_ND2": lambda r, d: jnp.sqrt(jnp.square(d).sum(axis=0)),
    "SED_NDI": lambda r, d: jnp.abs(d).max(axis=0),
    "SED_JS": lambda r, d: jnp.where(r > 0, d * jnp.log1p(d / r), 0).sum(axis=0) / 2,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeDifference(ExpressionDifference):
    """Compare the shape of coverage over the bins of a gene's exons by one statistic: SED_ND2, SED_NDI or SED_JS.

    Source: calico/borzoi, `src/scripts/borzoi_sed.py` (`main`, `write_snp`).
    """

    def footprint(self, site: GeneSite) -> Footprint | None:
        """Return all bins, for the pseudocounts, with the mask `inside`, which is False at padding."""
        exons = super().footprint(site)
        if exons is None:
            return None
        positions = pad_positions(np.arange(site.window.width_bp // site.resolution_bp(self.output)))
        of_exons, read = exons.masks["exonic"], exons.positions >= 0
        exonic = np.zeros((len(of_exons), len(positions)), bool)
        exonic[:, exons.positions[read]] = of_exons[:, read]
        return dataclasses.replace(
            exons, positions=positions, masks={"exonic": exonic, "inside": positions >= 0}
        )

    def score(
        self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]
    ) -> Float32[Array, "genes tracks"]:
        """Compare the genes' coverage, one after the other."""
        reference_added = reference + _lower_quartile(reference, masks["inside"])
        difference = alternate - reference

        def compare(exonic: Bool[Array, " positions"]) -> TrackScores:
            r, d = (jnp.where(exonic[:, None], signal, 0) for signal in (reference_added, difference))
            return _STATISTICS[self.name](*_normalize(r, d))

        return jax.lax.map(compare, masks["exonic"])


def _normalize(reference: Shape, difference: Shape) -> tuple[Shape, Shape]:
    """Return the reference divided by its sum, and how much the alternate divided by its sum differs from it.

    With sums R and D of the reference r and the difference d, (r + d) / (R + D) - r / R = (d - D·r / R) / (R + D).
    """
    total, change = reference.sum(axis=0), difference.sum(axis=0)
    shape = reference / total
    return shape, (difference - change * shape) / (total + change)


def _lower_quartile(signal: Signal, inside: Bool[Array, " positions"]) -> TrackScores:
    """Return the 25th percentile of each track, interpolated linearly as numpy does."""
    ascending = jnp.sort(jnp.where(inside[:, None], signal, jnp.inf), axis=0)
    below, quarters = jnp.divmod(inside.sum() - 1, 4)
    step = ascending[below + (quarters > 0).astype(below.dtype)] - ascending[below]
    return ascending[below] + step * (quarters.astype(signal.dtype) / 4)


SED_ND2 = ShapeDifference(name="SED_ND2")
SED_NDI = ShapeDifference(name="SED_NDI")
SED_JS = ShapeDifference(name="SED_JS")
