"""Where transcripts start: labels of a head that a network has in training alone.

CAGE is measured where transcripts start, and many more starts are annotated than lie in regions with coverage.
Coordinates are 0-based and half-open. Axes: B windows, S bp, L bins of BIN_BP; two strands (+, -).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.genome.annotation import Annotation
from vepscore.model.config import ModelConfig
from vepscore.model.network import Embeddings
from vepscore.train.segments import Segment

BIN_BP = 128
_HEAD = "TRANSCRIPT_STARTS"
_NO_START_LOGIT = 6.0  # a start is in about one bin in a thousand


class TssData:
    """The first bases of an annotation's transcripts, by where they lie in some segments.

    Attributes:
        places: int64 (N, 2), index of the segment and position on the chromosome, each once.
    """

    def __init__(self, segments: Sequence[Segment], annotation: Annotation) -> None:
        transcripts = annotation.transcripts
        chrom = np.array(annotation.contigs.names)[transcripts.chrom]
        first = np.where(transcripts.strand == "-", transcripts.end0 - 1, transcripts.start0)
        self._of_segment = []
        for segment in segments:
            inside = (chrom == segment.chrom) & (first >= segment.start0) & (first < segment.end0)
            stranded = inside & np.isin(transcripts.strand, ("+", "-"))
            minus = (transcripts.strand[stranded] == "-").astype(np.int64)
            self._of_segment.append(np.unique(np.stack([first[stranded], minus], axis=1), axis=0))
        indices = np.repeat(np.arange(len(self._of_segment)), [len(starts) for starts in self._of_segment])
        self.places = np.stack([indices, np.concatenate(self._of_segment)[:, 0]], axis=1)

    def window(self, index: int, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """bool (L, 2): whether a transcript starts in each bin of a segment's window, or of its reverse complement."""
        position, strand = self._of_segment[index].T
        inside = (position >= start0) & (position < start0 + width_bp)
        starts = np.zeros((width_bp // BIN_BP, 2), bool)
        starts[(position[inside] - start0) // BIN_BP, strand[inside]] = True
        return starts[::-1, ::-1] if reverse else starts


def add_tss_head(network: nnx.Module, config: ModelConfig, *, seed: int) -> None:
    """Gives the network a head for starts, which says at first that there are none."""
    head = nnx.Linear(2 * config.channels, 2, rngs=nnx.Rngs(seed))
    head.bias[...] = head.bias[...] - _NO_START_LOGIT
    network.heads[_HEAD] = head


def remove_tss_head(network: nnx.Module) -> None:
    """Undoes `add_tss_head`; a network without the head stays as it is."""
    if _HEAD in network.heads:
        del network.heads[_HEAD]


def tss_loss(network: nnx.Module, embeddings: Embeddings, starts: jax.Array, valid: jax.Array) -> jax.Array:
    """Binary cross entropy over all bins whose bases are valid, per bin with a start.

    starts bool (B, L, 2), valid bool (B, S). Each bin is told by the mean of its bases' embeddings.
    """
    bins = embeddings.bp1.reshape(*starts.shape[:2], BIN_BP, -1).mean(axis=2)
    logits = network.heads[_HEAD](bins)
    whole = valid.reshape(*starts.shape[:2], BIN_BP).all(axis=2)[..., None]
    entropy = jax.nn.softplus(logits) - starts * logits
    return jnp.sum(entropy * whole) / jnp.maximum(jnp.sum(starts & whole), 1)
