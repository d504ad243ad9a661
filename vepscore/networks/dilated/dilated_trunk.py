"""The trunk of an ensemble of dilated residual networks, on transcribed sequence.

    one-hot → width 1 ─┬─ block ×4 ─┬─ block ×4 ─┬─ … ─┐
                      skip         skip         skip  skip → sum of all skips

A block adds to its input two dilated convolutions, each after a batch norm, folded to x·scale + offset, and a
rectifier. No convolution is padded, so each layer is computed where later ones read it and nowhere else. The published
networks pad with zeros and then crop as many positions as padding can reach: the same values.

Parameters of all networks of the ensemble are stacked in their first axis. One network is run after the other.
Source: Jaganathan et al. 2019, Figure S1; github Kuanhao-Chao/OpenSpliceAI, `openspliceai/train_base/openspliceai.py`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vepscore.networks.dilated.dilated_config import BASES, BLOCKS_PER_SKIP, DilatedConfig, Layer

Weights = Any  # the tree of arrays of one network


class Block(nnx.Module):
    """The parameters of a residual block, of all networks."""

    def __init__(self, networks: int, channels: int, width: int, *, rngs: nnx.Rngs) -> None:
        shape = (networks, width, channels, channels)
        for layer in "12":
            kernel = jax.random.normal(rngs.params(), shape) / jnp.sqrt(width * channels)
            setattr(self, f"scale{layer}", nnx.Param(jnp.ones((networks, channels))))
            setattr(self, f"offset{layer}", nnx.Param(jnp.zeros((networks, channels))))
            setattr(self, f"kernel{layer}", nnx.Param(kernel))
            setattr(self, f"bias{layer}", nnx.Param(jnp.zeros((networks, channels))))


class Pointwise(nnx.Module):
    """The parameters of a convolution of width 1, of all networks."""

    def __init__(self, networks: int, in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> None:
        shape = (networks, in_channels, out_channels)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) / jnp.sqrt(in_channels))
        self.bias = nnx.Param(jnp.zeros((networks, out_channels)))


class DilatedTrunk(nnx.Module):
    """The trunks of all networks of an ensemble. Sequences are 5′ to 3′ of the strand that is predicted."""

    def __init__(self, config: DilatedConfig, *, rngs: nnx.Rngs) -> None:
        networks, channels = config.networks, config.channels
        self.config = config
        self.stem = Pointwise(networks, BASES, channels, rngs=rngs)
        self.blocks = nnx.List(Block(networks, channels, width, rngs=rngs) for width in config.widths)
        skips = 1 + len(config.widths) // BLOCKS_PER_SKIP
        self.skips = nnx.List(Pointwise(networks, channels, channels, rngs=rngs) for _ in range(skips))

    def embed(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "networks batch predicted channels"]:
        """Embed sequences of one length, without a margin at either end."""
        return jax.lax.map(lambda weights: _run(self.config, weights, dna), self._stacked())

    def weights(self) -> list[Weights]:
        """Return the parameters of each network."""
        stacked = self._stacked()
        return [
            jax.tree.map(lambda leaf, number=number: leaf[number], stacked)
            for number in range(self.config.networks)
        ]

    def _stacked(self) -> Weights:
        return nnx.to_pure_dict(nnx.state(self, nnx.Param))


def stem(weights: Weights, dna: Float[Array, "*batch 4"]) -> Float[Array, "*batch channels"]:
    """Return the input of the first block."""
    return _pointwise(weights["stem"], dna)


def convolve(
    config: DilatedConfig, weights: Weights, layer: Layer, x: Float[Array, "batch positions channels"]
) -> Float[Array, "batch out_positions channels"]:
    """Return a convolution of a block, without the block's input; shorter by the layer's margin at either end."""
    block, number = weights["blocks"][layer.block], layer.number
    x = x * block[f"scale{number}"] + block[f"offset{number}"]
    slope = config.negative_slope
    x = jnp.maximum(x, slope * x) if slope else jnp.maximum(x, 0)
    return convolve_dilated(x, block[f"kernel{number}"], layer.dilation) + block[f"bias{number}"]


def sum_skips(
    weights: Weights, skipped: Sequence[Float[Array, "*batch channels"]]
) -> Float[Array, "*batch channels"]:
    """Return the embedding, from the input of the first block and the outputs of each group of blocks."""
    terms = [_pointwise(weights["skips"][index], x) for index, x in enumerate(skipped)]
    return sum(terms[1:], terms[0])


def convolve_dilated(
    x: Float[Array, "batch positions in_channels"],
    kernel: Float[Array, "width in_channels out_channels"],
    dilation: int,
) -> Float[Array, "batch out_positions out_channels"]:
    """Convolve along positions without padding: the output is shorter by (width - 1) · dilation positions."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding="VALID",
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )


def _run(
    config: DilatedConfig, weights: Weights, dna: Float[Array, "batch bp 4"]
) -> Float[Array, "batch predicted channels"]:
    """Return the embedding of one network."""
    x = y = stem(weights, dna)
    skipped = [_crop(x, config.margin_bp)]
    for layer in config.layers:
        y = convolve(config, weights, layer, y)
        if layer.number == 2:
            x = y = _crop(x, 2 * layer.margin_bp) + y
        if layer.ends_group:
            skipped.append(_crop(x, layer.after_bp))
    return sum_skips(weights, skipped)


def _crop(x: Float[Array, "batch positions channels"], margin: int) -> Float[Array, "batch _ channels"]:
    return x[:, margin : x.shape[1] - margin]


def _pointwise(
    weights: Weights, x: Float[Array, "*batch in_channels"]
) -> Float[Array, "*batch out_channels"]:
    return x @ weights["kernel"] + weights["bias"]
