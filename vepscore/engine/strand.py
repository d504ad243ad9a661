"""The minus strand: the network is given the reverse complement, and its predictions are mirrored back.

Positions, tracks and splice sites are then those of the plus strand, so that no scorer needs to know the strand.

Source: google-deepmind/alphagenome_research 0.2.0, `model/augmentation.py`, `strand_reindexing` of
`model/metadata/metadata.py`.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32

from vepscore.errors import CheckpointError
from vepscore.outputs import Output, Tracks

# Outputs whose signal at a base is about the bond before it, which on the other strand is the bond after it.
INTERBASE_OUTPUTS = frozenset({Output.DNASE})

# For each row of SPLICE_CLASSES, the same kind of site on the other strand.
OTHER_STRAND = np.array([2, 3, 0, 1])


def mirror_index(index: Int[Array, "*shape"], size: int) -> Int[Array, "*shape"]:
    """Return the indices, counted from the other end of a window of `size`.

    Indices of a second window, from `size` on, are counted from that window's end. An index of -1 becomes meaningless.
    """
    start = jnp.where(index >= size, size, 0)
    return 2 * start + size - 1 - index


def mirror_channels(tracks: Tracks) -> Int32[np.ndarray, " tracks"]:
    """Return the channel that predicts each track when the network is given the other strand.

    Raises:
        CheckpointError: the tracks do not come in pairs, one on each strand.
    """
    try:
        return tracks.channel[tracks.strand_partners]
    except ValueError as error:
        raise CheckpointError(
            f"{tracks.output} cannot be predicted from the minus strand: the checkpoint has {error}\n"
            "expected as many tracks on each strand, where the i-th track of one pairs with the i-th of the other",
            hint="score on the plus strand",
        ) from error
