"""The whole network: DNA in, embeddings and predictions out.

Axes: B batch, S bp, C channels.
Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py:AlphaGenome`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vepscore.model.config import ModelConfig
from vepscore.model.decoder import OutputEmbedder, PairEmbedder, SequenceDecoder
from vepscore.model.encoder import SequenceEncoder
from vepscore.model.heads import create_head
from vepscore.model.layers import OrganismEmbedding
from vepscore.model.tower import TransformerTower
from vepscore.outputs import Output


class Embeddings(NamedTuple):
    """What the heads read."""

    bp1: jax.Array  # (B, S, 2 C)
    bp128: jax.Array  # (B, S // 128, 2 C trunk)
    pair: jax.Array  # (B, S // 2048, S // 2048, F)

    def of(self, output: Output) -> jax.Array:
        """The embedding that scoring `output` reads."""
        return {1: self.bp1, 128: self.bp128, 2048: self.pair}[output.resolution_bp]


class AlphaGenome(nnx.Module):
    """A network of the AlphaGenome family, of any size."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.encoder = SequenceEncoder(config, rngs=rngs)
        self.organism = OrganismEmbedding(config.organisms, config.trunk_channels, rngs=rngs)
        self.tower = TransformerTower(config, rngs=rngs)
        self.decoder = SequenceDecoder(config, rngs=rngs)
        self.embedder_128 = OutputEmbedder(config, config.trunk_channels, rngs=rngs)
        self.embedder_1 = OutputEmbedder(
            config, config.channels, coarse_channels=2 * config.trunk_channels, rngs=rngs
        )
        self.embedder_pair = PairEmbedder(config, rngs=rngs)
        self.heads = nnx.Dict(
            {str(output): create_head(config, output, rngs=rngs) for output in config.heads}
        )

    @property
    def dtype(self) -> jnp.dtype:
        """Return the dtype of the parameters."""
        return self.encoder.embedder.conv.kernel.dtype

    @property
    def device(self) -> jax.Device:
        """Return a device that has the parameters."""
        return next(iter(self.encoder.embedder.conv.kernel.devices()))

    def __call__(self, dna: jax.Array, organism: jax.Array, *, rotary_dtype: jnp.dtype) -> Embeddings:
        """Embeds a batch of windows of one length.

        Args:
            dna: one-hot (B, S, 4) in the dtype of the parameters; N is four zeros. S a multiple of 2048.
            organism: () int32, 0 human, 1 mouse.
            rotary_dtype: dtype of the tower's rotary table; belongs to the checkpoint.
        """
        trunk, skips = self.encoder(dna)
        return self._embed(trunk, skips, organism, rotary_dtype)

    def embed_joined(
        self, dna: jax.Array, is_second: jax.Array, organism: jax.Array, *, rotary_dtype: jnp.dtype
    ) -> Embeddings:
        """Embed two windows whose trunks are joined to one, which the tower runs over and both are decoded from.

        Args:
            dna: one-hot (2, S, 4).
            is_second: bool (S // 128,), the bins of which the joined trunk has the second window's.
            organism: as for a call.
            rotary_dtype: as for a call.

        Returns:
            The embeddings at 1 bp of both windows (2, S, 2 C); the coarser ones of the joined trunk, B = 1.
        """
        trunk, skips = self.encoder(dna)
        joined = jnp.where(is_second[:, None], trunk[1:], trunk[:1])
        return self._embed(joined, skips, organism, rotary_dtype)

    def _embed(
        self, trunk: jax.Array, skips: Sequence[jax.Array], organism: jax.Array, rotary_dtype: jnp.dtype
    ) -> Embeddings:
        """Embed trunks (B, N, C), or one of them with the skips of several windows."""
        trunk, pair = self.tower(trunk + self.organism(organism), rotary_dtype=rotary_dtype)
        coarse = self.embedder_128(trunk, organism)
        fine = self.embedder_1(self.decoder(trunk, skips), organism, coarse)
        return Embeddings(fine, coarse, self.embedder_pair(pair, organism))


def one_hot(codes: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """uint8 codes (…, S), 0 … 3 for A C G T and anything else for N, → (…, S, 4); N is four zeros."""
    return jax.nn.one_hot(codes, 4, dtype=dtype)
