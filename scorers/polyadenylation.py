"""Polyadenylation: how the balance between a gene's proximal and distal poly(A) sites changes.

The coverage c_i of site i, of n in ascending order, is the sum over the 400 bp upstream. With f_i = alt c_i / ref c_i:

    POLYADENYLATION   max over k < n of |log2(mean of f_1 … f_k / mean of f_k+1 … f_n)|
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32

from vepscore.contract import (
    GENE_SIZES,
    Footprint,
    PolyAScorer,
    PolyASite,
    ScoreMatrix,
    pad_positions,
    padded_size,
)
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window
from vepscore.outputs import Output, Tracks
from vepscore.scorers.gene_positions import GeneScores, Signal, index_ranges, pad_genes, positions_within

COVERAGE_BP = 400
MIN_SITE_FRACTION = 0.8  # of a gene's sites must lie after the window's start, and as many before its end


@dataclasses.dataclass(frozen=True, kw_only=True)
class Polyadenylation(PolyAScorer):
    """Find the largest change between earlier and later poly(A) sites of each gene that the variant overlaps.

    Scores are given for all tracks, including those on the gene's other strand.

    Source: `PolyadenylationVariantScorer` of alphagenome_research; the statistic is that of Borzoi
    (Linder et al., Nature Genetics 2025).
    """

    name: str = "POLYADENYLATION"
    output: Output = Output.RNA_SEQ
    info_field: str | None = "VS_POLYA"

    def footprint(self, site: PolyASite) -> Footprint | None:
        genes, regions = [], []
        for gene in site.overlapping_genes():
            sites = _sites_within(site.polya.of_gene(gene), site.window)
            if len(sites) > 1:
                genes.append(gene)
                regions.append(_coverage_regions(gene, sites))
        if not genes:
            return None
        positions = positions_within(np.concatenate(regions), site, self.output)
        ranges = [index_ranges(sites, positions, site, self.output) for sites in regions]
        return Footprint(
            positions=pad_positions(positions),
            masks={"upstream": pad_genes(_pad_sites(ranges))},
            genes=tuple(genes),
            aligned=site.resolution_bp(self.output) == 1,
        )

    def score(
        self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]
    ) -> Float32[Array, "genes tracks"]:
        """Compare coverages; `upstream` is int32 (genes, sites, 2), ranges of the positions, empty at padding."""
        start, end = masks["upstream"][..., 0, None], masks["upstream"][..., 1, None]
        index = jnp.arange(reference.shape[0])
        upstream = ((index >= start) & (index < end)).astype(reference.dtype)
        fold_change = _zero_undefined(_product(upstream, alternate) / _product(upstream, reference))

        first_k = jnp.tril(jnp.ones((upstream.shape[1],) * 2, reference.dtype))
        proximal = _product(first_k, fold_change)  # (genes, sites, tracks): one entry for each k
        distal = _product(1 - first_k, fold_change)
        count = jnp.cumsum((start < end).astype(reference.dtype), axis=1)
        scale = (count[:, -1:] - count) / count  # from the ratio of sums to the ratio of means
        return _zero_undefined(jnp.abs(jnp.log2(scale * proximal / distal))).max(axis=1)

    def rows(self, scores: GeneScores, footprint: Footprint, site: PolyASite, tracks: Tracks) -> ScoreMatrix:
        values = scores[: len(footprint.genes)]
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=footprint.genes)


def _sites_within(sites: Int[np.ndarray, " sites"], window: Window) -> Int[np.ndarray, " inside"]:
    """Return the sites in the window; none if too few of the gene's sites are in it."""
    begun, ended = sites >= window.start0, sites + 1 < window.end0
    if not len(sites) or begun.mean() < MIN_SITE_FRACTION or ended.mean() < MIN_SITE_FRACTION:
        return sites[:0]
    return sites[begun & ended]


def _coverage_regions(gene: Gene, sites: Int[np.ndarray, " sites"]) -> Int[np.ndarray, "sites 2"]:
    """Return the interval upstream of each site, including the site, 0-based half-open."""
    start0 = sites + 1 - COVERAGE_BP if gene.strand == "+" else sites
    return np.stack([start0, start0 + COVERAGE_BP], axis=1)


def _pad_sites(ranges: Sequence[Int32[np.ndarray, "_ 2"]]) -> Int32[np.ndarray, "genes sites 2"]:
    """Return the ranges of all genes, padded with empty ones to one of GENE_SIZES."""
    padded = np.zeros((len(ranges), padded_size(max(map(len, ranges)), GENE_SIZES), 2), np.int32)
    for row, sites in zip(padded, ranges, strict=True):
        row[: len(sites)] = sites
    return padded


def _product(weights: Float32[Array, "..."], values: Float32[Array, "..."]) -> Float32[Array, "..."]:
    return jnp.matmul(weights, values, precision=jax.lax.Precision.HIGHEST)


def _zero_undefined(ratio: Float32[Array, "*axes"]) -> Float32[Array, "*axes"]:
    """Replace a ratio, or its logarithm, by 0 where it is NaN or infinite: without coverage, or at padding."""
    return jnp.nan_to_num(ratio, nan=0, posinf=0, neginf=0)


POLYADENYLATION = Polyadenylation()
