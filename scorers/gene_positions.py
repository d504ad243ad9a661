"""What the scorers of genes share: regions of the genome as positions in a window, and rows by gene.

Regions have a start and an end in the genome, 0-based half-open. Positions count bp from the window's start.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float32, Int, Int32, Int64, Shaped

from vepscore.contract import GENE_SIZES, GeneScorer, ScoreMatrix, padded_size, strand_matches
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window
from vepscore.outputs import Tracks

Signal = Float32[Array, "positions tracks"]  # of one allele
GeneScores = Float32[np.ndarray, "padded tracks"]


def gene_bodies(genes: Sequence[Gene]) -> Int64[np.ndarray, "genes 2"]:
    """Return the regions of whole genes."""
    return np.array([(gene.start0, gene.end0) for gene in genes], np.int64).reshape(-1, 2)


def positions_within(
    regions: Int[np.ndarray, "regions 2"], window: Window
) -> Int64[np.ndarray, " positions"]:
    """Return the window's positions that lie in any of the regions, ascending, without duplicates."""
    inside = np.zeros(window.width_bp, bool)
    for start, end in np.clip(regions - window.start0, 0, window.width_bp):
        inside[start:end] = True
    return np.flatnonzero(inside)


def index_ranges(
    regions: Int[np.ndarray, "regions 2"], positions: Int[np.ndarray, " positions"], window: Window
) -> Int32[np.ndarray, "regions 2"]:
    """Return the range of indices among `positions` that each region covers, half-open; empty outside the window."""
    return np.searchsorted(positions, regions - window.start0).astype(np.int32)


def pad_genes(values: Shaped[np.ndarray, "genes ..."]) -> Shaped[np.ndarray, "padded ..."]:
    """Return the values with zeros added at the end of the first axis, up to one of GENE_SIZES."""
    padded = np.zeros((padded_size(len(values), GENE_SIZES), *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded


def name_genes(
    scorer: GeneScorer, scores: GeneScores, genes: tuple[Gene, ...], tracks: Tracks
) -> ScoreMatrix:
    """Return a row for each gene, NaN in tracks of the other strand."""
    values = np.where(strand_matches(genes, tracks), scores[: len(genes)], np.float32(np.nan))
    return ScoreMatrix(scorer=scorer.name, output=scorer.output, values=values, genes=genes)
