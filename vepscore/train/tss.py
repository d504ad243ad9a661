"""Transcription start sites (TSSs): labels, and an auxiliary head that is used in training only and not saved.

CAGE measures TSSs, and many more of them are annotated than lie in regions with coverage.

Coordinates are 0-based and half-open. Axes: B windows, S bp, L bins of BIN_BP; two strands (+, -).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.genome.annotation import Annotation
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.train.segments import Segment

BIN_BP = 128
_HEAD = "TRANSCRIPT_STARTS"
_NO_TSS_LOGIT = 6.0  # about one bin in a thousand has a TSS


class TssData:
    """The TSSs of an annotation's transcripts that lie in some segments.

    Attributes:
        positions: int64 (N, 2), index of the segment and position on the chromosome, without duplicates.
    """

    def __init__(self, segments: Sequence[Segment], annotation: Annotation) -> None:
        transcripts = annotation.transcripts
        chrom = np.array(annotation.contigs.names)[transcripts.chrom]
        first = np.where(transcripts.strand == "-", transcripts.end0 - 1, transcripts.start0)
        self._of_segment: list[np.ndarray] = []  # int64 (n, 2) each: position and strand (0 +, 1 -)
        for segment in segments:
            inside = (chrom == segment.chrom) & (first >= segment.start0) & (first < segment.end0)
            stranded = inside & np.isin(transcripts.strand, ("+", "-"))
            minus = (transcripts.strand[stranded] == "-").astype(np.int64)
            self._of_segment.append(np.unique(np.stack([first[stranded], minus], axis=1), axis=0))
        indices = np.repeat(np.arange(len(self._of_segment)), [len(sites) for sites in self._of_segment])
        self.positions = np.stack([indices, np.concatenate(self._of_segment)[:, 0]], axis=1)

    def window(self, index: int, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """Return bool (L, 2): whether a bin of a segment's window, or of its reverse complement, has a TSS."""
        position, strand = self._of_segment[index].T
        inside = (position >= start0) & (position < start0 + width_bp)
        tss = np.zeros((width_bp // BIN_BP, 2), bool)
        tss[(position[inside] - start0) // BIN_BP, strand[inside]] = True
        return tss[::-1, ::-1] if reverse else tss


def add_tss_head(network: AlphaGenome, *, seed: int) -> None:
    """Add the auxiliary head. Its bias is initialized so that TSSs are rare."""
    head = nnx.Linear(2 * network.config.channels, 2, rngs=nnx.Rngs(seed))
    assert head.bias is not None
    head.bias[...] = head.bias[...] - _NO_TSS_LOGIT
    network.heads[_HEAD] = head


def remove_tss_head(network: AlphaGenome) -> None:
    """Remove the auxiliary head, if the network has it."""
    if _HEAD in network.heads:
        del network.heads[_HEAD]


def tss_loss(network: AlphaGenome, embeddings: Embeddings, tss: jax.Array, valid: jax.Array) -> jax.Array:
    """Return the binary cross entropy over bins whose bases are all valid, per bin with a TSS.

    The head reads the mean embedding of a bin's bases. tss bool (B, L, 2), the labels; valid bool (B, S).
    """
    bins = embeddings.bp1.reshape(*tss.shape[:2], BIN_BP, -1).mean(axis=2)
    head = network.heads[_HEAD]
    assert isinstance(head, nnx.Linear)
    logits = head(bins)
    whole = valid.reshape(*tss.shape[:2], BIN_BP).all(axis=2)[..., None]
    entropy = jax.nn.softplus(logits) - tss * logits
    return jnp.sum(entropy * whole) / jnp.maximum(jnp.sum(tss & whole), 1)
