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
from vepscore.train.pieces import Piece

BIN_BP = 128
_HEAD = "TRANSCRIPT_STARTS"
_NO_START_LOGIT = 6.0  # a start is in about one bin in a thousand


class TranscriptStarts:
    """The first bases of an annotation's transcripts, by where they lie in some pieces.

    Attributes:
        places: int64 (N, 2), index of the piece and position on the chromosome, each once.
    """

    def __init__(self, pieces: Sequence[Piece], annotation: Annotation) -> None:
        transcripts = annotation.transcripts
        chrom = np.array(annotation.contigs.names)[transcripts.chrom]
        first = np.where(transcripts.strand == "-", transcripts.end0 - 1, transcripts.start0)
        self._of_piece = []
        for piece in pieces:
            inside = (chrom == piece.chrom) & (first >= piece.start0) & (first < piece.end0)
            stranded = inside & np.isin(transcripts.strand, ("+", "-"))
            minus = (transcripts.strand[stranded] == "-").astype(np.int64)
            self._of_piece.append(np.unique(np.stack([first[stranded], minus], axis=1), axis=0))
        indices = np.repeat(np.arange(len(self._of_piece)), [len(starts) for starts in self._of_piece])
        self.places = np.stack([indices, np.concatenate(self._of_piece)[:, 0]], axis=1)

    def window(self, index: int, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """bool (L, 2): whether a transcript starts in each bin of a piece's window, or of its reverse complement."""
        position, strand = self._of_piece[index].T
        inside = (position >= start0) & (position < start0 + width_bp)
        starts = np.zeros((width_bp // BIN_BP, 2), bool)
        starts[(position[inside] - start0) // BIN_BP, strand[inside]] = True
        return starts[::-1, ::-1] if reverse else starts


def add_start_head(network: nnx.Module, config: ModelConfig, *, seed: int) -> None:
    """Gives the network a head for starts, which says at first that there are none."""
    head = nnx.Linear(2 * config.channels, 2, rngs=nnx.Rngs(seed))
    head.bias[...] = head.bias[...] - _NO_START_LOGIT
    network.heads[_HEAD] = head


def remove_start_head(network: nnx.Module) -> None:
    """Undoes `add_start_head`; a network without the head stays as it is."""
    if _HEAD in network.heads:
        del network.heads[_HEAD]


def start_loss(network: nnx.Module, embeddings: Embeddings, starts: jax.Array, valid: jax.Array) -> jax.Array:
    """Binary cross entropy over all bins whose bases are valid, per bin with a start.

    starts bool (B, L, 2), valid bool (B, S). Each bin is told by the mean of its bases' embeddings.
    """
    bins = embeddings.bp1.reshape(*starts.shape[:2], BIN_BP, -1).mean(axis=2)
    logits = network.heads[_HEAD](bins)
    whole = valid.reshape(*starts.shape[:2], BIN_BP).all(axis=2)[..., None]
    entropy = jax.nn.softplus(logits) - starts * logits
    return jnp.sum(entropy * whole) / jnp.maximum(jnp.sum(starts & whole), 1)
