"""The whole network: DNA in, embeddings and predictions out.

Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py:AlphaGenome`.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Float32, Integer

from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.decoder import FineEmbedder, OutputEmbedder, PairEmbedder, SequenceDecoder
from vepscore.networks.alphagenome.encoder import SequenceEncoder
from vepscore.networks.alphagenome.heads import Head, JunctionHead, TrackHead, create_head
from vepscore.networks.alphagenome.layers import OrganismEmbedding, OrganismIndex
from vepscore.networks.alphagenome.tower import TransformerTower
from vepscore.outputs import Output

_HeadT = TypeVar("_HeadT", bound=Head)


class Embeddings(NamedTuple):
    """The inputs of the heads, at each resolution. C and D are the channels at 1 bp and at 128 bp."""

    bp1: Float[Array, "batch bp 2*C"]
    bp128: Float[Array, "batch bp//128 2*D"]
    pair: Float[Array, "batch bp//2048 bp//2048 pair_channels"]

    def of(self, output: Output) -> Float[Array, "batch ..."]:
        """Return the embedding at the resolution at which `output` is scored."""
        return {1: self.bp1, 128: self.bp128, 2048: self.pair}[output.resolution_bp]


class AlphaGenome(nnx.Module):
    """A network of the AlphaGenome family, of any size."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.encoder = SequenceEncoder(config, rngs=rngs)
        self.organism = OrganismEmbedding(config.organisms, config.trunk_channels, rngs=rngs)
        self.tower = TransformerTower(config, rngs=rngs)
        self.decoder = SequenceDecoder(config, rngs=rngs)
        self.embedder_128 = OutputEmbedder(config, rngs=rngs)
        self.embedder_1 = FineEmbedder(config, rngs=rngs)
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

    def head(self, output: Output, kind: type[_HeadT]) -> _HeadT:
        """Return the head of `output`, which is of that kind."""
        head = self.heads[str(output)]
        assert isinstance(head, kind)
        return head

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the predictions of `output` from embeddings at its scoring resolution; not for SPLICE_JUNCTIONS."""
        head = self.heads[str(output)]
        assert not isinstance(head, JunctionHead)
        if isinstance(head, TrackHead):
            return head(x, organism, resolution_bp=output.resolution_bp)
        return head(x, organism)

    def __call__(
        self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex, *, rotary_dtype: DTypeLike
    ) -> Embeddings:
        """Embed a batch of windows of one length.

        Args:
            dna: one-hot, in the dtype of the parameters; N is four zeros. The length is a multiple of 2048 bp.
            organism: 0 human, 1 mouse.
            rotary_dtype: dtype of the tower's rotary table, as set by the checkpoint.
        """
        trunk, skips = self.encoder(dna)
        return self._embed(trunk, skips, organism, rotary_dtype)

    def embed_joined(
        self,
        dna: Float[Array, "2 bp 4"],
        is_second: Bool[Array, " bp//128"],
        organism: OrganismIndex,
        *,
        rotary_dtype: DTypeLike,
    ) -> Embeddings:
        """Embed two windows whose trunks are joined into one, from which both windows are decoded.

        Args:
            dna: one-hot.
            is_second: the bins that the joined trunk takes from the second window.
            organism: as for a call.
            rotary_dtype: as for a call.

        Returns:
            The embeddings at 1 bp of both windows; the coarser ones of the joined trunk, a batch of one.
        """
        trunk, skips = self.encoder(dna)
        joined = jnp.where(is_second[:, None], trunk[1:], trunk[:1])
        return self._embed(joined, skips, organism, rotary_dtype)

    def _embed(
        self,
        trunk: Float[Array, "batch bins channels"],
        skips: Sequence[Float[Array, "_ _ _"]],
        organism: OrganismIndex,
        rotary_dtype: DTypeLike,
    ) -> Embeddings:
        """Embed trunks, or one trunk with the skips of several windows."""
        trunk, pair = self.tower(trunk + self.organism(organism), rotary_dtype=rotary_dtype)
        coarse = self.embedder_128(trunk, organism)
        fine = self.embedder_1(self.decoder(trunk, skips), organism, coarse)
        return Embeddings(fine, coarse, self.embedder_pair(pair, organism))


def one_hot(codes: Integer[Array | np.ndarray, "*batch bp"], dtype: DTypeLike) -> Float[Array, "*batch bp 4"]:
    """One-hot encode bases: 0 to 3 are A C G T, anything else is N, which becomes four zeros."""
    return jax.nn.one_hot(codes, 4, dtype=dtype)
