"""The delta scores of SpliceAI's program, and of OpenSpliceAI's, whose rules are the same.

Source: Illumina/SpliceAI 1.3.1, `spliceai/utils.py`: `get_delta_scores`.
"""

import numpy as np
from jaxtyping import Int, UInt8

from vepscore.contract import GeneSite
from vepscore.genome.annotation import Gene
from vepscore.networks.dilated.delta_scores import EventDeltas, GeneDeltas, Values, align_alternate
from vepscore.outputs import EVENT_KINDS

_IS_GAIN = np.array([kind.endswith("gain") for kind in EVENT_KINDS])


class SpliceAIDeltas(EventDeltas, program="SpliceAI", field="SpliceAI"):
    """The delta scores of SpliceAI: the strongest gain and loss of acceptors and donors in each gene.

    Sequence outside of the gene is N. Deleted bases have the value 0. The mask looks at the one boundary of an exon
    that is nearest to POS, after the strongest changes are found: positions stay.
    """

    def _why_not(self, site: GeneSite) -> str:
        allele, distance_bp = site.allele, self.rules.distance_bp
        if not self._genes(site):
            return "POS is in no gene"
        if allele.pos0 < self._reach_bp:
            return f"fewer than {self._reach_bp:,} bp are before POS on the contig"
        if site.contig_bp is not None and allele.pos0 + self._reach_bp >= site.contig_bp:
            return f"fewer than {self._reach_bp:,} bp are after POS on the contig"
        if len(allele.ref) > 2 * distance_bp:
            return f"REF has more than {2 * distance_bp:,} bp, twice the distance"
        if min(len(allele.ref), len(allele.alt)) > 1:
            return "REF and ALT have several bases each"
        return ""

    def _predicted_bp(self, site: GeneSite) -> int:
        return 2 * self.rules.distance_bp + 1

    def _find_sites(self, site: GeneSite, gene: Gene) -> Int[np.ndarray, " boundaries"]:
        """Return the first and last bases of exons, 0-based, ascending."""
        exons = site.annotation.exons_of(gene)
        return np.sort(np.concatenate([exons[:, 0], exons[:, 1] - 1]))

    def _score_genes(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> list[GeneDeltas]:
        return [
            self._compare(site, gene, *self._predict(site, codes, gene.strand, (gene.start0, gene.end0)))
            for gene in self._genes(site)
        ]

    def _compare(self, site: GeneSite, gene: Gene, reference: Values, alternate: Values) -> GeneDeltas:
        distance_bp = self.rules.distance_bp
        aligned = align_alternate(alternate, distance_bp, site.allele.inserted_bp, zeros_at=distance_bp + 1)
        (donor_rise, acceptor_rise), (donor_fall, acceptor_fall) = (
            (aligned - reference).T,
            (reference - aligned).T,
        )
        by_kind = np.stack([acceptor_rise, acceptor_fall, donor_rise, donor_fall])  # as EVENT_KINDS
        scores, offsets = by_kind.max(axis=1), by_kind.argmax(axis=1) - distance_bp
        if self.rules.masked:
            at_boundary = offsets == self._nearest_boundary(site, gene) - site.allele.pos0
            scores = scores * (at_boundary != _IS_GAIN)  # 0 keeps the sign, as there
        return GeneDeltas(gene, gene.strand, scores, offsets)

    def _nearest_boundary(self, site: GeneSite, gene: Gene) -> int:
        """Return the first or last base of an exon that is nearest to POS, 0-based; of two, the left one."""
        boundaries = self._sites_of(site, gene)
        return int(boundaries[np.abs(boundaries - site.allele.pos0).argmin()])
