"""Layers that every part of the network uses.

Parameters and activations have one dtype, the precision of the run; statistics are computed in float32. Positions are
bp or bins.
Source: google-deepmind/alphagenome_research 0.2.0, `model/layers.py` and `model/convolutions.py`.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Float32, Int

from vepscore.model.network import OrganismIndex, OrganismParam

_EPSILON = 1e-5
_MIN_KERNEL_VARIANCE = 1e-4
_STATISTICS_DECAY = 0.97


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Apply the sigmoid approximation x·σ(1.702 x); the tower's pair blocks use `jax.nn.gelu` instead."""
    return jax.nn.sigmoid(jnp.asarray(1.702, x.dtype) * x) * x


def max_pool(x: Float[Array, "batch positions channels"]) -> Float[Array, "batch positions//2 channels"]:
    """Return the maximum of each pair of positions."""
    pairs = x.reshape(x.shape[0], -1, 2, x.shape[-1])
    return jnp.maximum(pairs[:, :, 0], pairs[:, :, 1])


def mean_pool(
    x: Float[Array, "batch positions channels"], by: int
) -> Float[Array, "batch positions//{by} channels"]:
    """Return the mean of every `by` positions."""
    return x.reshape(x.shape[0], -1, by, x.shape[-1]).mean(axis=2)


def einsum_bfloat16(spec: str, a: Float[Array, "..."], b: Float[Array, "..."]) -> Float32[Array, "..."]:
    """Compute an einsum whose operands accelerators round to bfloat16; they accumulate in float32.

    The CPU has no such product and multiplies the operands as they are, here as in the official code.
    """
    preset = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
    return jnp.einsum(spec, a, b, precision=preset, preferred_element_type=jnp.float32)


def rotate(
    x: Float[Array, "*batch positions heads channels"],
    positions: Int[Array, "*_ positions"],
    *,
    max_position: int,
    table_dtype: DTypeLike,
) -> Float[Array, "*batch positions heads channels"]:
    """Embed positions: rotate the interleaved channel pairs of `x` by angles that grow with the position.

    The frequencies are 1 / (i + geomspace(1, max − n + 1, n)_i) for the n pairs. Released weights were trained with
    positions, frequencies and angles all rounded to bfloat16, so the checkpoint sets the dtype of the table, not the
    run. Cosines and sines are computed in float32 and cast to the dtype of `x`.

    Args:
        x: an even number of channels.
        positions: of `x`, broadcast over its batch.
        max_position: the position at which the slowest frequency is reached.
        table_dtype: float32 or bfloat16.

    Source: google-deepmind/alphagenome_research 0.2.0, `model/attention.py:apply_rope`.
    """
    info = jnp.finfo(table_dtype)

    def rounded(table: Array) -> Float32[Array, "..."]:
        # A compiler may drop a cast there and back as excess precision, so casts alone would not round.
        return jax.lax.reduce_precision(table.astype(jnp.float32), info.nexp, info.nmant)

    pairs = x.shape[-1] // 2
    spread = rounded(jnp.arange(pairs) + jnp.geomspace(1, max_position - pairs + 1, pairs))
    frequency = rounded(1.0 / spread.astype(table_dtype)).astype(table_dtype)
    angle = rounded(positions).astype(table_dtype)[..., None] * frequency
    angle = rounded(jnp.repeat(angle, 2, axis=-1)[..., None, :])
    rotated = jnp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    return x * jnp.cos(angle).astype(x.dtype) + rotated * jnp.sin(angle).astype(x.dtype)


class RMSBatchNorm(nnx.Module):
    """x·scale/√(variance + ε) + offset per channel, with a stored variance: pointwise at inference.

    The stored variance is first cast to the dtype of `x`, as in the official mixed precision. In training the variance
    is the mean square over batch and positions, and its running mean is stored.
    """

    def __init__(self, channels: int, *, initial_scale: float = 1.0) -> None:
        self.scale = nnx.Param(jnp.full((channels,), initial_scale))
        self.offset = nnx.Param(jnp.zeros((channels,)))
        self.variance = nnx.BatchStat(jnp.ones((channels,)))
        self.use_running_average = True

    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        variance = self.variance[...] if self.use_running_average else self._measure(x)
        inverse = self.scale[...] * jax.lax.rsqrt(variance.astype(x.dtype) + _EPSILON)
        return x * inverse + self.offset[...]

    def _measure(self, x: Float[Array, "*batch channels"]) -> Float32[Array, " channels"]:
        variance = jnp.mean(jnp.square(x), axis=tuple(range(x.ndim - 1)), dtype=jnp.float32)
        running = _STATISTICS_DECAY * self.variance[...] + (1 - _STATISTICS_DECAY) * variance
        self.variance[...] = jax.lax.stop_gradient(running)
        return variance


class LayerNorm(nnx.Module):
    """Normalizes the last axis by its root mean square, after subtracting its mean if `centered`."""

    def __init__(self, channels: int, *, centered: bool) -> None:
        self.scale = nnx.Param(jnp.ones((channels,)))
        self.offset = nnx.Param(jnp.zeros((channels,)))
        self.centered = centered

    def __call__(self, x: Float[Array, "*batch channels"]) -> Float[Array, "*batch channels"]:
        if self.centered:
            x = x - jnp.mean(x, axis=-1, dtype=jnp.float32, keepdims=True).astype(x.dtype)
        variance = jnp.mean(jnp.square(x), axis=-1, dtype=jnp.float32, keepdims=True)
        inverse = self.scale[...] * jax.lax.rsqrt(variance + _EPSILON).astype(x.dtype)
        return inverse * x + self.offset[...]


