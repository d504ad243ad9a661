"""The heads of the stack: pointwise, with the same parameters for both strands.

The embedding of a position has the channels of the plus strand, then those of the minus strand.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Int32

from vepscore.model.network import OrganismIndex, OrganismParam
from vepscore.networks.alphagenome.heads import count_between
from vepscore.networks.alphagenome.layers import OrganismLinear
from vepscore.networks.compact.compact_config import STRANDS, SpliceStackConfig
from vepscore.outputs import Output

_SITE_CLASSES = 3  # no site, acceptor, donor, on one strand
_ACCEPTOR, _DONOR = 1, 2


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
    """Predicts counts of junctions between given donors and acceptors, per tissue, on each strand by itself."""

    def __init__(self, config: SpliceStackConfig, *, rngs: nnx.Rngs) -> None:
        shape = (1, 2, config.tissues, config.junction_channels)
        self.linear = OrganismLinear(1, config.channels, config.junction_channels, rngs=rngs)
        # Scale and offset of each tissue, of donors and of acceptors.
        self.tissue_embeddings = nnx.List(
            OrganismParam(0.1 * jax.random.truncated_normal(rngs.params(), -2.0, 2.0, shape))
            for _ in range(2)
        )

    def keep(self, channels: Int[np.ndarray, " tissues"]) -> None:
        """Keep only these tissues, in this order."""
        for embedding in self.tissue_embeddings:
            embedding.set_value(embedding[:, :, channels])

    def __call__(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Predict the counts of all junctions between the sites.

        Args:
            x: the embeddings at the sites, by SPLICE_CLASSES.
            sites: bp from the window's start, by SPLICE_CLASSES, padded with -1.
            organism: row of the organism-specific parameters.

        Returns:
            Counts by donor, acceptor, strand and tissue; 0 for padding.
        """
        x = x.reshape(STRANDS, 2, -1, STRANDS, x.shape[-1] // STRANDS)
        donors, acceptors = (embedding[organism] for embedding in self.tissue_embeddings)
        counts = []
        for strand, classes in enumerate((sites[:2], sites[2:])):
            hidden = self.linear(x[strand, :, :, strand], organism)
            along = _distances(classes, sign=1 - 2 * strand)
            counts.append(count_between((hidden[0], hidden[1]), (along[0], along[1]), (donors, acceptors)))
        return jnp.stack(counts, axis=2)


def _distances(sites: Int32[Array, "2 sites"], *, sign: int) -> Int32[Array, "2 sites"]:
    """Return how far each site is from the strand's first one, so that their place in the window does not matter.

    Positions along the strand grow by `sign`; those of padding are -1.
    """
    real, along = sites >= 0, sign * sites
    first = jnp.min(jnp.where(real, along, jnp.iinfo(jnp.int32).max))
    return jnp.where(real, along - first, -1)
