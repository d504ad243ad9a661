"""Linear layers as convolutions of width 1, which on a CPU are XLA's faster and steadier matrix product."""

from typing import Any, TypeVar

import jax
from flax import nnx
from jaxtyping import Array, Float

_Network = TypeVar("_Network", bound=nnx.Module)

_MIN_CHANNELS = 256  # with fewer, there is no difference


def use_pointwise_convolutions(network: _Network) -> _Network:
    """Return a copy of a network whose large linear layers are convolutions; it shares all parameters."""
    graph, state = nnx.split(network)
    fast = nnx.merge(graph, state)
    for _, node in nnx.iter_graph(fast):
        if isinstance(node, nnx.Linear) and min(node.in_features, node.out_features) >= _MIN_CHANNELS:
            node.dot_general = _convolve
    return fast


def _convolve(
    x: Float[Array, "*batch in_channels"],
    kernel: Float[Array, "in_channels out_channels"],
    axes: Any,
    **_: Any,
) -> Float[Array, "*batch out_channels"]:
    """Stand in for `lax.dot_general` over the channels."""
    assert axes == (((x.ndim - 1,), (0,)), ((), ()))
    y = jax.lax.conv_general_dilated(
        x.reshape(1, -1, x.shape[-1]),
        kernel[None],
        window_strides=(1,),
        padding="VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return y.reshape(*x.shape[:-1], -1)
