"""Small networks of the dilated families with random parameters."""

from collections.abc import Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from vepscore.model.network import one_hot
from vepscore.networks.dilated.dilated_config import PangolinConfig, SpliceAIConfig
from vepscore.networks.dilated.splice_networks import DilatedNetwork

# Two groups of blocks of different widths and dilations; they reach 4·4 + 4·6·3 = 88 bp.
BLOCKS = {"channels": 5, "widths": (5,) * 4 + (7,) * 4, "dilations": (1,) * 4 + (3,) * 4}
MARGIN_BP = 88
SPLICEAI = SpliceAIConfig(**BLOCKS, replicates=2)
OPENSPLICEAI = SpliceAIConfig(**BLOCKS, replicates=2, negative_slope=0.1)
PANGOLIN = PangolinConfig(**BLOCKS, tissues=2, replicates=2, quantities=2)

_Network = TypeVar("_Network", bound=DilatedNetwork)


def randomize(network: _Network, seed: int = 0) -> _Network:
    """Fill every array with random numbers, those of batch norms too."""
    keys = iter(jax.random.split(jax.random.key(seed), 1000))
    state = jax.tree.map(
        lambda x: (x + 0.1 * jax.random.normal(next(keys), x.shape)).astype(x.dtype), nnx.state(network)
    )
    nnx.update(network, state)
    return network


def arrays_of(network: DilatedNetwork) -> Mapping[str, np.ndarray]:
    """Return the arrays of a network by their names in a checkpoint."""
    return {
        ".".join(map(str, path)): np.asarray(leaf.get_value())
        for path, leaf in nnx.to_flat_state(nnx.state(network))
    }


def random_codes(length: int, seed: int = 0) -> np.ndarray:
    """Return random bases, about one in 30 of them N."""
    rng = np.random.default_rng(seed)
    return rng.choice(5, length, p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8)


def encode(codes: np.ndarray) -> Float[jnp.ndarray, "bp 4"]:
    return one_hot(codes, jnp.float32)
