"""Regions of the genome as positions of a window: what the scorers of genes share.

Regions are int64 (R, 2), start and end in the genome, 0-based half-open. Positions count bp from the start of
the window.
"""

from collections.abc import Sequence

import numpy as np

from vepscore.contract import GENE_SIZES, padded_size
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window


def gene_bodies(genes: Sequence[Gene]) -> np.ndarray:
    """The regions of whole genes."""
    return np.array([(gene.start0, gene.end0) for gene in genes], np.int64).reshape(-1, 2)


def positions_within(regions: np.ndarray, window: Window) -> np.ndarray:
    """The window's positions that lie in any of the regions: int64 (P,), ascending, each once."""
    inside = np.zeros(window.width_bp, bool)
    for start, end in np.clip(regions - window.start0, 0, window.width_bp):
        inside[start:end] = True
    return np.flatnonzero(inside)


def index_ranges(regions: np.ndarray, positions: np.ndarray, window: Window) -> np.ndarray:
    """Where each region lies among `positions`, which cover it: int32 (R, 2), half-open, empty if nowhere."""
    return np.searchsorted(positions, regions - window.start0).astype(np.int32)


def pad_genes(values: np.ndarray) -> np.ndarray:
    """`values` with zeros added at the end of the first axis, up to one of GENE_SIZES."""
    padded = np.zeros((padded_size(len(values), GENE_SIZES), *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded
