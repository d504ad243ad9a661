"""The layers of Enformer's convolutional tower. Positions are bp or bins; parameters and activations have one dtype.

Source: google-deepmind/deepmind-research, `enformer/enformer.py`.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vepscore.networks.coverage_network import ConvBlock


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Apply the sigmoid approximation x·σ(1.702 x)."""
    return x * jax.nn.sigmoid(jnp.asarray(1.702, x.dtype) * x)


class AttentionPool(nnx.Module):
    """Halve the resolution: average each pair of positions, with weights per channel by a softmax of the pair's logits.

    The logits W·x are linear, so that the softmax depends on W·(first - second) only, half the work.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        self.logits = nnx.Linear(channels, channels, use_bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch positions channels"]
    ) -> Float[Array, "batch positions//2 channels"]:
        pairs = x.reshape(x.shape[0], -1, 2, x.shape[-1])
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        difference = first - second
        return second + difference * jax.nn.sigmoid(self.logits(difference))


class PoolingBlock(nnx.Module):
    """A convolution, a pointwise residual block, and attention pooling to half the resolution."""

    def __init__(self, conv: nnx.Conv | ConvBlock, channels: int, *, rngs: nnx.Rngs) -> None:
        self.conv = conv
        self.pointwise = ConvBlock(channels, channels, width=1, activation=gelu, rngs=rngs)
        self.pool = AttentionPool(channels, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch positions in_channels"]
    ) -> Float[Array, "batch positions//2 channels"]:
        x = self.conv(x)
        return self.pool(x + self.pointwise(x))
