"""The whole network: splicing from a stack of convolutions, tracks and contact maps from an AlphaGenome."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Int32

from vepscore.model.allele_plan import AllelePlan
from vepscore.model.network import Network, OrganismIndex
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.networks.alphagenome.seam import right_bins
from vepscore.networks.compact.compact_config import SPLICING, CompactConfig
from vepscore.networks.compact.splice_heads import SpliceHeads
from vepscore.networks.compact.splice_stack import SpliceStack
from vepscore.outputs import Output, Tracks


class CompactEmbeddings(NamedTuple):
    """The inputs of the heads; None of a part that was dropped. C are the channels of the stack."""

    splicing: Float[Array, "batch bp 2*C"] | None
    tracks: Embeddings | None


class CompactNetwork(Network):
    """A network of the compact family, of any size.

    Attributes:
        stack: embeds windows for the splice heads.
        splice_heads: predict splicing; None, like the stack, if no splicing output was kept.
        tracks: predicts the other outputs; None if there are none.
    """

    joins_windows = True

    def __init__(self, config: CompactConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.max_splice_sites = config.splicing.max_splice_sites
        self.splice_site_threshold = config.splicing.splice_site_threshold
        self.stack: SpliceStack | None = nnx.data(SpliceStack(config.splicing, rngs=rngs))
        self.splice_heads: SpliceHeads | None = nnx.data(SpliceHeads(config.splicing, rngs=rngs))
        self.tracks: AlphaGenome | None = nnx.data(
            AlphaGenome(config.tracks, rngs=rngs) if config.tracks.heads else None
        )

    @property
    def dtype(self) -> jnp.dtype:
        """Return the dtype of the parameters."""
        return self._part.dtype

    @property
    def device(self) -> jax.Device:
        """Return a device that has the parameters."""
        return self._part.device

    @property
    def _part(self) -> SpliceStack | AlphaGenome:
        """Return a part that was kept."""
        part = self.tracks if self.stack is None else self.stack
        assert part is not None
        return part

    @property
    def rotary_dtype(self) -> str:
        """Return the dtype of the tables of rotary position embeddings of the AlphaGenome."""
        return Network.rotary_dtype if self.tracks is None else self.tracks.rotary_dtype

    @rotary_dtype.setter
    def rotary_dtype(self, dtype: str) -> None:
        if self.tracks is not None:
            self.tracks.rotary_dtype = dtype

    def embed(self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex) -> CompactEmbeddings:
        """Embed a batch of windows of one length; beyond their ends, both parts see N."""
        tracks = None if self.tracks is None else self.tracks.embed(dna, organism)
        return CompactEmbeddings(self._embed_splicing(dna), tracks)

    def select(self, embeddings: CompactEmbeddings, output: Output) -> Float[Array, "bins ..."]:
        """Return the embeddings from which `output` is predicted."""
        if output in SPLICING:
            assert embeddings.splicing is not None
            return embeddings.splicing
        assert embeddings.tracks is not None
        return embeddings.tracks.of(output)

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the predictions of `output` from its embeddings; not for SPLICE_JUNCTIONS."""
        if output in SPLICING:
            assert self.splice_heads is not None
            return self.splice_heads.predict(output, x, organism)
        assert self.tracks is not None
        return self.tracks.predict(output, x, organism)

    def count_junctions(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Return the counts of junctions between sites, from their embeddings."""
        assert self.splice_heads is not None
        return self.splice_heads.count_junctions(x, sites, organism)

    def with_tracks(self, channels: Mapping[Output, Int[np.ndarray, " tracks"]]) -> "CompactNetwork":
        """Return a copy whose heads have only these channels, in this order; it shares all other arrays."""
        network = _copy(self)
        if network.splice_heads is not None:
            network.splice_heads = nnx.clone(network.splice_heads)
            for output in SPLICING & channels.keys():
                network.splice_heads.keep(output, channels[output])
        if network.tracks is not None:
            network.tracks = network.tracks.with_tracks(
                {output: kept for output, kept in channels.items() if output not in SPLICING}
            )
        return network

    def keep_outputs(self, outputs: Collection[Output]) -> None:
        """Keep only the parts that have any of these outputs, and of the AlphaGenome only their heads."""
        if not SPLICING & set(outputs):
            self.stack = self.splice_heads = None
        if self.tracks is not None:
            self.tracks.keep_outputs(outputs)
            self.tracks = self.tracks if self.tracks.heads else None

    def set_track_means(self, tracks: Mapping[Output, Tracks]) -> None:
        """Set the means of the tracks, by which the AlphaGenome scales predictions."""
        if self.tracks is not None:
            self.tracks.set_track_means(tracks)

    def optimized(self) -> "CompactNetwork":
        """Return the network, or a copy whose AlphaGenome is faster on its device."""
        if self.tracks is None:
            return self
        network = _copy(self)
        network.tracks = self.tracks.optimized()
        return network

    def join(
        self, left: CompactEmbeddings, right: CompactEmbeddings, plan: AllelePlan, *, reverse: bool
    ) -> CompactEmbeddings:
        """Return the embeddings of an indel's two windows end to end; there is one map of pairs."""
        splicing, tracks = None, None
        if left.splicing is not None and right.splicing is not None:
            splicing = jnp.concatenate([left.splicing, right.splicing])
        if self.tracks is not None and left.tracks is not None and right.tracks is not None:
            tracks = self.tracks.join(left.tracks, right.tracks, plan, reverse=reverse)
        return CompactEmbeddings(splicing, tracks)

    def seam(self, plan: AllelePlan, *, reverse: bool) -> np.ndarray:
        """Return which bins of the AlphaGenome's joined trunk are those of the right-anchored window: bool (bins,)."""
        return right_bins(plan, reverse=reverse)

    def embed_joined(
        self, dna: Float[Array, "2 bp 4"], seam: Array, organism: OrganismIndex
    ) -> CompactEmbeddings:
        """Embed an indel's two windows, whose trunks are joined; the stack embeds each by itself."""
        splicing = self._embed_splicing(dna)
        tracks = None if self.tracks is None else self.tracks.embed_joined(dna, seam, organism)
        return CompactEmbeddings(None if splicing is None else jnp.concatenate(list(splicing)), tracks)

    def _embed_splicing(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "batch bp channels"] | None:
        if self.stack is None:
            return None
        reach_bp = self.stack.reach_bp
        return self.stack.embed(jnp.pad(dna, ((0, 0), (reach_bp, reach_bp), (0, 0))))


def _copy(network: CompactNetwork) -> CompactNetwork:
    """Return a copy that shares all arrays."""
    return nnx.merge(*nnx.split(network))
