"""The heads of the stack: pointwise, with the same parameters for both strands.

The embedding of a position has the channels of the plus strand, then those of the minus strand.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Int32

from vepscore.model.network import OrganismIndex, OrganismParam
from vepscore.networks.alphagenome.heads import keep_channels
from vepscore.networks.alphagenome.layers import OrganismLinear
from vepscore.networks.compact.compact_config import STRANDS, SpliceStackConfig
from vepscore.outputs import MAX_WINDOW_BP, Output

_SITE_CLASSES = 3  # no site, acceptor, donor, on one strand
_ACCEPTOR, _DONOR = 1, 2
# Strength of a position that is no site. Without it, going from 1e-6 to 1e-4 would count as much as a site that is new.
_WEAKEST = 0.01


class StrandHead(nnx.Module):
    """Predicts tracks of each strand from the strand's channels.

    Of SPLICE_SITES in the order of `vepscore.outputs.SPLICE_CLASSES`, of SPLICE_SITE_USAGE + and -.
    """

    def __init__(self, config: SpliceStackConfig, output: Output, *, rngs: nnx.Rngs) -> None:
        classes = _SITE_CLASSES if output is Output.SPLICE_SITES else 1
        self.linear = OrganismLinear(1, config.channels, classes, rngs=rngs)
        self.tracks: tuple[int, ...] | None = None  # the tracks that are predicted, in order; None: all

    def keep(self, channels: Int[np.ndarray, " tracks"]) -> None:
        """Keep only these tracks, in this order."""
        self.tracks = tuple(map(int, channels))

    def logits(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch 2 classes"]:
        """Return the logits of each strand: of no site, acceptor and donor; or of usage."""
        return self.linear(x.reshape(*x.shape[:-1], STRANDS, -1), organism)

    def __call__(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Predict the probability of sites, or their usage."""
        logits = self.logits(x, organism)
        if logits.shape[-1] == _SITE_CLASSES:
            probabilities = jax.nn.softmax(logits)[..., jnp.array([_DONOR, _ACCEPTOR])]
        else:
            probabilities = jax.nn.sigmoid(logits)
        tracks = probabilities.reshape(*x.shape[:-1], -1)
        return tracks if self.tracks is None else tracks[..., np.asarray(self.tracks)]


class StrandJunctionHead(nnx.Module):
    """Predicts counts of junctions between given donors and acceptors, per tissue, on each strand by itself.

    A count is the product of the strengths of both sites and of a factor for the length of the intron. The ratio of the
    counts of two alleles thus depends on the junction's sites alone: not on its length, nor on which other sites the
    window has.
    """

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        self.linear = OrganismLinear(1, config.channels, 2 * config.tissues, rngs=rngs)
        # Logarithm of each tissue's factors for introns of 2 ** 0, 2 ** 1 … bp, between which it is interpolated.
        self.lengths = OrganismParam(jnp.zeros((1, config.tissues, MAX_WINDOW_BP.bit_length())))

    def keep(self, channels: Int[np.ndarray, " tissues"]) -> None:
        """Keep only these tissues, in this order."""
        tissues = self.lengths.shape[1]
        keep_channels(self.linear, np.concatenate([channels, tissues + channels]))
        self.lengths.set_value(self.lengths[:, channels])

    def __call__(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Predict the counts of all junctions between the sites.

        Args:
            x: the embeddings at the sites, by SPLICE_CLASSES; zeros where an allele lacks the bases.
            sites: bp from the window's start, by SPLICE_CLASSES, padded with -1.
            organism: row of the organism-specific parameters.

        Returns:
            Counts by donor, acceptor, strand and tissue; 0 for padding, and where the acceptor precedes the donor.
        """
        x = x.reshape(STRANDS, 2, -1, STRANDS, x.shape[-1] // STRANDS)
        counts = []
        for strand, (donors, acceptors) in enumerate((sites[:2], sites[2:])):
            strengths = self._strengths(x[strand, :, :, strand], organism)
            lengths = (1 - 2 * strand) * (acceptors - donors[:, None])
            real = (donors >= 0)[:, None] & (acceptors >= 0) & (lengths > 0)
            products = strengths[0, :, None] * strengths[1] * self._length_factors(lengths, organism)
            counts.append(jnp.where(real[..., None], products, 0.0))
        return jnp.stack(counts, axis=2)

    def _strengths(
        self, x: Float[Array, "2 sites channels"], organism: OrganismIndex
    ) -> Float32[Array, "2 sites tissues"]:
        """Return the strengths of donors and acceptors, from _WEAKEST to 1."""
        as_donors, as_acceptors = jnp.split(self.linear(x, organism), 2, axis=-1)
        logits = jnp.stack([as_donors[0], as_acceptors[1]])
        strengths = _WEAKEST + (1 - _WEAKEST) * jax.nn.sigmoid(logits)
        return jnp.where(jnp.any(x != 0, axis=-1, keepdims=True), strengths, _WEAKEST)

    def _length_factors(
        self, lengths: Int32[Array, "sites sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites tissues"]:
        """Return the factors for introns of these lengths, bp."""
        doublings = jnp.log2(jnp.maximum(lengths, 1).astype(jnp.float32))
        table = self.lengths[organism].astype(jnp.float32)  # (tissues, doublings)
        interpolate = functools.partial(jnp.interp, doublings, jnp.arange(table.shape[1]))
        return jnp.exp(jnp.moveaxis(jax.vmap(interpolate)(table), 0, -1))
