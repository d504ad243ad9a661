"""The bases that an allele changes, without those that REF and ALT share.

Coordinates are 0-based and half-open.
"""

import dataclasses
import enum

from vepscore.genome.alleles import Allele, common_prefix_bp


class Kind(enum.StrEnum):
    """Kind of a change, however many unchanged bases the VCF writes beside it."""

    SNV = "snv"  # one base replaced by one other base
    INDEL = "indel"  # ALT is longer or shorter than REF
    OTHER = "other"  # several bases replaced by as many (MNV), or no change


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is replaced by what; an insertion replaces the empty interval before `start0`."""

    chrom: str  # as the reference genome names it
    start0: int
    end0: int  # exclusive; `start0` for an insertion
    alt: str  # what comes in its place; empty for a deletion

    @property
    def shift_bp(self) -> int:
        """How far the bases after the change move to the right."""
        return len(self.alt) - (self.end0 - self.start0)

    @property
    def kind(self) -> Kind:
        """Kind of the change, by its length on the reference and that of `alt`."""
        if self.shift_bp:
            return Kind.INDEL
        return Kind.SNV if len(self.alt) == 1 else Kind.OTHER


def change_of(allele: Allele) -> Change:
    """The change that an allele makes: common last bases are taken off first, then common first ones.

    A change within a repeat therefore lies as far left as REF allows. Where REF and ALT are the same text, it is
    an insertion of nothing.
    """
    ref, alt, start0 = allele.ref, allele.alt, allele.pos0
    last = common_prefix_bp(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - last], alt[: len(alt) - last]
    first = common_prefix_bp(ref, alt)
    start0 += first
    return Change(chrom=allele.chrom, start0=start0, end0=start0 + len(ref) - first, alt=alt[first:])
