"""From DNA to the trunk: convolutions that halve the resolution seven times, 1 bp to 128 bp.

Axes: B batch, S bp, C channels.
Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py:SequenceEncoder`, `model/convolutions.py`.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from vepscore.model.config import POOLINGS, ModelConfig
from vepscore.model.layers import ConvBlock, max_pool


class DnaEmbedder(nnx.Module):
    """One-hot DNA to the first channels, at 1 bp.

    The local layers are not of the official network: a small one has few other ways to read a stretch base by base.
    """

    def __init__(self, channels: int, *, local_layers: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(4, channels, kernel_size=(15,), rngs=rngs)
        self.block = ConvBlock(channels, channels, width=5, rngs=rngs)
        self.local = nnx.List(
            ConvBlock(channels, channels, width=5, dilation=1 << layer, rngs=rngs)
            for layer in range(local_layers)
        )

    def __call__(self, dna: jax.Array) -> jax.Array:
        """(B, S, 4) → (B, S, C)."""
        x = self.conv(dna)
        for block in (self.block, *self.local):
            x = x + block(x)
        return x


class DownResBlock(nnx.Module):
    """Two residual convolutions, the first of which adds channels; the residual is padded with zeros for them."""

    def __init__(self, in_channels: int, added_channels: int, *, rngs: nnx.Rngs) -> None:
        out_channels = in_channels + added_channels
        self.first = ConvBlock(in_channels, out_channels, width=5, rngs=rngs)
        self.second = ConvBlock(out_channels, out_channels, width=5, rngs=rngs)
        self.added_channels = added_channels

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, S, C) → (B, S, C + added)."""
        x = self.first(x) + jnp.pad(x, ((0, 0), (0, 0), (0, self.added_channels)))
        return x + self.second(x)


class SequenceEncoder(nnx.Module):
    """The embedder and six down-resolution blocks, each followed by a max-pool of 2."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.embedder = DnaEmbedder(config.channels, local_layers=config.local_layers, rngs=rngs)
        self.down = nnx.List(
            DownResBlock(config.channels + level * config.channel_step, config.channel_step, rngs=rngs)
            for level in range(POOLINGS - 1)
        )

    def __call__(self, dna: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """(B, S, 4) → the trunk (B, S // 128, C) and the skips at bins of 1, 2, 4 … 64 bp."""
        skips = [self.embedder(dna)]
        for block in self.down:
            skips.append(block(max_pool(skips[-1])))
        return max_pool(skips[-1]), skips
