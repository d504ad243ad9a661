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


class SpliceHeads(nnx.Module):
    """All heads: of splice sites, and of usage and junctions, which are fractions of the sites' probabilities."""

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        self.sites = SiteHead(config, rngs=rngs)
        self.usage = UsageHead(config, rngs=rngs)
        self.junctions = JunctionHead(config, rngs=rngs)

    def keep(self, output: Output, channels: Int[np.ndarray, " channels"]) -> None:
        """Keep only these tracks of an output, or tissues of SPLICE_JUNCTIONS, in this order."""
        match output:
            case Output.SPLICE_SITES:
                self.sites.tracks = tuple(map(int, channels))
            case Output.SPLICE_SITE_USAGE:
                self.usage.tracks = tuple(map(int, channels))
            case _:
                self.junctions.keep(channels)

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the probabilities of SPLICE_SITES, or SPLICE_SITE_USAGE."""
        sites = self.sites.log_probabilities(x, organism)
        return self.sites(sites) if output is Output.SPLICE_SITES else self.usage(x, sites, organism)

    def count_junctions(
        self, x: Float[Array, "4 sites channels"], positions: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Return the counts of junctions; see `JunctionHead`."""
        return self.junctions(x, self.sites.log_probabilities(x, organism), positions, organism)


class SiteHead(nnx.Module):
    """Predicts donors and acceptors of each strand, in the order of `vepscore.outputs.SPLICE_CLASSES`."""

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        self.linear = OrganismLinear(1, config.channels, _SITE_CLASSES, rngs=rngs)
        self.tracks: tuple[int, ...] | None = None  # the tracks that are predicted, in order; None: all

    def logits(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch 2 classes"]:
        """Return the logits of no site, acceptor and donor on each strand."""
        return self.linear(_by_strand(x), organism)

    def log_probabilities(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch 2 classes"]:
        """Return the logarithms of the probabilities of no site, acceptor and donor on each strand."""
        return jax.nn.log_softmax(self.logits(x, organism))

    def __call__(self, sites: Float32[Array, "*batch 2 classes"]) -> Float32[Array, "*batch tracks"]:
        """Return the probabilities of the tracks, from the logarithms of those of all classes."""
        return _choose(jnp.exp(sites[..., jnp.array([_DONOR, _ACCEPTOR])]), self.tracks)


class UsageHead(nnx.Module):
    """Predicts the usage of sites of each strand: the probability of a site, times a fraction."""

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        self.linear = OrganismLinear(1, config.channels, 1, rngs=rngs)
        self.tracks: tuple[int, ...] | None = None  # the tracks that are predicted, in order; None: all

    def log_usage(
        self,
        x: Float[Array, "*batch channels"],
        sites: Float32[Array, "*batch 2 classes"],
        organism: OrganismIndex,
    ) -> Float32[Array, "*batch 2"]:
        """Return the logarithm of the usage of each strand, from that of the probability of each class."""
        fraction = jax.nn.log_sigmoid(self.linear(_by_strand(x), organism)[..., 0])
        return fraction + jax.nn.logsumexp(sites[..., 1:], axis=-1)

    def __call__(
        self,
        x: Float[Array, "*batch channels"],
        sites: Float32[Array, "*batch 2 classes"],
        organism: OrganismIndex,
    ) -> Float32[Array, "*batch tracks"]:
        """Return the usage of the tracks."""
        return _choose(jnp.exp(self.log_usage(x, sites, organism))[..., None], self.tracks)


class JunctionHead(nnx.Module):
    """Predicts counts of junctions between given donors and acceptors, per tissue, on each strand by itself.

    A count is the product of the strengths of both sites and of a factor for the length of the intron. A strength is a
    fraction of the site's probability. The ratio of the counts of two alleles thus depends on the junction's sites
    alone: not on its length, nor on which other sites the window has.
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
        self,
        x: Float[Array, "4 sites channels"],
        sites: Float32[Array, "4 sites 2 classes"],
        positions: Int32[Array, "4 sites"],
        organism: OrganismIndex,
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Predict the counts of all junctions between the sites.

        Args:
            x: the embeddings at the sites, by SPLICE_CLASSES; zeros where an allele lacks the bases.
            sites: logarithms of the probabilities of the classes there, on each strand.
            positions: bp from the window's start, by SPLICE_CLASSES, padded with -1.
            organism: row of the organism-specific parameters.

        Returns:
            Counts by donor, acceptor, strand and tissue; 0 for padding, and where the acceptor precedes the donor.
        """
        x = x.reshape(STRANDS, 2, -1, STRANDS, x.shape[-1] // STRANDS)
        sites = sites.reshape(*x.shape[:4], -1)
        counts = []
        for strand, (donors, acceptors) in enumerate((positions[:2], positions[2:])):
            strengths = self._strengths(x[strand, :, :, strand], sites[strand, :, :, strand], organism)
            lengths = (1 - 2 * strand) * (acceptors - donors[:, None])
            real = (donors >= 0)[:, None] & (acceptors >= 0) & (lengths > 0)
            products = strengths[0, :, None] * strengths[1] * self._length_factors(lengths, organism)
            counts.append(jnp.where(real[..., None], products, 0.0))
        return jnp.stack(counts, axis=2)

    def _strengths(
        self,
        x: Float[Array, "2 sites channels"],
        sites: Float32[Array, "2 sites classes"],
        organism: OrganismIndex,
    ) -> Float32[Array, "2 sites tissues"]:
        """Return the strengths of donors and acceptors, from _WEAKEST to 1."""
        as_donors, as_acceptors = jnp.split(self.linear(x, organism), 2, axis=-1)
        fractions = jax.nn.sigmoid(jnp.stack([as_donors[0], as_acceptors[1]]))
        probabilities = jnp.exp(jnp.stack([sites[0, :, _DONOR], sites[1, :, _ACCEPTOR]]))
        strengths = _WEAKEST + (1 - _WEAKEST) * fractions * probabilities[..., None]
        return jnp.where(jnp.any(x != 0, axis=-1, keepdims=True), strengths, _WEAKEST)

    def _length_factors(
        self, lengths: Int32[Array, "sites sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites tissues"]:
        """Return the factors for introns of these lengths, bp."""
        doublings = jnp.log2(jnp.maximum(lengths, 1).astype(jnp.float32))
        table = self.lengths[organism].astype(jnp.float32)  # (tissues, doublings)
        interpolate = functools.partial(jnp.interp, doublings, jnp.arange(table.shape[1]))
        return jnp.exp(jnp.moveaxis(jax.vmap(interpolate)(table), 0, -1))


def _by_strand(x: Float[Array, "*batch channels"]) -> Float[Array, "*batch 2 strand_channels"]:
    return x.reshape(*x.shape[:-1], STRANDS, -1)


def _choose(
    predictions: Float32[Array, "*batch 2 _"], tracks: tuple[int, ...] | None
) -> Float32[Array, "*batch tracks"]:
    """Return the chosen tracks, of which each strand has its own."""
    flat = predictions.reshape(*predictions.shape[:-2], -1)
    return flat if tracks is None else flat[..., np.asarray(tracks)]
