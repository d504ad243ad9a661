"""The whole network: DNA in, embeddings and predictions out.

Source: google-deepmind/alphagenome_research 0.2.0, `model/model.py:AlphaGenome`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Float32, Int, Int32

from vepscore.model.allele_plan import AllelePlan
from vepscore.model.network import Network, OrganismIndex
from vepscore.networks.alphagenome.config import ModelConfig, scored_resolution_bp
from vepscore.networks.alphagenome.cpu_layers import use_pointwise_convolutions, use_winograd
from vepscore.networks.alphagenome.decoder import FineEmbedder, OutputEmbedder, PairEmbedder, SequenceDecoder
from vepscore.networks.alphagenome.encoder import SequenceEncoder
from vepscore.networks.alphagenome.heads import Head, JunctionHead, TrackHead, TrackMean, create_head
from vepscore.networks.alphagenome.layers import OrganismEmbedding
from vepscore.networks.alphagenome.seam import join_pairs, right_bins
from vepscore.networks.alphagenome.tower import TransformerTower
from vepscore.outputs import Output, Tracks

_HeadT = TypeVar("_HeadT", bound=Head)


class Embeddings(NamedTuple):
    """The inputs of the heads, at each resolution. C and D are the channels at 1 bp and at 128 bp."""

    bp1: Float[Array, "batch bp 2*C"]
    bp128: Float[Array, "batch bp//128 2*D"]
    pair: Float[Array, "batch bp//2048 bp//2048 pair_channels"]

    def of(self, output: Output) -> Float[Array, "batch ..."]:
        """Return the embedding at the resolution at which `output` is scored."""
        return {1: self.bp1, 128: self.bp128, 2048: self.pair}[scored_resolution_bp(output)]


class AlphaGenome(Network):
    """A network of the AlphaGenome family, of any size."""

    joins_windows = True

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.max_splice_sites = config.max_splice_sites
        self.splice_site_threshold = config.splice_site_threshold
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

    def embed(self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex) -> Embeddings:
        """Embed a batch of windows, with rotary tables in `rotary_dtype`."""
        return self(dna, organism, rotary_dtype=jnp.dtype(self.rotary_dtype))

    def select(self, embeddings: Embeddings, output: Output) -> Float[Array, "bins ..."]:
        """Return the embeddings at the resolution at which `output` is scored."""
        return embeddings.of(output)

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the predictions of `output` from embeddings at its scoring resolution; not for SPLICE_JUNCTIONS."""
        head = self.heads[str(output)]
        assert not isinstance(head, JunctionHead)
        if isinstance(head, TrackHead):
            return head(x, organism, resolution_bp=scored_resolution_bp(output))
        return head(x, organism)

    def count_junctions(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Return the counts of junctions between sites, from their embeddings at 1 bp."""
        return self.head(Output.SPLICE_JUNCTIONS, JunctionHead)(x, sites, organism)

    def with_tracks(self, channels: Mapping[Output, Int[np.ndarray, " tracks"]]) -> "AlphaGenome":
        """Return a copy whose heads have only these channels, in this order; it shares all other arrays."""
        network = nnx.merge(*nnx.split(self))
        network.heads = nnx.clone(network.heads)
        for output, kept in channels.items():
            network.heads[str(output)].keep(kept)
        return network

    def keep_outputs(self, outputs: Collection[Output]) -> None:
        """Keep only the heads of these outputs, and of them the resolution at which variants are scored."""
        for name in list(self.heads):
            output, head = Output(name), self.heads[name]
            if output not in outputs:
                del self.heads[name]
            elif isinstance(head, TrackHead):
                resolution = str(scored_resolution_bp(output))
                head.resolutions = nnx.Dict({resolution: head.resolutions[resolution]})

    def set_track_means(self, tracks: Mapping[Output, Tracks]) -> None:
        """Set the track means by which the heads scale predictions; 1 for padding."""
        for name, head in self.heads.items():
            if isinstance(head, TrackHead):
                means = np.ones((1, self.config.heads[Output(name)]), np.float32)
                table = tracks.get(Output(name))
                if table is not None:
                    means[0, table.channel] = table.nonzero_mean
                head.means = TrackMean(jnp.asarray(means))

    def join(self, left: Embeddings, right: Embeddings, plan: AllelePlan, *, reverse: bool) -> Embeddings:
        """Return the embeddings of an indel's two windows end to end; there is one map of pairs."""
        return Embeddings(
            bp1=jnp.concatenate([left.bp1, right.bp1]),
            bp128=jnp.concatenate([left.bp128, right.bp128]),
            pair=join_pairs(left.pair, right.pair, plan, reverse=reverse),
        )

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

    def optimized(self) -> "AlphaGenome":
        """Return the network, or a copy with convolutions and linear layers that are fast on a CPU in float32."""
        if self.device.platform != "cpu" or self.dtype != jnp.float32:
            return self
        return use_pointwise_convolutions(use_winograd(self))

    def seam(self, plan: AllelePlan, *, reverse: bool) -> Bool[np.ndarray, " bins"]:
        """Return which bins of the joined trunk are those of the right-anchored window, as the network sees them."""
        return right_bins(plan, reverse=reverse)

    def embed_joined(
        self,
        dna: Float[Array, "2 bp 4"],
        seam: Bool[Array, " bp//128"],
        organism: OrganismIndex,
    ) -> Embeddings:
        """Embed an indel's two windows, whose trunks are joined into one, from which both windows are decoded.

        Args:
            dna: one-hot; the left-anchored window and the right-anchored one.
            seam: the bins that the joined trunk takes from the second window.
            organism: as for a call.

        Returns:
            The embeddings of both windows end to end, without a batch axis; those at 128 bp are the same twice.
        """
        trunk, skips = self.encoder(dna)
        joined = jnp.where(seam[:, None], trunk[1:], trunk[:1])
        found = self._embed(joined, skips, organism, jnp.dtype(self.rotary_dtype))
        return Embeddings(
            bp1=jnp.concatenate(list(found.bp1)),
            bp128=jnp.concatenate([found.bp128[0]] * 2),
            pair=found.pair[0],
        )

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
