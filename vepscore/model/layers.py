"""Layers that every part of the network uses.

Axes: B batch, S positions (bp or bins), C channels. Parameters and activations have one dtype, the run's
precision; statistics are taken in float32.
Source: google-deepmind/alphagenome_research 0.2.0, `model/layers.py` and `model/convolutions.py`.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

_EPSILON = 1e-5
_MIN_KERNEL_VARIANCE = 1e-4
_STATISTICS_DECAY = 0.97


def gelu(x: jax.Array) -> jax.Array:
    """The sigmoid approximation, x·σ(1.702 x); the tower's pair blocks use `jax.nn.gelu` instead."""
    return jax.nn.sigmoid(jnp.asarray(1.702, x.dtype) * x) * x


def max_pool(x: jax.Array) -> jax.Array:
    """(B, S, C) → (B, S // 2, C)."""
    pairs = x.reshape(x.shape[0], -1, 2, x.shape[-1])
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])


def mean_pool(x: jax.Array, by: int) -> jax.Array:
    """(B, S, C) → (B, S // by, C)."""
    return x.reshape(x.shape[0], -1, by, x.shape[-1]).mean(axis=2)


def einsum_bfloat16(spec: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """An einsum that accelerators form from operands rounded to bfloat16, accumulated and returned in float32.

    The CPU knows no such product and multiplies the operands as they are, here as in the official code.
    """
    preset = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
    return jnp.einsum(spec, a, b, precision=preset, preferred_element_type=jnp.float32)


class RMSBatchNorm(nnx.Module):
    """x·scale/√(variance + ε) + offset, per channel, with a stored variance: pointwise at inference.

    The stored variance takes the dtype of `x` first, as the official mixed precision has it.

    In training the variance is the mean square over batch and positions, and its running mean is stored.
    """

    def __init__(self, channels: int, *, initial_scale: float = 1.0) -> None:
        self.scale = nnx.Param(jnp.full((channels,), initial_scale))
        self.offset = nnx.Param(jnp.zeros((channels,)))
        self.variance = nnx.BatchStat(jnp.ones((channels,)))
        self.use_running_average = True

    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, C) → (…, C)."""
        variance = self.variance[...] if self.use_running_average else self._measure(x)
        inverse = self.scale[...] * jax.lax.rsqrt(variance.astype(x.dtype) + _EPSILON)
        return x * inverse + self.offset[...]

    def _measure(self, x: jax.Array) -> jax.Array:
        variance = jnp.mean(jnp.square(x), axis=tuple(range(x.ndim - 1)), dtype=jnp.float32)
        kept = _STATISTICS_DECAY * self.variance[...] + (1 - _STATISTICS_DECAY) * variance
        self.variance[...] = jax.lax.stop_gradient(kept)
        return variance


class LayerNorm(nnx.Module):
    """Normalises the last axis; `centered` subtracts the mean first, otherwise the mean square is divided out."""

    def __init__(self, channels: int, *, centered: bool) -> None:
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.offset = nnx.Param(jnp.zeros((channels,)))
        self.centered = centered

    def __call__(self, x: jax.Array) -> jax.Array:
        """(…, C) → (…, C)."""
        if self.centered:
            x = x - jnp.mean(x, axis=-1, dtype=jnp.float32, keepdims=True).astype(x.dtype)
        variance = jnp.mean(jnp.square(x), axis=-1, dtype=jnp.float32, keepdims=True)
        inverse = self.scale[...] * jax.lax.rsqrt(variance + _EPSILON).astype(x.dtype)
        return inverse * x + self.offset[...]


class StandardizedConv(nnx.Module):
    """A convolution along positions whose kernel is standardised per output channel, zero-padded at the ends."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, dilation: int = 1, rngs: nnx.Rngs
    ) -> None:
        shape = (width, in_channels, out_channels)
        self.dilation = dilation
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), shape))
        self.scale = nnx.Param(jnp.ones((out_channels,)))
        self.bias = nnx.Param(jnp.zeros((out_channels,)))
        self.folded = False

    def __call__(self, x: jax.Array, *, padding: str = "SAME") -> jax.Array:
        """(B, S, C in) → (B, S, C out); with padding "VALID" less at both ends by what they read beyond."""
        kernel = self.kernel[...] if self.folded else standardize(self.kernel[...], self.scale[...])
        return convolve(x, kernel, padding=padding, dilation=self.dilation) + self.bias[...]

    def fold(self) -> None:
        """Standardises the stored kernel, once and for all: what inference needs."""
        if not self.folded:
            self.kernel[...] = standardize(self.kernel[...], self.scale[...])
            self.drop_scale()

    def unfold(self) -> None:
        """Takes a folded kernel apart again, into one of unit variance and its scale: what training needs."""
        if self.folded:
            kernel = self.kernel[...]
            scale = jnp.sqrt(kernel.shape[0] * kernel.shape[1] * jnp.var(kernel, axis=(0, 1)))
            self.kernel[...] = kernel / jnp.maximum(scale, jnp.sqrt(_MIN_KERNEL_VARIANCE))
            self.scale = nnx.Param(scale)
            self.folded = False

    def drop_scale(self) -> None:
        """Says that the kernel is, or will be, a standardised one."""
        del self.scale
        self.folded = True


