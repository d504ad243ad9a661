"""What a network of this family can predict: the output types and the tracks of each.

The vocabulary that the network, the scorers and the writers share; numpy only.
"""

import dataclasses
import enum

import numpy as np

PAIR_BIN_BP = 2048  # width of the bins of contact maps and of the pair representation
MAX_WINDOW_BP = 1_048_576  # width of the largest window


class Output(enum.StrEnum):
    """An output type, named as in the `alphagenome` package."""

    ATAC = "ATAC"
    DNASE = "DNASE"
    PROCAP = "PROCAP"
    CAGE = "CAGE"
    RNA_SEQ = "RNA_SEQ"
    CHIP_TF = "CHIP_TF"
    CHIP_HISTONE = "CHIP_HISTONE"
    CONTACT_MAPS = "CONTACT_MAPS"
    SPLICE_SITES = "SPLICE_SITES"
    SPLICE_SITE_USAGE = "SPLICE_SITE_USAGE"
    SPLICE_JUNCTIONS = "SPLICE_JUNCTIONS"

    @property
    def resolution_bp(self) -> int:
        """Width in bp of the bins at which variants are scored: 1, 128 or 2048."""
        return _RESOLUTION_BP.get(self, 1)


_RESOLUTION_BP = {Output.CHIP_TF: 128, Output.CHIP_HISTONE: 128, Output.CONTACT_MAPS: PAIR_BIN_BP}

# Order of the classes of SPLICE_SITES and of the rows of junction sites; a fifth class is "no site".
SPLICE_CLASSES = ("donor+", "acceptor+", "donor-", "acceptor-")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracks:
    """The real (unpadded) tracks of one output for one organism. Every array has shape (T,)."""

    output: Output
    name: np.ndarray  # str; track name as the checkpoint gives it
    strand: np.ndarray  # str: "+", "-" or "."
    ontology_curie: np.ndarray  # str, e.g. "UBERON:0000955"; "" where there is none
    biosample_name: np.ndarray  # str; "" where there is none
    assay: np.ndarray  # str; "" where there is none
    nonzero_mean: np.ndarray  # float32; mean of the track over its non-zero bins, which scales the prediction
    channel: np.ndarray  # int32; the track's channel among the head's padded channels

    def __len__(self) -> int:
        return len(self.name)

    @property
    def strand_partners(self) -> np.ndarray:
        """int (T,): the index of each track's partner on the other strand; its own where it is unstranded.

        The i-th track on "+" and the i-th on "-" are partners.

        Raises:
            ValueError: one strand has more tracks than the other.
        """
        plus, minus = (np.flatnonzero(self.strand == strand) for strand in "+-")
        if len(plus) != len(minus):
            raise ValueError(f"{len(plus)} tracks on + and {len(minus)} on -")
        index = np.arange(len(self))
        index[plus], index[minus] = minus, plus
        return index
