"""Gene expression: RNA-seq averaged over each gene's exons, alternate against reference.

    RNA_SEQ          ln(mean alt + 0.001) - ln(mean ref + 0.001)
    RNA_SEQ_ACTIVE   max(mean alt, mean ref)

Genes are those with a transcript start in the window; their exons are those of these transcripts, as far as
they lie in the window. Array axes: P positions read, G genes, T tracks.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions, strand_matches
from vepscore.outputs import Output, Tracks
from vepscore.scorers.regions import index_ranges, pad_genes, positions_within

_PSEUDOCOUNT = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneExpression(Scorer):
    """Compares the mean signal over exons, as a log fold change or as the larger of the two.

    Source: `GeneVariantScorer` of alphagenome_research.
    """

    name: str
    output: Output
    info_field: str | None = None  # the VCF field of its largest score
    info_gene_field: str | None = None  # the VCF field of that score's gene
    active: bool = False  # the larger mean rather than the log fold change

    needs_genes = True

    @property
    def is_signed(self) -> bool:
        """A fold change has a direction, the larger of two means has none."""
        return not self.active

    def footprint(self, site: Site) -> Footprint | None:
        window = site.window
        candidates = site.annotation.genes_with_start(window.chrom, window.start0, window.end0)
        if not candidates:
            return None
        positions = positions_within(np.concatenate([exons for _, exons in candidates]), window)
        ranges = [(gene, index_ranges(exons, positions, window)) for gene, exons in candidates]
        # A minus-strand transcript that ends where the window begins counts as one that starts in it.
        ranges = [(gene, spans) for gene, spans in ranges if (spans[:, 0] < spans[:, 1]).any()]
        if not ranges:
            return None
        padded = pad_positions(positions)
        exonic = np.zeros((len(ranges), len(padded)), bool)
        for row, (_, spans) in zip(exonic, ranges, strict=True):
            for start, end in spans:
                row[start:end] = True
        return Footprint(
            positions=padded,
            masks={"exonic": pad_genes(exonic)},
            genes=tuple(gene for gene, _ in ranges),
            aligned=True,
        )

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """float32 (G, T); `exonic` is bool (G, P)."""
        reference_mean = _exon_means(reference, masks["exonic"])
        alternate_mean = _exon_means(alternate, masks["exonic"])
        if self.active:
            return jnp.maximum(alternate_mean, reference_mean)
        return jnp.log(alternate_mean + _PSEUDOCOUNT) - jnp.log(reference_mean + _PSEUDOCOUNT)

    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        matches = strand_matches(footprint.genes, tracks)
        values = np.where(matches, scores[: len(footprint.genes)], np.float32(np.nan))
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=footprint.genes)


def _exon_means(signal: Any, exonic: Any) -> Any:
    """The mean signal of each gene: (G, T). A matrix product, which adds in the same order on every run."""
    weights = exonic.astype(signal.dtype)
    sums = jnp.matmul(weights, signal, precision=jax.lax.Precision.HIGHEST)
    return sums / weights.sum(axis=1, keepdims=True)


RNA_SEQ = GeneExpression(
    name="RNA_SEQ", output=Output.RNA_SEQ, info_field="VS_RNA", info_gene_field="VS_RNA_GENE"
)
RNA_SEQ_ACTIVE = GeneExpression(name="RNA_SEQ_ACTIVE", output=Output.RNA_SEQ, active=True)
