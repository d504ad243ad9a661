"""The output types of a network and the tracks of each, shared by the network, the scorers and the writers.

Imports only numpy.
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


# The order of the classes of SPLICE_SITES and of the rows of junction sites. The fifth class is "no site".
SPLICE_CLASSES = ("donor+", "acceptor+", "donor-", "acceptor-")
# The order of the splice events of a gene.
EVENT_KINDS = ("acceptor_gain", "acceptor_loss", "donor_gain", "donor_loss")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracks:
    """The tracks of one output for one organism, without padding. Every array has shape (T,).

    The width of their bins, `resolution_bp`, is that of the network; it is set when a checkpoint is opened.
    """

    output: Output
    name: np.ndarray  # str; name of the track in the checkpoint
    strand: np.ndarray  # str: "+", "-" or "."
    ontology_curie: np.ndarray  # str, e.g. "UBERON:0000955"; "" if there is none
    biosample_name: np.ndarray  # str; "" if there is none
    assay: np.ndarray  # str; "" if there is none
    nonzero_mean: np.ndarray  # float32; mean of the track over its non-zero bins, which scales the prediction
    channel: np.ndarray  # int32; index of the track among the head's channels, which include padding
    resolution_bp: int = 1  # width of the bins in which variants are scored

    def __len__(self) -> int:
        return len(self.name)

    @property
    def strand_partners(self) -> np.ndarray:
        """Return the index of each track's partner on the other strand, its own if it is unstranded: int (T,).

        The i-th track on "+" and the i-th track on "-" are partners.

        Raises:
            ValueError: one strand has more tracks than the other.
        """
        plus, minus = (np.flatnonzero(self.strand == strand) for strand in "+-")
        if len(plus) != len(minus):
            raise ValueError(f"{len(plus)} tracks on + and {len(minus)} on -")
        index = np.arange(len(self))
        index[plus], index[minus] = minus, plus
        return index
