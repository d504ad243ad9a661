"""Normalize alleles: trim shared bases and left-align indels.

The same change can be written in a VCF in several ways, and the window is centered on REF. Normalization makes scores
independent of the way it is written.

Coordinates are 0-based and half-open.
"""

import dataclasses

from vepscore.genome.alleles import Allele, common_prefix_bp
from vepscore.genome.windows import Bases

_CHUNK_BP = 256  # bases left of the allele that are read at once
_KNOWN = frozenset(b"ACGT")


def normalize(allele: Allele, reference: Bases) -> Allele:
    """Return the allele as `bcftools norm` writes it: trimmed, and left-aligned if it only inserts or deletes bases.

    An allele whose REF differs from the reference is returned unchanged, as is one whose ALT equals REF. No allele is
    shifted past an N or another ambiguity code. The anchor is the base before the inserted or deleted bases, or the
    base after them if that one is unknown, as at the start of a contig.

    Source: Tan et al., Bioinformatics 31:2202 (2015).
    """
    ref, alt = allele.ref, allele.alt
    if len(ref) == len(alt) == 1:  # most alleles; the reference is not read
        return allele
    if ref == alt or reference.fetch(allele.chrom, allele.pos0, allele.end0) != ref.encode("ascii"):
        return allele
    suffix_bp = common_prefix_bp(ref[::-1], alt[::-1])
    is_indel = suffix_bp == min(len(ref), len(alt))
    ref, alt = ref[: len(ref) - suffix_bp], alt[: len(alt) - suffix_bp]
    return _left_align(allele, reference, ref, alt) if is_indel else _trim_prefix(allele, ref, alt)


def _trim_prefix(allele: Allele, ref: str, alt: str) -> Allele:
    """Remove the bases that both alleles start with, keeping at least one base of each."""
    prefix_bp = min(common_prefix_bp(ref, alt), len(ref) - 1, len(alt) - 1)
    return dataclasses.replace(allele, pos0=allele.pos0 + prefix_bp, ref=ref[prefix_bp:], alt=alt[prefix_bp:])


def _left_align(allele: Allele, reference: Bases, ref: str, alt: str) -> Allele:
    """Shift the inserted or deleted bases as far left as possible; `ref` or `alt` is empty."""
    moved = (ref or alt).encode("ascii")
    shift_bp = _shift_bp(allele, reference, moved)
    rotated_bp = shift_bp % len(moved)
    moved = moved[len(moved) - rotated_bp :] + moved[: len(moved) - rotated_bp]
    start0, end0 = allele.pos0 - shift_bp, allele.pos0 - shift_bp + len(ref)
    before, after = (reference.fetch(allele.chrom, pos0, pos0 + 1) for pos0 in (start0 - 1, end0))
    if before[0] in _KNOWN:
        start0, anchor, both = start0 - 1, before, before + moved
    else:
        anchor, both = after, moved + after
    longer, shorter = both.decode("ascii"), anchor.decode("ascii")
    written = {"ref": longer, "alt": shorter} if ref else {"ref": shorter, "alt": longer}
    return dataclasses.replace(allele, pos0=start0, **written)


def _shift_bp(allele: Allele, reference: Bases, moved: bytes) -> int:
    """Return how far left `moved` can shift: while the base before it equals its last base, which then rotates."""
    shift_bp = 0
    while shift_bp < allele.pos0:
        end0 = allele.pos0 - shift_bp
        start0 = max(0, end0 - _CHUNK_BP)
        for base in reversed(reference.fetch(allele.chrom, start0, end0)):
            if base not in _KNOWN or base != moved[-1 - shift_bp % len(moved)]:
                return shift_bp
            shift_bp += 1
    return shift_bp
