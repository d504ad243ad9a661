"""The layers of Borzoi other than attention. Positions are bp or bins; parameters and activations have one dtype.

Source: johahi/borzoi-pytorch, `pytorch_borzoi_model.py`; calico/baskerville, `blocks.py`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from vepscore.networks.coverage_network import ConvBlock

_SEPARABLE_WIDTH = 3

gelu = functools.partial(jax.nn.gelu, approximate=True)


def max_pool(x: Float[Array, "batch positions channels"]) -> Float[Array, "batch positions//2 channels"]:
    """Return the maximum of each pair of positions."""
    pairs = x.reshape(x.shape[0], -1, 2, x.shape[-1])
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])


class SeparableConv(nnx.Module):
    """A zero-padded convolution of width 3 within each channel, then a linear layer; no norm and no activation."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        initial = nnx.initializers.lecun_normal()(rngs.params(), (_SEPARABLE_WIDTH, channels))
        self.depthwise = nnx.Param(initial)
        self.pointwise = nnx.Linear(channels, channels, rngs=rngs)

    def __call__(self, x: Float[Array, "batch bins channels"]) -> Float[Array, "batch bins channels"]:
        bins, half = x.shape[1], _SEPARABLE_WIDTH // 2
        padded = jnp.pad(x, ((0, 0), (half, half), (0, 0)))
        terms = [padded[:, tap : tap + bins] * self.depthwise[tap] for tap in range(_SEPARABLE_WIDTH)]
        return self.pointwise(sum(terms[1:], terms[0]))


class UpBlock(nnx.Module):
    """Double the resolution: repeat each bin, add the tower's activations at that resolution, and mix neighbors."""

    def __init__(self, channels: int, skip_channels: int, *, rngs: nnx.Rngs) -> None:
        self.coarse = ConvBlock(channels, channels, width=1, activation=gelu, rngs=rngs)
        self.skip = ConvBlock(skip_channels, channels, width=1, activation=gelu, rngs=rngs)
        self.separable = SeparableConv(channels, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch bins channels"], skip: Float[Array, "batch 2*bins skip_channels"]
    ) -> Float[Array, "batch 2*bins channels"]:
        return self.separable(jnp.repeat(self.coarse(x), 2, axis=1) + self.skip(skip))


def position_features(
    distances: Int[np.ndarray, " distances"], count: int, window_bins: int
) -> Float32[np.ndarray, "distances {count}"]:
    """Return central masks of distances in bins: whether a distance is below a width; then the same times its sign.

    The widths grow geometrically: (window_bins + 1)^(k / n) - 1 for k = 1 … n, where n is half of `count`.
    """
    widths = (window_bins + 1) ** (np.arange(1, count // 2 + 1) / (count // 2)) - 1
    masks = widths > np.abs(distances)[:, None]
    return np.concatenate([masks, np.sign(distances)[:, None] * masks], axis=-1).astype(np.float32)
