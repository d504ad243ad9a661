"""Polyadenylation: the balance between a gene's proximal and distal poly(A) sites.

Of n sites in ascending order, site i has the coverage c_i, the sum over the 400 bp upstream of it. With
f_i = alt c_i / ref c_i:

    POLYADENYLATION   max over k < n of |log2(mean of f_1 … f_k / mean of f_k+1 … f_n)|

Array axes: P positions read, G genes, A sites of a gene, T tracks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.contract import GENE_SIZES, Footprint, ScoreMatrix, Scorer, Site, pad_positions, padded_size
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import Window
from vepscore.outputs import Output, Tracks
from vepscore.scorers.regions import index_ranges, pad_genes, positions_within

COVERAGE_BP = 400
MIN_SHARE = 0.8  # of a gene's sites: not before the window's start, and as many not past its end


@dataclasses.dataclass(frozen=True, kw_only=True)
class Polyadenylation(Scorer):
    """The largest change between earlier and later poly(A) sites of a gene that the variant overlaps.

    Scores stand for all tracks, those on the other strand too.

    Source: `PolyadenylationVariantScorer` of alphagenome_research; the statistic is that of Borzoi
    (Linder et al., Nature Genetics 2025).
    """

    name: str = "POLYADENYLATION"
    output: Output = Output.RNA_SEQ
    info_field: str = "VS_POLYA"

    needs_genes = True
    needs_polya = True

    def footprint(self, site: Site) -> Footprint | None:
        found = [
            (gene, _sites_within(site.polya.of_gene(gene), site.window)) for gene in site.overlapping_genes()
        ]
        genes = [gene for gene, sites in found if len(sites) > 1]
        if not genes:
            return None
        regions = [_coverage_regions(gene, sites) for gene, sites in found if len(sites) > 1]
        positions = positions_within(np.concatenate(regions), site.window)
        ranges = [index_ranges(sites, positions, site.window) for sites in regions]
        return Footprint(
            positions=pad_positions(positions),
            masks={"upstream": pad_genes(_pad_sites(ranges))},
            genes=tuple(genes),
            aligned=True,
        )

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """float32 (G, T); `upstream` is int32 (G, A, 2), ranges of the positions read, empty at padding."""
        start, end = masks["upstream"][..., 0, None], masks["upstream"][..., 1, None]
        index = jnp.arange(reference.shape[0])
        upstream = ((index >= start) & (index < end)).astype(reference.dtype)
        fold_change = _zero_undefined(_product(upstream, alternate) / _product(upstream, reference))

        first_k = jnp.tril(jnp.ones((upstream.shape[1],) * 2, reference.dtype))
        proximal = _product(first_k, fold_change)  # (G, A, T): one entry for each split k = 1 … A
        distal = _product(1 - first_k, fold_change)
        count = jnp.cumsum((start < end).astype(reference.dtype), axis=1)
        scale = (count[:, -1:] - count) / count  # from the ratio of sums to the ratio of means
        return _zero_undefined(jnp.abs(jnp.log2(scale * proximal / distal))).max(axis=1)

    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        values = scores[: len(footprint.genes)]
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=footprint.genes)


def _sites_within(sites: np.ndarray, window: Window) -> np.ndarray:
    """The sites in the window; none where too few of the gene's sites are."""
    begun, ended = sites >= window.start0, sites + 1 < window.end0
    if not len(sites) or begun.mean() < MIN_SHARE or ended.mean() < MIN_SHARE:
        return sites[:0]
    return sites[begun & ended]


def _coverage_regions(gene: Gene, sites: np.ndarray) -> np.ndarray:
    """The stretch upstream of each site, the site included: int64 (A, 2)."""
    start0 = sites + 1 - COVERAGE_BP if gene.strand == "+" else sites
    return np.stack([start0, start0 + COVERAGE_BP], axis=1)


def _pad_sites(ranges: Sequence[np.ndarray]) -> np.ndarray:
    """Ranges of all genes, with empty ones up to one of GENE_SIZES: int32 (G, A, 2)."""
    padded = np.zeros((len(ranges), padded_size(max(map(len, ranges)), GENE_SIZES), 2), np.int32)
    for row, sites in zip(padded, ranges, strict=True):
        row[: len(sites)] = sites
    return padded


def _product(weights: Any, values: Any) -> Any:
    return jnp.matmul(weights, values, precision=jax.lax.Precision.HIGHEST)


def _zero_undefined(ratio: Any) -> Any:
    """0 where a ratio or its logarithm is not a number or infinite: no coverage, or padding."""
    return jnp.nan_to_num(ratio, nan=0, posinf=0, neginf=0)


POLYADENYLATION = Polyadenylation()
