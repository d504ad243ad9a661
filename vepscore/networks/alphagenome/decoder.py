"""From the trunk back to 1 bp, and the embeddings that the heads read.

Source: google-deepmind/alphagenome_research 0.2.0, `model/convolutions.py:UpResBlock`, `model/embeddings.py`.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from vepscore.networks.alphagenome.config import POOLINGS, ModelConfig
from vepscore.networks.alphagenome.layers import (
    ConvBlock,
    LayerNorm,
    OrganismEmbedding,
    OrganismIndex,
    RMSBatchNorm,
    gelu,
)


class UpResBlock(nnx.Module):
    """Doubles the resolution and adds the encoder's skip of that resolution."""

    def __init__(self, in_channels: int, skip_channels: int, *, rngs: nnx.Rngs) -> None:
        self.conv_in = ConvBlock(in_channels, skip_channels, width=5, rngs=rngs)
        self.residual_scale = nnx.Param(jnp.ones(()))
        self.skip = ConvBlock(skip_channels, skip_channels, width=1, rngs=rngs)
        self.conv_out = ConvBlock(skip_channels, skip_channels, width=5, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch bins channels"], skip: Float[Array, "skip_batch 2*bins skip_channels"]
    ) -> Float[Array, "skip_batch 2*bins skip_channels"]:
        x = self.conv_in(x) + x[:, :, : skip.shape[-1]]
        x = jnp.repeat(x, 2, axis=1) * self.residual_scale[...]
        x = x + self.skip(skip)
        return x + self.conv_out(x)


class SequenceDecoder(nnx.Module):
    """Seven up-resolution blocks, 128 bp to 1 bp."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        widths = [config.channels + level * config.channel_step for level in reversed(range(POOLINGS))]
        self.up = nnx.List(
            UpResBlock(before, after, rngs=rngs)
            for before, after in zip([config.trunk_channels, *widths], widths, strict=False)
        )

    def __call__(
        self, trunk: Float[Array, "batch bins trunk_channels"], skips: Sequence[Float[Array, "_ _ _"]]
    ) -> Float[Array, "_ bins*128 channels"]:
        """Decode the trunk with the encoder's skips; one trunk can be decoded with the skips of several windows."""
        x = trunk
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(x, skip)
        return x


class OutputEmbedder(nnx.Module):
    """Doubles the channels of the trunk: the embedding at 128 bp."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        channels = 2 * config.trunk_channels
        self.project = nnx.Linear(config.trunk_channels, channels, rngs=rngs)
        self.norm = RMSBatchNorm(channels)
        self.organism = OrganismEmbedding(config.organisms, channels, rngs=rngs)

    def __call__(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float[Array, "*batch 2*channels"]:
        return gelu(self.norm(self.project(x)) + self.organism(organism))


class FineEmbedder(nnx.Module):
    """Doubles the channels at 1 bp, and adds the 128 bp embedding, projected and repeated."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        channels = 2 * config.channels
        self.project = nnx.Linear(config.channels, channels, rngs=rngs)
        self.project_coarse = nnx.Linear(2 * config.trunk_channels, channels, use_bias=False, rngs=rngs)
        self.norm = RMSBatchNorm(channels)
        self.organism = OrganismEmbedding(config.organisms, channels, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "batch bp channels"],
        organism: OrganismIndex,
        coarse: Float[Array, "coarse_batch bp//128 coarse_channels"],
    ) -> Float[Array, "batch bp 2*channels"]:
        projected = self.project_coarse(coarse)
        return self.combine(x, organism, jnp.repeat(projected, x.shape[1] // coarse.shape[1], axis=1))

    def combine(
        self,
        x: Float[Array, "*batch channels"],
        organism: OrganismIndex,
        projected: Float[Array, "*coarse_batch 2*channels"],
    ) -> Float[Array, "*batch 2*channels"]:
        """Embed positions, with the projected 128 bp embedding of the bin that each is in."""
        return gelu(self.norm(self.project(x) + projected) + self.organism(organism))


class PairEmbedder(nnx.Module):
    """Makes the pair representation symmetric, then normalizes it."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(config.pair_channels, centered=False)
        self.organism = OrganismEmbedding(config.organisms, config.pair_channels, rngs=rngs)

    def __call__(
        self, pair: Float[Array, "batch bins bins channels"], organism: OrganismIndex
    ) -> Float[Array, "batch bins bins channels"]:
        return self._embed((pair + jnp.swapaxes(pair, 1, 2)) / 2, organism)

    def rows(
        self, pair: Float[Array, "bins bins channels"], rows: Int[Array, " rows"], organism: OrganismIndex
    ) -> Float[Array, "rows bins channels"]:
        """Embed some rows of one window."""
        return self._embed((pair[rows] + jnp.swapaxes(pair[:, rows], 0, 1)) / 2, organism)

    def _embed(
        self, symmetric: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float[Array, "*batch channels"]:
        return gelu(self.norm(symmetric) + self.organism(organism))
