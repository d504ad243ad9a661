"""From the trunk back to 1 bp, and the embeddings that the heads read.

Axes: B batch, S bp or bins, C channels.
Source: google-deepmind/alphagenome_research 0.2.0, `model/convolutions.py:UpResBlock`, `model/embeddings.py`.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from vepscore.model.config import POOLINGS, ModelConfig
from vepscore.model.layers import ConvBlock, LayerNorm, OrganismEmbedding, RMSBatchNorm, gelu


class UpResBlock(nnx.Module):
    """Doubles the resolution and adds the encoder's skip of that resolution."""

    def __init__(self, in_channels: int, skip_channels: int, *, rngs: nnx.Rngs) -> None:
        self.conv_in = ConvBlock(in_channels, skip_channels, width=5, rngs=rngs)
        self.residual_scale = nnx.Param(jnp.ones(()))
        self.skip = ConvBlock(skip_channels, skip_channels, width=1, rngs=rngs)
        self.conv_out = ConvBlock(skip_channels, skip_channels, width=5, rngs=rngs)

    def __call__(self, x: jax.Array, skip: jax.Array) -> jax.Array:
        """(B, S, C), (B, 2 S, C skip) → (B, 2 S, C skip)."""
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

    def __call__(self, trunk: jax.Array, skips: list[jax.Array]) -> jax.Array:
        """(B, S // 128, C trunk) and the encoder's skips → (B, S, C)."""
        x = trunk
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(x, skip)
        return x


class OutputEmbedder(nnx.Module):
    """Doubles the channels; at 1 bp it adds the 128 bp embedding, projected and repeated."""

    def __init__(
        self, config: ModelConfig, channels: int, *, coarse_channels: int = 0, rngs: nnx.Rngs
    ) -> None:
        self.project = nnx.Linear(channels, 2 * channels, rngs=rngs)
        self.project_coarse = (
            nnx.Linear(coarse_channels, 2 * channels, use_bias=False, rngs=rngs) if coarse_channels else None
        )
        self.norm = RMSBatchNorm(2 * channels)
        self.organism = OrganismEmbedding(config.organisms, 2 * channels, rngs=rngs)

    def __call__(self, x: jax.Array, organism: jax.Array, coarse: jax.Array | None = None) -> jax.Array:
        """(B, S, C) → (B, S, 2 C)."""
        if coarse is not None:
            coarse = self.project_coarse(coarse)
            coarse = jnp.repeat(coarse, x.shape[1] // coarse.shape[1], axis=1)
        return self.combine(x, organism, coarse)

    def combine(self, x: jax.Array, organism: jax.Array, coarse: jax.Array | None = None) -> jax.Array:
        """(…, C), and the coarse embedding projected and repeated (…, 2 C) → (…, 2 C)."""
        x = self.project(x)
        if coarse is not None:
            x = x + coarse
        return gelu(self.norm(x) + self.organism(organism))


class PairEmbedder(nnx.Module):
    """Symmetrises the pair representation, then normalises it."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(config.pair_channels, centered=False)
        self.organism = OrganismEmbedding(config.organisms, config.pair_channels, rngs=rngs)

    def __call__(self, pair: jax.Array, organism: jax.Array) -> jax.Array:
        """(B, S, S, C) → (B, S, S, C)."""
        return self._embed((pair + jnp.swapaxes(pair, 1, 2)) / 2, organism)

    def rows(self, pair: jax.Array, rows: jax.Array, organism: jax.Array) -> jax.Array:
        """The same for some rows of one window: (S, S, C), (P,) → (P, S, C)."""
        return self._embed((pair[rows] + jnp.swapaxes(pair[:, rows], 0, 1)) / 2, organism)

    def _embed(self, symmetric: jax.Array, organism: jax.Array) -> jax.Array:
        return gelu(self.norm(symmetric) + self.organism(organism))
