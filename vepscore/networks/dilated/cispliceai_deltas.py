"""The delta scores of CI-SpliceAI's program.

Source: cispliceai 1.2.2, `cispliceai/data.py` and `cispliceai/annotation.py`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from vepscore.contract import GeneSite
from vepscore.genome.annotation import Gene
from vepscore.networks.dilated.delta_scores import EventDeltas, GeneDeltas, Values, align_alternate


class _Sites(NamedTuple):
    """The annotated splice sites of a gene, 0-based: the exon's base next to the intron."""

    donors: Int[np.ndarray, " donors"]
    acceptors: Int[np.ndarray, " acceptors"]


_NO_SITES = _Sites(np.zeros(0, np.int64), np.zeros(0, np.int64))


class CISpliceAIDeltas(EventDeltas, program="CI-SpliceAI", field="CISpliceAI"):
    """The delta scores of CI-SpliceAI: the strongest gain and loss of acceptors and donors in each gene.

    Genes without an intron do not count; where there is no gene, both strands are scored without one. The distance
    is that from both ends of REF. Sequence outside of the gene is N, and so is the gene's last base. The zeros of
    deleted bases come before the value at POS. The mask removes gains of annotated sites of the same kind, and losses
    of other positions, before the strongest changes are found. Bases before the contig's start are N; the mask has no
    offset there, which the program's has.
    """

    def _why_not(self, site: GeneSite) -> str:
        if self._predicted_bp(site) <= self.rules.distance_bp:
            return f"fewer than {self._margin_bp:,} bp are after POS on the contig"
        return ""

    def _predicted_bp(self, site: GeneSite) -> int:
        ref_bp = len(site.allele.ref)
        return self._within_contig(site, 2 * self.rules.distance_bp + ref_bp + ref_bp % 2)  # an even number

    def _find_sites(self, site: GeneSite, gene: Gene) -> _Sites:
        introns = site.annotation.introns_of(gene)
        first, last = np.unique(introns[:, 0] - 1), np.unique(introns[:, 1])
        return _Sites(first, last) if gene.strand == "+" else _Sites(last, first)

    def _genes(self, site: GeneSite) -> list[Gene]:
        """Return the genes with an intron that POS lies in; in their last base it does not."""
        return [
            gene
            for gene in super()._genes(site)
            if site.allele.pos0 < gene.end0 - 1 and len(self._sites_of(site, gene).donors)
        ]

    def _score_genes(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> list[GeneDeltas]:
        found = []
        for gene in self._genes(site):
            values = self._predict(site, codes, gene.strand, (gene.start0, gene.end0 - 1))
            found.append(self._compare(site, gene, gene.strand, *values))
        if found:
            return found
        pos0 = site.allele.pos0
        bounds = pos0 - self._reach_bp, pos0 + self._reach_bp + 1
        return [
            self._compare(site, None, strand, *self._predict(site, codes, strand, bounds)) for strand in "+-"
        ]

    def _compare(
        self, site: GeneSite, gene: Gene | None, strand: str, reference: Values, alternate: Values
    ) -> GeneDeltas:
        distance_bp = self.rules.distance_bp
        aligned = align_alternate(alternate, distance_bp, site.allele.inserted_bp, zeros_at=distance_bp)
        donor, acceptor = (aligned - reference).T
        if self.rules.masked:
            sites = _NO_SITES if gene is None else self._sites_of(site, gene)
            first = site.allele.pos0 - distance_bp
            donor, acceptor = _mask(donor, sites.donors - first), _mask(acceptor, sites.acceptors - first)
        scores = [
            acceptor.max(),
            -acceptor.min(),
            donor.max(),
            -donor.min(),
        ]  # as EVENT_KINDS; -0 is printed so
        index = [acceptor.argmax(), acceptor.argmin(), donor.argmax(), donor.argmin()]
        return GeneDeltas(gene, strand, np.array(scores), np.array(index) - distance_bp)


def _mask(
    change: Float[np.ndarray, " positions"], sites: Int[np.ndarray, " sites"]
) -> Float[np.ndarray, " positions"]:
    """Return the changes without gains at sites and losses elsewhere; sites may lie outside."""
    is_site = np.isin(np.arange(len(change)), sites)
    return np.where((change >= 0) == is_site, 0, change)
