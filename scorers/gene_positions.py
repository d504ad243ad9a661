"""What the scorers of genes share: regions of the genome as positions in a window, sums over exons, and rows by gene.

Regions have a start and an end in the genome, 0-based half-open. Positions are bins of the output's resolution from the
window's start. The bins of a region are those from its start to its end, both rounded to whole bins (a half to the even
one): a bin counts if most of it is in the region, and a region of less than half a bin may have none.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int, Int32, Int64, Shaped

from vepscore.contract import (
    GENE_SIZES,
    Footprint,
    GeneScorer,
    GeneSite,
    ScoreMatrix,
    pad_positions,
    padded_size,
    strand_matches,
)
from vepscore.genome.annotation import Gene
from vepscore.outputs import Output, Tracks

Signal = Float32[Array, "positions tracks"]  # of one allele
GeneScores = Float32[np.ndarray, "padded tracks"]


def gene_bodies(genes: Sequence[Gene]) -> Int64[np.ndarray, "genes 2"]:
    """Return the regions of whole genes."""
    return np.array([(gene.start0, gene.end0) for gene in genes], np.int64).reshape(-1, 2)


def positions_within(
    regions: Int[np.ndarray, "regions 2"], site: GeneSite, output: Output
) -> Int64[np.ndarray, " positions"]:
    """Return the positions that lie in any of the regions, ascending, without duplicates."""
    inside = np.zeros(site.window.width_bp // site.resolution_bp(output), bool)
    for start, end in np.clip(_in_bins(regions, site, output), 0, len(inside)):
        inside[start:end] = True
    return np.flatnonzero(inside)


def index_ranges(
    regions: Int[np.ndarray, "regions 2"],
    positions: Int[np.ndarray, " positions"],
    site: GeneSite,
    output: Output,
) -> Int32[np.ndarray, "regions 2"]:
    """Return the range of indices among `positions` that each region covers, half-open; empty outside the window."""
    return np.searchsorted(positions, _in_bins(regions, site, output)).astype(np.int32)


def exon_footprint(
    genes: Sequence[tuple[Gene, Int[np.ndarray, "_ 2"]]], site: GeneSite, output: Output
) -> Footprint | None:
    """Return the exons of genes, with the mask `exonic`, bool (genes, positions); None without one in the window.

    At 1 bp the alternate is read at reference coordinates; bins are those of the alternate's own window.
    """
    found = [
        (gene, positions) for gene, exons in genes if len(positions := positions_within(exons, site, output))
    ]
    if not found:
        return None
    union = np.unique(np.concatenate([positions for _, positions in found]))
    padded = pad_positions(union)
    exonic = np.zeros((len(found), len(padded)), bool)
    for row, (_, positions) in zip(exonic, found, strict=True):
        row[np.searchsorted(union, positions)] = True
    return Footprint(
        positions=padded,
        masks={"exonic": pad_genes(exonic)},
        genes=tuple(gene for gene, _ in found),
        aligned=site.resolution_bp(output) == 1,
    )


def sum_exons(exonic: Bool[Array, "genes positions"], values: Signal) -> Float32[Array, "genes tracks"]:
    """Return each gene's sum over its exons, by a matrix product, which adds in the same order on every run."""
    return jnp.matmul(exonic.astype(values.dtype), values, precision=jax.lax.Precision.HIGHEST)


def _in_bins(
    regions: Int[np.ndarray, "regions 2"], site: GeneSite, output: Output
) -> Int64[np.ndarray, "regions 2"]:
    return np.rint((regions - site.window.start0) / site.resolution_bp(output)).astype(np.int64)


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