class StandardizedConv(nnx.Module):
    """A convolution along positions, zero-padded, with a kernel standardized per output channel."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, dilation: int = 1, rngs: nnx.Rngs
    ) -> None:
        shape = (width, in_channels, out_channels)
        self.dilation = dilation
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), shape))
        self.scale = nnx.Param(jnp.ones((out_channels,)))
        self.bias = nnx.Param(jnp.zeros((out_channels,)))
        self.folded = False

    def __call__(
        self, x: Float[Array, "batch positions in_channels"], *, padding: str = "SAME"
    ) -> Float[Array, "batch out_positions out_channels"]:
        """Convolve; with padding "VALID" the output is shorter by (width - 1) · dilation positions."""
        kernel = self.kernel[...] if self.folded else standardize(self.kernel[...], self.scale[...])
        return convolve(x, kernel, padding=padding, dilation=self.dilation) + self.bias[...]

    def fold(self) -> None:
        """Standardize the stored kernel, so that inference need not do it again at every call."""
        if not self.folded:
            self.kernel[...] = standardize(self.kernel[...], self.scale[...])
            self.drop_scale()

    def unfold(self) -> None:
        """Split a folded kernel into one of unit variance and a scale, as training needs it."""
        if self.folded:
            kernel = self.kernel[...]
            scale = jnp.sqrt(kernel.shape[0] * kernel.shape[1] * jnp.var(kernel, axis=(0, 1)))
            self.kernel[...] = kernel / jnp.maximum(scale, jnp.sqrt(_MIN_KERNEL_VARIANCE))
            self.scale = nnx.Param(scale)
            self.folded = False

    def drop_scale(self) -> None:
        """Mark the kernel as standardized, or to be filled with a standardized one."""
        del self.scale
        self.folded = True


def convolve(
    x: Float[Array, "batch positions in_channels"],
    kernel: Float[Array, "width in_channels out_channels"],
    *,
    padding: str,
    dilation: int = 1,
) -> Float[Array, "batch out_positions out_channels"]:
    """Convolve along positions."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding=padding,
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )


@jax.jit
def standardize(
    kernel: Float[Array, "width in_channels out_channels"], scale: Float[Array, " out_channels"]
) -> Float[Array, "width in_channels out_channels"]:
    """Scale a kernel to zero mean and, times `scale`, unit variance per output channel.

    Jitted, with the operations in this order, so that it rounds as the official code does.
    """
    fan_in = kernel.shape[0] * kernel.shape[1]
    kernel = kernel - jnp.mean(kernel, axis=(0, 1), keepdims=True)
    variance = jnp.var(kernel, axis=(0, 1), keepdims=True)
    return kernel * (scale * jax.lax.rsqrt(jnp.maximum(fan_in * variance, _MIN_KERNEL_VARIANCE)))


class ConvBlock(nnx.Module):
    """Norm, activation, convolution; a linear layer if the width is 1."""

    def __init__(
        self, in_channels: int, out_channels: int, *, width: int, dilation: int = 1, rngs: nnx.Rngs
    ) -> None:
        self.norm = RMSBatchNorm(in_channels)
        self.conv: Any = (
            nnx.Linear(in_channels, out_channels, rngs=rngs)
            if width == 1
            else StandardizedConv(in_channels, out_channels, width=width, dilation=dilation, rngs=rngs)
        )

    def __call__(self, x: Float[Array, "*batch in_channels"]) -> Float[Array, "*batch out_channels"]:
        return self.conv(self.activate(x))

    def activate(self, x: Float[Array, "*batch in_channels"]) -> Float[Array, "*batch in_channels"]:
        """Return the input of the convolution."""
        return gelu(self.norm(x))


class OrganismLinear(nnx.Module):
    """A linear layer with separate weights for each organism, and float32 output."""

    def __init__(self, organisms: int, in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> None:
        shape = (organisms, in_channels, out_channels)
        initial = jax.random.truncated_normal(rngs.params(), -2.0, 2.0, shape)
        self.weight = OrganismParam(initial / jnp.sqrt(in_channels))
        self.bias = OrganismParam(jnp.zeros((organisms, out_channels)))

    def __call__(
        self, x: Float[Array, "*batch in_channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch out_channels"]:
        product = jnp.matmul(x, self.weight[organism], preferred_element_type=jnp.float32)
        return product + self.bias[organism]


class OrganismEmbedding(nnx.Module):
    """A learned vector per organism."""

    def __init__(self, organisms: int, channels: int, *, rngs: nnx.Rngs) -> None:
        self.embedding = OrganismParam(0.02 * jax.random.normal(rngs.params(), (organisms, channels)))

    def __call__(self, organism: OrganismIndex) -> Float[Array, " channels"]:
        return self.embedding[organism]


def fold_convolutions(module: nnx.Module) -> None:
    """Fold the standardization of every convolution in `module` into its kernel."""
    for conv in standardized_convolutions(module):
        conv.fold()


def unfold_convolutions(module: nnx.Module) -> None:
    """Undo `fold_convolutions`."""
    for conv in list(standardized_convolutions(module)):
        conv.unfold()


def standardized_convolutions(module: nnx.Module) -> Iterator[StandardizedConv]:
    """Yield every standardized convolution in `module`."""
    for _, node in nnx.iter_graph(module):
        if isinstance(node, StandardizedConv):
            yield node
