"""From DNA to the trunk: convolutions that halve the resolution seven times, 1 bp to 128 bp.

Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py:SequenceEncoder`, `model/convolutions.py`.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vepscore.networks.alphagenome.config import POOLINGS, ModelConfig
from vepscore.networks.alphagenome.layers import ConvBlock, max_pool


class DnaEmbedder(nnx.Module):
    """Maps one-hot DNA to the first channels, at 1 bp.

    The official network has no local layers; they let a small network read sequence base by base.
    """

    def __init__(self, channels: int, *, local_layers: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(4, channels, kernel_size=(15,), rngs=rngs)
        self.block = ConvBlock(channels, channels, width=5, rngs=rngs)
        self.local = nnx.List(
            ConvBlock(channels, channels, width=5, dilation=1 << layer, rngs=rngs)
            for layer in range(local_layers)
        )

    def __call__(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "batch bp channels"]:
        x = self.conv(dna)
        for block in (self.block, *self.local):
            x = x + block(x)
        return x


class DownResBlock(nnx.Module):
    """Two residual convolutions; the first adds channels, for which the residual is padded with zeros."""

    def __init__(self, in_channels: int, added_channels: int, *, rngs: nnx.Rngs) -> None:
        out_channels = in_channels + added_channels
        self.first = ConvBlock(in_channels, out_channels, width=5, rngs=rngs)
        self.second = ConvBlock(out_channels, out_channels, width=5, rngs=rngs)
        self.added_channels = added_channels

    def __call__(
        self, x: Float[Array, "batch bins channels"]
    ) -> Float[Array, "batch bins channels+{self.added_channels}"]:
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

    def __call__(
        self, dna: Float[Array, "batch bp 4"]
    ) -> tuple[Float[Array, "batch bp//128 channels"], list[Float[Array, "batch _ _"]]]:
        """Return the trunk and the skips, at bins of 1, 2, 4 … 64 bp."""
        skips = [self.embedder(dna)]
        for block in self.down:
            skips.append(block(max_pool(skips[-1])))
        return max_pool(skips[-1]), skips
