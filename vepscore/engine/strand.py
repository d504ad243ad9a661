"""The minus strand: the network is given the reverse complement, and what it says is turned round again.

After that, positions, tracks and splice sites are those of the plus strand, and no scorer knows of the strand.
Axes: B windows, S bp, T real tracks, K junction sites per class.

Source: google-deepmind/alphagenome_research 0.2.0, `model/augmentation.py`, `strand_reindexing` of
`model/metadata/metadata.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.errors import CheckpointError
from vepscore.model.heads import JunctionHead
from vepscore.outputs import Output, Tracks

# Outputs whose signal at a base is about the bond before it, which on the other strand is the bond after it.
BETWEEN_BASES = frozenset({Output.DNASE})

# For each row of SPLICE_CLASSES, the same kind of site on the other strand.
_OTHER_STRAND = np.array([2, 3, 0, 1])


def turn_index(index: jax.Array, size: int) -> jax.Array:
    """Count indices among `size` places from the other end; those of a second window, from `size` on, from its own.

    What -1 becomes has no meaning.
    """
    start = jnp.where(index >= size, size, 0)
    return 2 * start + size - 1 - index


def turned_channels(tracks: Tracks) -> np.ndarray:
    """int32 (T,): the channel in which each track is found when the network is given the other strand.

    Raises:
        CheckpointError: the tracks do not come in pairs, one on each strand.
    """
    try:
        return tracks.channel[tracks.strand_partners]
    except ValueError as error:
        raise CheckpointError(
            f"{tracks.output} cannot be predicted from the minus strand: the checkpoint has {error}\n"
            "expected as many on each, since the i-th of the one stands for the i-th of the other",
            hint="score on the plus strand",
        ) from error


def count_turned(
    head: JunctionHead, embedding: jax.Array, sites: jax.Array, organism: jax.Array, *, width_bp: int
) -> jax.Array:
    """What `head` returns, when the network was given the other strand of the window.

    Args:
        head: it goes by the positions and strands that the network saw.
        embedding: (4, K, C), turned round, at the sites.
        sites: int32 (4, K), those of the plus strand, bp from the window's start, padded with -1.
        organism: () int32.
        width_bp: S.
    """
    seen = jnp.where(sites >= 0, width_bp - 1 - sites, -1)
    return head(embedding[_OTHER_STRAND], seen[_OTHER_STRAND], organism)[:, :, ::-1]
