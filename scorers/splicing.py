"""Splice sites: the largest change of a splice-site signal anywhere in the genes that the variant overlaps.

    SPLICE_SITES, SPLICE_SITE_USAGE   max over the gene's body of |alt - ref|

Array axes: P positions read, G genes, T tracks.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions, strand_matches
from vepscore.outputs import Output, Tracks
from vepscore.scorers.regions import gene_bodies, index_ranges, pad_genes, positions_within


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splicing(Scorer):
    """The largest absolute change over a gene's body, as far as it lies in the window.

    Source: `GeneVariantScorer` of alphagenome_research, with `GENE_MASK_SPLICING`.
    """

    name: str
    output: Output
    info_field: str | None = None  # the VCF field of its largest score

    needs_genes = True

    def footprint(self, site: Site) -> Footprint | None:
        genes = site.overlapping_genes()
        if not genes:
            return None
        bodies = gene_bodies(genes)
        positions = positions_within(bodies, site.window)
        return Footprint(
            positions=pad_positions(positions),
            masks={"body": pad_genes(index_ranges(bodies, positions, site.window))},
            genes=tuple(genes),
            aligned=True,
        )

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """float32 (G, T); `body` is int32 (G, 2), a range of the positions read."""
        index = jnp.arange(reference.shape[0])

        def largest_change(body: Any) -> Any:
            inside = (index >= body[0]) & (index < body[1])
            return jnp.abs(alternate - reference).max(axis=0, where=inside[:, None], initial=0)

        # Gene by gene: all at once would need G arrays of the size of the signal.
        return jax.lax.map(largest_change, masks["body"])

    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        matches = strand_matches(footprint.genes, tracks)
        values = np.where(matches, scores[: len(footprint.genes)], np.float32(np.nan))
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=footprint.genes)


SPLICE_SITES = Splicing(name="SPLICE_SITES", output=Output.SPLICE_SITES, info_field="VS_SS")
SPLICE_SITE_USAGE = Splicing(name="SPLICE_SITE_USAGE", output=Output.SPLICE_SITE_USAGE, info_field="VS_SSU")
