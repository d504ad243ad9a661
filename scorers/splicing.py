"""Splice sites: the largest change of a splice-site signal in each gene that the variant overlaps.

SPLICE_SITES, SPLICE_SITE_USAGE   max over the gene's body of |alt - ref|
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32

from vepscore.contract import Footprint, GeneScorer, GeneSite, ScoreMatrix, common_strand, pad_positions
from vepscore.outputs import Output, Tracks
from vepscore.scorers.gene_positions import (
    GeneScores,
    Signal,
    gene_bodies,
    index_ranges,
    name_genes,
    pad_genes,
    positions_within,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splicing(GeneScorer):
    """Find the largest absolute change over a gene's body, as far as it lies in the window.

    Source: `GeneVariantScorer` of alphagenome_research, with `GENE_MASK_SPLICING`.
    """

    name: str
    output: Output
    info_field: str | None = None

    def footprint(self, site: GeneSite) -> Footprint | None:
        genes = site.overlapping_genes()
        if not genes:
            return None
        bodies = gene_bodies(genes)
        positions = positions_within(bodies, site, self.output)
        return Footprint(
            positions=pad_positions(positions),
            masks={"body": pad_genes(index_ranges(bodies, positions, site, self.output))},
            genes=tuple(genes),
            aligned=True,
            strand=common_strand(genes),
        )

    def score(
        self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]
    ) -> Float32[Array, "genes tracks"]:
        """Find each gene's largest change; `body` is int32 (genes, 2), a range of the positions read."""
        index = jnp.arange(reference.shape[0])

        def largest_change(body: Array) -> Float32[Array, " tracks"]:
            inside = (index >= body[0]) & (index < body[1])
            return jnp.abs(alternate - reference).max(axis=0, where=inside[:, None], initial=0)

        # Gene by gene, because all at once would need an array of the signal's size for each gene.
        return jax.lax.map(largest_change, masks["body"])

    def rows(self, scores: GeneScores, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        return name_genes(self, scores, footprint.genes, tracks)


SPLICE_SITES = Splicing(name="SPLICE_SITES", output=Output.SPLICE_SITES, info_field="VS_SS")
SPLICE_SITE_USAGE = Splicing(name="SPLICE_SITE_USAGE", output=Output.SPLICE_SITE_USAGE, info_field="VS_SSU")
