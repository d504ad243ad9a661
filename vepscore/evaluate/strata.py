"""Locate variants relative to splice sites: the stratum, and the distance from the nearest site.

Rule: a splice site is the boundary between an exon's base and an intron's base, of any annotated transcript on
either strand. Bases are numbered from it on both sides: 1 is the first base of the intron on the one side and the
last base of the exon on the other. The site nearest to the changed bases decides; if an exon's side and an intron's
side are equally near, the intron's side counts. Of several changed bases the nearest counts, so that a deletion over a
boundary is at base 1 of the intron. An insertion is at the farther of the two bases beside it, and at base 1 of the
exon if it is exactly between exon and intron. Only an insertion between the two canonical bases is therefore canonical,
as in Ensembl VEP.

    canonical       bases 1 and 2 of the intron
    splice_region   bases 1 to 3 of the exon, 3 to 8 of the intron
    exon            any other change of a base of an exon, of any transcript
    intron_9_19     any other change in an intron and in no exon, up to 19 from the nearest site
    intron_20_100   the same, 20 to 100
    deep_intron     the same, more than 100
    outside_genes   in no exon and in no intron

Each variant is in exactly one of these. An evaluation also has rows for the SNVs and the indels of each (`Kind` of
`vepscore.evaluate.changes`). Coordinates are 0-based and half-open.

Source: the terms and widths of splice_donor_variant, splice_acceptor_variant and splice_region_variant in the
Sequence Ontology, as Ensembl VEP uses them.
"""

import dataclasses
import enum
import functools
import math

import numpy as np

from vepscore.evaluate.changes import Change
from vepscore.genome.annotation import Annotation
from vepscore.genome.gene_models import merge_spans
from vepscore.outputs import SPLICE_CLASSES

CANONICAL_BP = 2
REGION_EXON_BP = 3
REGION_INTRON_BP = 8
NEAR_INTRON_BP = 19
MIDDLE_INTRON_BP = 100
_WHOLE_CONTIG = (0, 2**31 - 1)
_INTRON_RIGHT = np.array([name in ("donor+", "acceptor-") for name in SPLICE_CLASSES])


class Stratum(enum.StrEnum):
    """Location of a variant, by the rule in the module's docstring."""

    CANONICAL = "canonical"
    SPLICE_REGION = "splice_region"
    EXON = "exon"
    INTRON_NEAR = "intron_9_19"
    INTRON_MIDDLE = "intron_20_100"
    DEEP_INTRON = "deep_intron"
    OUTSIDE_GENES = "outside_genes"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceLocation:
    """Location of a change."""

    stratum: Stratum
    distance_bp: float  # from the nearest splice site, at least 1; infinite on a contig without sites


class SpliceLocator:
    """Locate changes. The sites of a contig are read at the first change on it.

    Args:
        annotation: source of the splice sites.
    """

    def __init__(self, annotation: Annotation) -> None:
        self._sites_of = functools.cache(functools.partial(_ContigSites.of, annotation))

    def locate(self, change: Change) -> SpliceLocation:
        """Return the stratum and the distance of a change."""
        return self._sites_of(change.chrom).locate(change.start0, change.end0)


def boundaries(pos0: np.ndarray, site_class: np.ndarray) -> np.ndarray:
    """Return int64 (N,): the first base to the right of each site that `Annotation.splice_sites` returned."""
    return pos0 + _INTRON_RIGHT[site_class]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _ContigSites:
    """The splice sites, exons and introns of one contig. Axes: N sites, E and I intervals."""

    boundary: np.ndarray  # int64 (N,), ascending: the first base to the right of the site
    intron_right: np.ndarray  # bool (N,): whether the intron is to the right
    exons: np.ndarray  # int64 (2, E): starts and ends of the union of all exons
    introns: np.ndarray  # int64 (2, I): the same of all introns

    @classmethod
    def of(cls, annotation: Annotation, chrom: str) -> "_ContigSites":
        pos0, site_class = annotation.splice_sites(chrom, *_WHOLE_CONTIG)
        boundary = boundaries(pos0, site_class)
        order = np.argsort(boundary, kind="stable")
        introns = annotation.introns(chrom, *_WHOLE_CONTIG)
        return cls(
            boundary=boundary[order],
            intron_right=_INTRON_RIGHT[site_class][order],
            exons=_exons(annotation, chrom),
            introns=_union(introns.start0, introns.end0),
        )

    def locate(self, start0: int, end0: int) -> SpliceLocation:
        distance_bp, in_intron = self._nearest(start0, end0)
        return SpliceLocation(
            stratum=self._stratum(start0, end0, distance_bp, in_intron), distance_bp=distance_bp
        )

    def _nearest(self, start0: int, end0: int) -> tuple[float, bool]:
        """Return the distance of the nearest site, and whether the change is on its intron's side."""
        low = int(np.searchsorted(self.boundary, start0))
        if low:  # and all sites at the last boundary before the change
            low = int(np.searchsorted(self.boundary, self.boundary[low - 1]))
        high = int(np.searchsorted(self.boundary, end0, side="right"))
        if high < len(self.boundary):  # and at the first one after it
            high = int(np.searchsorted(self.boundary, self.boundary[high], side="right"))
        found = [
            _distance(int(self.boundary[site]), bool(self.intron_right[site]), start0, end0)
            for site in range(low, high)
        ]
        distance_bp, in_exon = min(found, default=(math.inf, True))
        return distance_bp, not in_exon

    def _stratum(self, start0: int, end0: int, distance_bp: float, in_intron: bool) -> Stratum:
        if in_intron and distance_bp <= CANONICAL_BP:
            return Stratum.CANONICAL
        if distance_bp <= (REGION_INTRON_BP if in_intron else REGION_EXON_BP):
            return Stratum.SPLICE_REGION
        if _touches(self.exons, start0, end0):
            return Stratum.EXON
        if not _touches(self.introns, start0, end0):
            return Stratum.OUTSIDE_GENES
        if distance_bp <= NEAR_INTRON_BP:
            return Stratum.INTRON_NEAR
        return Stratum.INTRON_MIDDLE if distance_bp <= MIDDLE_INTRON_BP else Stratum.DEEP_INTRON


def _distance(boundary: int, intron_right: bool, start0: int, end0: int) -> tuple[float, bool]:
    """The number of the nearest changed base, from 1, and whether it is on the exon's side; the least counts."""
    if start0 == end0 == boundary:
        return 1, True
    if start0 < boundary < end0:
        return 1, False
    if start0 >= boundary:  # also an insertion: the base after it is the farther one
        return start0 - boundary + 1, not intron_right
    return boundary - end0 + 1, intron_right


def _exons(annotation: Annotation, chrom: str) -> np.ndarray:
    name = annotation.contigs.match(chrom)
    if name is None:
        return np.zeros((2, 0), np.int64)
    exons = annotation.exons
    here = annotation.transcripts.chrom[exons.transcript] == annotation.contigs.names.index(name)
    return _union(exons.start0[here], exons.end0[here])


def _union(start0: np.ndarray, end0: np.ndarray) -> np.ndarray:
    _, _, starts, ends = merge_spans(np.zeros(len(start0), np.int64), start0, end0)
    return np.stack([starts, ends])


def _touches(spans: np.ndarray, start0: int, end0: int) -> bool:
    """Return whether an interval shares a base with a span; an insertion needs both its neighbors in one span."""
    starts, ends = spans
    first = np.searchsorted(ends, start0, side="right")  # the first span that ends after the start
    if start0 == end0:
        return bool(first < len(starts) and starts[first] < start0)
    return bool(first < len(starts) and starts[first] < end0)
