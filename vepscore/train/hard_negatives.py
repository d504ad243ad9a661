"""Hard-negative mining: positions that a network wrongly predicts to be splice sites.

Splice sites are rare and lie in genes, so windows sampled around them rarely cover the rest of the genome, where most
false positives are.

Coordinates are 0-based. Axes: M hard negatives.
"""

from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.heads import LinearHead
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.splice import SpliceData

_ORGANISM = np.int32(0)
_WINDOW_BP = 16_384
_CONTEXT_BP = 1_024
_MIN_PROBABILITY = 0.02  # probability of a wrong site from which a position is a hard negative


class HardNegatives(NamedTuple):
    """Positions wrongly predicted to be splice sites."""

    positions: np.ndarray  # int64 (M, 2): index of the segment, and position on the chromosome
    cumulative: np.ndarray  # float64 (M,): cumulative probabilities; the most confident are drawn most often

    @classmethod
    def mine(cls, network: AlphaGenome, data: SpliceData) -> Self:
        """Return all hard negatives of a network on the segments of `data`."""
        graph, arrays = nnx.split(network)

        @jax.jit
        def wrong_probability(arrays: nnx.State, codes: jax.Array, classes: jax.Array) -> jax.Array:
            """Return the total probability (S,) of unlabeled sites, from codes and classes (1, S)."""
            network = nnx.merge(graph, arrays)
            embeddings = network(one_hot(codes, jnp.float32), _ORGANISM, rotary_dtype=jnp.float32)
            sites = network.head(Output.SPLICE_SITES, LinearHead)(embeddings.bp1, _ORGANISM)
            labels = jax.nn.one_hot(classes, sites.shape[-1])
            return jnp.sum((sites * (1 - labels))[0, :, :-1], axis=-1)

        positions, probabilities = [], []
        for index in range(len(data.segments)):
            for start0, window in data.tiles_of(index, _WINDOW_BP, _CONTEXT_BP):
                found = np.where(window.valid[0], wrong_probability(arrays, window.codes, window.classes), 0)
                at = np.flatnonzero(found > _MIN_PROBABILITY)
                positions.append(np.stack([np.full(len(at), index), start0 + at], axis=1))
                probabilities.append(found[at])
        return cls(np.concatenate(positions), np.cumsum(np.concatenate(probabilities), dtype=np.float64))

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Draw one; return the index of its segment and its position."""
        index, position = self.positions[np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1])]
        return int(index), int(position)
