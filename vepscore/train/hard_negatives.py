"""Where a network takes a position for a splice site that is none: what it has most to learn from.

Sites are rare and lie in genes, so windows drawn around them say little of the rest of the genome, where most of what
is taken for a site is found.

Coordinates are 0-based. M hard_negatives.
"""

from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.model.network import AlphaGenome, one_hot
from vepscore.outputs import Output
from vepscore.train.splice import SpliceData

_ORGANISM = np.int32(0)
_WINDOW_BP = 16_384
_CONTEXT_BP = 1_024
_LEAST = 0.02  # probability below which a network makes no mistake


class HardNegatives(NamedTuple):
    """Positions taken for a site that they are not."""

    places: np.ndarray  # int64 (M, 2): index of the segment, and position on the chromosome
    cumulative: np.ndarray  # float64 (M,): of the probabilities, so that the surest are drawn most often

    @classmethod
    def of(cls, network: AlphaGenome, data: SpliceData) -> Self:
        """All that a network makes on the segments of `data`."""
        graph, arrays = nnx.split(network)

        @jax.jit
        def mistaken(arrays: nnx.State, codes: jax.Array, classes: jax.Array) -> jax.Array:
            """The probability of all sites that are not there: codes and classes (1, S) → (S,)."""
            network = nnx.merge(graph, arrays)
            embeddings = network(one_hot(codes, jnp.float32), _ORGANISM, rotary_dtype=jnp.float32)
            sites = network.heads[str(Output.SPLICE_SITES)](embeddings.bp1, _ORGANISM)
            labelled = jax.nn.one_hot(classes, sites.shape[-1])
            return jnp.sum((sites * (1 - labelled))[0, :, :-1], axis=-1)

        places, probabilities = [], []
        for index, start0, window in data.tiles(_WINDOW_BP, _CONTEXT_BP):
            found = np.where(window.valid[0], mistaken(arrays, window.codes, window.classes), 0)
            at = np.flatnonzero(found > _LEAST)
            places.append(np.stack([np.full(len(at), index), start0 + at], axis=1))
            probabilities.append(found[at])
        return cls(np.concatenate(places), np.cumsum(np.concatenate(probabilities), dtype=np.float64))

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Index of the segment, and position."""
        index, position = self.places[np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1])]
        return int(index), int(position)
