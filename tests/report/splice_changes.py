"""A gene of four exons, and changes of its splice sites.

exons   1000-1100   2000-2120   3000-3090   4000-4500     0-based, half-open
plus    first       second      third       last          donors 1099 2119 3089, acceptors 2000 3000 4000
minus   last        third       second      first         donors 4000 3000 2000, acceptors 3089 2119 1099
"""

from vepscore.report.events import ACCEPTOR, DONOR, EventKind, SiteChange
from vepscore.report.gene_model import GeneModel, Interval

EXONS = tuple(Interval(*exon) for exon in [(1000, 1100), (2000, 2120), (3000, 3090), (4000, 4500)])
GENES = {strand: GeneModel(strand, (EXONS,)) for strand in "+-"}
SKIPPED, CRYPTIC, PSEUDOEXON, RETAINED, NONE = (
    EventKind.EXON_SKIPPING,
    EventKind.CRYPTIC_SITE,
    EventKind.PSEUDOEXON,
    EventKind.INTRON_RETENTION,
    EventKind.NONE,
)


def donor(pos0: int, score: float) -> SiteChange:
    """Return a change of a donor at the exon's last base, 0-based."""
    return SiteChange(DONOR, pos0, score)


def acceptor(pos0: int, score: float) -> SiteChange:
    """Return a change of an acceptor at the exon's first base, 0-based."""
    return SiteChange(ACCEPTOR, pos0, score)
