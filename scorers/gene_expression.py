"""Gene expression: compare RNA-seq averaged over each gene's exons between the two alleles.

    RNA_SEQ          ln(mean alt + 0.001) - ln(mean ref + 0.001)
    RNA_SEQ_ACTIVE   max(mean alt, mean ref)

Scores genes with a transcript start in the window, over the exons of these transcripts, as far as they lie in the
window.
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32

from vepscore.contract import Footprint, GeneScorer, GeneSite, ScoreMatrix
from vepscore.outputs import Output, Tracks
from vepscore.scorers.gene_positions import GeneScores, Signal, exon_footprint, name_genes, sum_exons

_PSEUDOCOUNT = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneExpression(GeneScorer):
    """Compare mean signals over exons, by their log fold change or by the larger one.

    Attributes:
        active: score the larger mean, not the log fold change.

    Source: `GeneVariantScorer` of alphagenome_research.
    """

    name: str
    output: Output
    info_field: str | None = None
    info_gene_field: str | None = None
    active: bool = False

    @property
    def is_signed(self) -> bool:
        """Whether scores have a direction: a fold change has one, the larger of two means has none."""
        return not self.active

    def footprint(self, site: GeneSite) -> Footprint | None:
        window = site.window
        genes = site.annotation.genes_with_start(window.chrom, window.start0, window.end0)
        return exon_footprint(genes, site, self.output)

    def score(
        self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]
    ) -> Float32[Array, "genes tracks"]:
        """Compare the genes' mean signals; `exonic` is bool (genes, positions)."""
        reference_mean = _exon_means(reference, masks["exonic"])
        alternate_mean = _exon_means(alternate, masks["exonic"])
        if self.active:
            return jnp.maximum(alternate_mean, reference_mean)
        return jnp.log(alternate_mean + _PSEUDOCOUNT) - jnp.log(reference_mean + _PSEUDOCOUNT)

    def rows(self, scores: GeneScores, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        return name_genes(self, scores, footprint.genes, tracks)


def _exon_means(signal: Signal, exonic: Bool[Array, "genes positions"]) -> Float32[Array, "genes tracks"]:
    return sum_exons(exonic, signal) / exonic.sum(axis=1, keepdims=True, dtype=signal.dtype)


RNA_SEQ = GeneExpression(
    name="RNA_SEQ", output=Output.RNA_SEQ, info_field="VS_RNA", info_gene_field="VS_RNA_GENE"
)
RNA_SEQ_ACTIVE = GeneExpression(name="RNA_SEQ_ACTIVE", output=Output.RNA_SEQ, active=True)
