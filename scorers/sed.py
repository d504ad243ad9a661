"""SNP expression difference (SED): compare RNA-seq coverage over each gene's exons between the two alleles, as Borzoi.

With r and a the coverage of the reference and the alternate allele in a bin, and sums over the bins of a gene's exons:

    SED       Σ (a - r)              LOG_SED       log2(1 + Σ a) - log2(1 + Σ r)
    SED_D1    Σ |a - r|              SED_LOG_D1    Σ |log2(1 + a) - log2(1 + r)|
    SED_D2    √Σ (a - r)²            SED_LOG_D2    √Σ (log2(1 + a) - log2(1 + r))²

The published names are SED, logSED, D1, logD1, D2 and logD2. Coverage is what the network predicts with the squashing
of its targets undone.

Scores every gene with an exon where the network predicts, over the union of the exons of its transcripts; see
`vepscore.scorers.gene_positions` for the bins of an exon. As published, they count from the start of the predicted part
of the window.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float32

from vepscore.contract import Footprint, GeneScorer, GeneSite, ScoreMatrix
from vepscore.outputs import Output, Tracks
from vepscore.scorers.gene_positions import GeneScores, Signal, exon_footprint, name_genes, sum_exons

Rows = Float32[Array, "rows tracks"]


def _log_ratio(reference: Rows, difference: Rows) -> Rows:
    """Return log2(1 + alternate) - log2(1 + reference), without cancellation."""
    return jnp.log1p(difference / (1 + reference)) / math.log(2)


# From the sum over each gene's bins, the reference, and the difference of the alternate from it.
_STATISTICS: dict[str, Callable[[Callable[[Rows], Rows], Rows, Rows], Rows]] = {
    "SED": lambda total, r, d: total(d),
    "LOG_SED": lambda total, r, d: _log_ratio(total(r), total(d)),
    "SED_D1": lambda total, r, d: total(jnp.abs(d)),
    "SED_LOG_D1": lambda total, r, d: total(jnp.abs(_log_ratio(r, d))),
    "SED_D2": lambda total, r, d: jnp.sqrt(total(jnp.square(d))),
    "SED_LOG_D2": lambda total, r, d: jnp.sqrt(total(jnp.square(_log_ratio(r, d)))),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpressionDifference(GeneScorer):
    """Compare coverage over the bins of a gene's exons by one statistic: SED, LOG_SED, or a norm of the differences.

    Source: calico/borzoi, `src/scripts/borzoi_sed.py` (`map_snpseq_genes`, `write_snp`).
    """

    name: str
    output: Output = Output.RNA_SEQ
    by_name_only: bool = True

    @property
    def is_signed(self) -> bool:
        """Whether scores have a direction: SED and LOG_SED have one, a norm has none."""
        return self.name in ("SED", "LOG_SED")

    def footprint(self, site: GeneSite) -> Footprint | None:
        annotation, window = site.annotation, site.window
        genes = annotation.genes_overlapping(window.chrom, window.start0, window.end0)
        return exon_footprint([(gene, annotation.exons_of(gene)) for gene in genes], site, self.output)

    def score(
        self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]
    ) -> Float32[Array, "genes tracks"]:
        """Compare the genes' coverage; `exonic` is bool (genes, positions)."""
        total = functools.partial(sum_exons, masks["exonic"])
        return _STATISTICS[self.name](total, reference, alternate - reference)

    def rows(self, scores: GeneScores, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        return name_genes(self, scores, footprint.genes, tracks)


SED = ExpressionDifference(name="SED")
LOG_SED = ExpressionDifference(name="LOG_SED")
SED_D1 = ExpressionDifference(name="SED_D1")
SED_LOG_D1 = ExpressionDifference(name="SED_LOG_D1")
SED_D2 = ExpressionDifference(name="SED_D2")
SED_LOG_D2 = ExpressionDifference(name="SED_LOG_D2")
