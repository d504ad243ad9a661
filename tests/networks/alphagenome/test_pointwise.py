"""Linear layers as convolutions give the same results; only large layers are replaced."""

import jax
import numpy as np
from flax import nnx

from vepscore.networks.alphagenome.cpu_layers import use_pointwise_convolutions


class Layers(nnx.Module):
    def __init__(self) -> None:
        self.large = nnx.Linear(256, 320, rngs=nnx.Rngs(0))
        self.small = nnx.Linear(320, 8, rngs=nnx.Rngs(1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.small(self.large(x))


def test_large_layers_become_convolutions() -> None:
    layers = Layers()
    layers.large.bias[...] = jax.random.normal(jax.random.key(1), (320,))
    fast = use_pointwise_convolutions(layers)
    for shape in ((256,), (7, 256), (2, 5, 3, 256)):
        x = jax.random.normal(jax.random.key(0), shape)
        np.testing.assert_allclose(fast(x), layers(x), atol=1e-4)
    operations = [str(jax.make_jaxpr(network)(x)).count("conv_general_dilated") for network in (layers, fast)]
    assert operations == [0, 1]
