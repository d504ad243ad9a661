"""Layers that a CPU computes faster, in float32: convolutions of width 5, and linear layers.

Four outputs of a convolution of width 5 are the middle coefficients of a product of polynomials. Computed from its
values at eight points (Toom-Cook; for convolutions Winograd's F(4, 5)) they cost 8 multiplications instead of 20:

    y = Aᵀ ((G k) ⊙ (Bᵀ x))        x: 8 inputs, k: 5 taps, y: 4 outputs

G k is computed once, when the network is opened. Each of the eight products is a matrix product over the channels. The
points were chosen for the least error: about five times that of the direct convolution, 1.6e-6 of the output's standard
deviation.

Linear layers become convolutions of width 1, which on a CPU are XLA's faster and steadier matrix product.

Source: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks (2016).
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32

from vepscore.networks.alphagenome.layers import StandardizedConv, convolve

_Network = TypeVar("_Network", bound=nnx.Module)

TAPS, OUTPUTS = 5, 4
_POINTS = np.array([0, 1, -1, 2, -2, 0.5, -0.5])  # and infinity
_INPUTS = TAPS + OUTPUTS - 1
_ROWS = 512  # rows of a matrix product, so that its operands stay in the cache
_MIN_CHANNELS = 256  # with fewer, little or nothing is saved


def _values(coefficients: int) -> Float[np.ndarray, "8 {coefficients}"]:
    """Return the matrix from the coefficients of a polynomial to its values at the points."""
    infinity = np.eye(coefficients)[-1]
    return np.vstack([_POINTS[:, None] ** np.arange(coefficients), infinity])


def _transforms() -> tuple[Float[np.ndarray, "8 8"], Float[np.ndarray, "8 5"], Float[np.ndarray, "4 8"]]:
    """Return Bᵀ, G and Aᵀ; powers of two are moved from Bᵀ to G, which is applied in float64."""
    inputs = np.linalg.inv(_values(_INPUTS)).T
    scale = 2.0 ** np.round(np.log2(np.linalg.norm(inputs, axis=1, keepdims=True)))
    inputs = np.where(abs(inputs) < 1e-12, 0, inputs / scale)
    return inputs, _values(TAPS) * scale, _values(OUTPUTS).T


_FROM_INPUTS, _FROM_TAPS, _TO_OUTPUTS = _transforms()


class WinogradConv(nnx.Module):
    """A folded convolution of width 5, without padding."""

    def __init__(self, conv: StandardizedConv) -> None:
        kernel = np.asarray(conv.kernel[...], np.float64)
        products = _FROM_TAPS @ kernel.reshape(TAPS, -1)
        # Separate matrices, because a slice of one array would be copied at each call.
        self.products = nnx.List(
            nnx.Param(jnp.asarray(product.reshape(kernel.shape[1:]), jnp.float32)) for product in products
        )
        self.bias = conv.bias

    def __call__(
        self, x: Float32[Array, "batch positions in_channels"], *, padding: str
    ) -> Float32[Array, "batch positions-4 out_channels"]:
        assert padding == "VALID"
        batch, length = x.shape[0], x.shape[1] - TAPS + 1
        groups = -(-length // OUTPUTS)
        chunks = max(1, round(batch * groups / _ROWS))
        groups_at_a_time = -(-groups // chunks)
        step = groups_at_a_time * OUTPUTS
        x = jnp.pad(x, ((0, 0), (0, chunks * step + OUTPUTS - x.shape[1]), (0, 0)))
        products = [product[...] for product in self.products]
        if chunks == 1:
            return _convolve(x, products)[:, :length] + self.bias[...]

        def convolve_chunk(chunk: Array, y: Array) -> Array:
            part = jax.lax.dynamic_slice_in_dim(x, chunk * step, step + OUTPUTS, axis=1)
            return jax.lax.dynamic_update_slice_in_dim(y, _convolve(part, products), chunk * step, axis=1)

        y = jnp.zeros((batch, chunks * step, products[0].shape[-1]), x.dtype)
        return jax.lax.fori_loop(0, chunks, convolve_chunk, y)[:, :length] + self.bias[...]


def use_winograd(network: _Network) -> _Network:
    """Return a copy of a folded network with fast large convolutions; it shares all other parameters."""
    fast = _copy(network)
    for _, node in list(nnx.iter_graph(fast)):
        conv = getattr(node, "conv", None)
        if not isinstance(conv, StandardizedConv) or conv.dilation > 1:
            continue
        if min(conv.kernel.shape[1:]) >= _MIN_CHANNELS:
            node.conv = WinogradConv(conv)
    return fast


def use_pointwise_convolutions(network: _Network) -> _Network:
    """Return a copy of a network whose large linear layers are convolutions; it shares all parameters."""
    fast = _copy(network)
    for _, node in nnx.iter_graph(fast):
        if isinstance(node, nnx.Linear) and min(node.in_features, node.out_features) >= _MIN_CHANNELS:
            node.dot_general = _convolve_pointwise
    return fast


def _copy(network: _Network) -> _Network:
    graph, state = nnx.split(network)
    return nnx.merge(graph, state)


def _convolve_pointwise(
    x: Float[Array, "*batch in_channels"],
    kernel: Float[Array, "in_channels out_channels"],
    axes: Any,
    **_: Any,
) -> Float[Array, "*batch out_channels"]:
    """Stand in for `lax.dot_general` over the channels."""
    assert axes == (((x.ndim - 1,), (0,)), ((), ()))
    y = convolve(x.reshape(1, -1, x.shape[-1]), kernel[None], padding="VALID")
    return y.reshape(*x.shape[:-1], -1)


def _convolve(
    x: Float32[Array, "batch positions in_channels"],
    products: list[Float32[Array, "in_channels out_channels"]],
) -> Float32[Array, "batch positions-4 out_channels"]:
    """Convolve groups of four outputs."""
    batch, length, channels = x.shape
    groups = length // OUTPUTS - 1
    x = x.reshape(batch, groups + 1, OUTPUTS, channels)
    inputs = [x[:, i // OUTPUTS : i // OUTPUTS + groups, i % OUTPUTS] for i in range(_INPUTS)]
    values = [
        _combine(weights, inputs).reshape(batch * groups, channels) @ product
        for weights, product in zip(_FROM_INPUTS, products, strict=True)
    ]
    outputs = jnp.stack([_combine(weights, values) for weights in _TO_OUTPUTS], axis=1)
    return outputs.reshape(batch, groups * OUTPUTS, -1)


def _combine(
    weights: Float[np.ndarray, " terms"], terms: list[Float32[Array, "*shape"]]
) -> Float32[Array, "*shape"]:
    products = [float(weight) * term for weight, term in zip(weights, terms, strict=True) if weight]
    return sum(products[1:], products[0])
