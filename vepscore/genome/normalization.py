"""One way to write an allele: as few bases as it takes, and as far to the left as they go.

The same change can stand in a VCF in many ways, and the window is centred on REF. Scores must not hang on the way.

Coordinates are 0-based and half-open.
"""

import dataclasses

from vepscore.genome.alleles import Allele, common_prefix_bp
from vepscore.genome.windows import Bases

_CHUNK_BP = 256  # of the sequence to the left, read at once
_KNOWN = frozenset(b"ACGT")


def normalize(allele: Allele, reference: Bases) -> Allele:
    """The allele as `bcftools norm` writes it: trimmed, and left-aligned where bases only come or go.

    One whose REF is not what the reference has, base by base, stays as it is; so does one that changes nothing.
    Nothing moves past an N or another ambiguity code. Where no known base lies before those that come or go, as at the
    start of a contig, the one after them stands beside them.

    Source: Tan et al., Bioinformatics 31:2202 (2015).
    """
    ref, alt = allele.ref, allele.alt
    if len(ref) == len(alt) == 1:  # most alleles, which need no look at the reference
        return allele
    if ref == alt or reference.fetch(allele.chrom, allele.pos0, allele.end0) != ref.encode("ascii"):
        return allele
    alike = common_prefix_bp(ref[::-1], alt[::-1])
    if alike < min(len(ref), len(alt)):
        return _without_prefix(allele, ref[: len(ref) - alike], alt[: len(alt) - alike])
    return _to_the_left(allele, reference, ref[: len(ref) - alike], alt[: len(alt) - alike])


def _without_prefix(allele: Allele, ref: str, alt: str) -> Allele:
    """Without the bases that both begin with, of which the last stays where one of the two would be empty."""
    alike = min(common_prefix_bp(ref, alt), len(ref) - 1, len(alt) - 1)
    return dataclasses.replace(allele, pos0=allele.pos0 + alike, ref=ref[alike:], alt=alt[alike:])


def _to_the_left(allele: Allele, reference: Bases, ref: str, alt: str) -> Allele:
    """Where `ref` or `alt` is empty: what comes or goes, from as far to the left as it may."""
    moved = (ref or alt).encode("ascii")
    shift_bp = _shift_bp(allele, reference, moved)
    turned = shift_bp % len(moved)
    moved = moved[len(moved) - turned :] + moved[: len(moved) - turned]
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
    """How far `moved` may begin before the allele: as long as the base before it is its own last one, going round."""
    shift_bp = 0
    while shift_bp < allele.pos0:
        end0 = allele.pos0 - shift_bp
        start0 = max(0, end0 - _CHUNK_BP)
        for base in reversed(reference.fetch(allele.chrom, start0, end0)):
            if base not in _KNOWN or base != moved[-1 - shift_bp % len(moved)]:
                return shift_bp
            shift_bp += 1
    return shift_bp
