"""The bases that an allele changes, without the bases that REF and ALT share.

Coordinates are 0-based and half-open.
"""

import dataclasses
import enum

from vepscore.genome.alleles import Allele, common_prefix_bp


class Kind(enum.StrEnum):
    """Kind of a change, regardless of unchanged bases that the VCF writes beside it."""

    SNV = "snv"  # one base replaced by one other base
    INDEL = "indel"  # ALT is longer or shorter than REF
    OTHER = "other"  # several bases replaced by as many (MNV), or no change


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An interval and its replacement; an insertion replaces the empty interval before `start0`."""

    chrom: str  # as the reference genome names it
    start0: int
    end0: int  # exclusive; `start0` for an insertion
    alt: str  # the replacement; empty for a deletion

    @property
    def shift_bp(self) -> int:
        """Number of bases by which the sequence after the change moves to the right."""
        return len(self.alt) - (self.end0 - self.start0)

    @property
    def kind(self) -> Kind:
        """Kind of the change, from the lengths of the interval and of `alt`."""
        if self.shift_bp:
            return Kind.INDEL
        return Kind.SNV if len(self.alt) == 1 else Kind.OTHER


def change_of(allele: Allele) -> Change:
    """Return the change that an allele makes, without the last bases and then the first bases that are shared.

    A change within a repeat therefore lies as far left as REF allows. If REF and ALT are equal, it is an empty
    insertion.
    """
    ref, alt, start0 = allele.ref, allele.alt, allele.pos0
    last = common_prefix_bp(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - last], alt[: len(alt) - last]
    first = common_prefix_bp(ref, alt)
    start0 += first
    return Change(chrom=allele.chrom, start0=start0, end0=start0 + len(ref) - first, alt=alt[first:])