def convolve(x: jax.Array, kernel: jax.Array, *, padding: str, dilation: int = 1) -> jax.Array:
    """A convolution along positions: (B, S, C in), (W, C in, C out) → (B, S, C out)."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding=padding,
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )


@jax.jit
def standardize(kernel: jax.Array, scale: jax.Array) -> jax.Array:
    """(W, C in, C out), (C out,) → (W, C in, C out).

    Jitted, and in this order of operations: so the official code rounds.
    """
    fan_in = kernel.shape[0] * kernel.shape[1]
    kernel = kernel - jnp.mean(kernel, axis=(0, 1), keepdims=True)
    variance = jnp.var(kernel, axis=(0, 1), keepdims=True)
    return kernel * (scale * jax.lax.rsqrt(jnp.maximum(fan_in * variance, _MIN_KERNEL_VARIANCE)))


class ConvBlock(nnx.Module):
    """Norm, activation, convolution; a linear layer where the width is 1."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, dilation: int = 1, rngs: nnx.Rngs
    ) -> None:
        self.norm = RMSBatchNorm(in_channels)
        self.conv: Any = (
            nnx.Linear(in_channels, out_channels, rngs=rngs)
            if width == 1
            else StandardizedConv(in_channels, out_channels, width=width, dilation=dilation, rngs=rngs)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, S, C in) → (B, S, C out)."""
        return self.conv(self.activate(x))

    def activate(self, x: jax.Array) -> jax.Array:
        """What is convolved: (…, C in) → (…, C in)."""
        return gelu(self.norm(x))


class OrganismParam(nnx.Param):
    """A parameter whose first axis is the organism."""


class OrganismLinear(nnx.Module):
    """A linear layer with weights of its own for each organism; float32 out."""

    def __init__(self, organisms: int, in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> None:
        shape = (organisms, in_channels, out_channels)
        initial = jax.random.truncated_normal(rngs.params(), -2.0, 2.0, shape)
        self.weight = OrganismParam(initial / jnp.sqrt(in_channels))
        self.bias = OrganismParam(jnp.zeros((organisms, out_channels)))

    def __call__(self, x: jax.Array, organism: jax.Array) -> jax.Array:
        """(…, C in), () int32 → float32 (…, C out)."""
        product = jnp.matmul(x, self.weight[organism], preferred_element_type=jnp.float32)
        return product + self.bias[organism]


class OrganismEmbedding(nnx.Module):
    """A learned vector per organism."""

    def __init__(self, organisms: int, channels: int, *, rngs: nnx.Rngs) -> None:
        self.embedding = OrganismParam(0.02 * jax.random.normal(rngs.params(), (organisms, channels)))

    def __call__(self, organism: jax.Array) -> jax.Array:
        """() int32 → (C,)."""
        return self.embedding[organism]


def fold_convolutions(module: nnx.Module) -> None:
    """Folds the standardisation of every convolution below `module` into its kernel."""
    for conv in standardized_convolutions(module):
        conv.fold()


def unfold_convolutions(module: nnx.Module) -> None:
    """The inverse of `fold_convolutions`."""
    for conv in list(standardized_convolutions(module)):
        conv.unfold()


def standardized_convolutions(module: nnx.Module) -> Iterator[StandardizedConv]:
    """Every standardised convolution below `module`."""
    for _, node in nnx.iter_graph(module):
        if isinstance(node, StandardizedConv):
            yield node
