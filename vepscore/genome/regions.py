"""Regions and variants as people write them: `chr1:1,000-2,000`, `chr1:1500:G>A`, `chr1-1500-G-A`.

In text, positions are 1-based and ends inclusive, as in samtools. In `Region` they are 0-based and half-open.
"""

import dataclasses
import re

from vepscore.errors import GenomeError, UsageError
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import Window

_REGION = re.compile(r"(?P<chrom>\S+):(?P<start1>\d[\d,]*)-(?P<end1>\d[\d,]*)")
_VARIANTS = (
    re.compile(r"(?P<chrom>\S+):(?P<pos1>\d[\d,]*):(?P<ref>[A-Za-z]+)>(?P<alt>[A-Za-z]+)"),
    re.compile(r"(?P<chrom>\S+)-(?P<pos1>\d+)-(?P<ref>[A-Za-z]+)-(?P<alt>[A-Za-z]+)"),
)
_REGION_FORMS = "chrom:start-end, 1-based and inclusive, such as chr1:1,000-2,000"
_VARIANT_FORMS = "chrom:pos:REF>ALT or chrom-pos-REF-ALT, such as chr1:1500:G>A"
_MAX_DIGITS = 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch of a contig, 0-based half-open, not empty, within the contig."""

    chrom: str  # as the reference genome names it
    start0: int
    end0: int  # exclusive

    @property
    def width_bp(self) -> int:
        """Its length."""
        return self.end0 - self.start0

    def is_within(self, window: Window) -> bool:
        """Whether the window covers it."""
        return self.chrom == window.chrom and window.start0 <= self.start0 and self.end0 <= window.end0

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start0 + 1}-{self.end0}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VariantText:
    """What the text of a variant says; nothing is checked against a genome."""

    chrom: str
    pos1: int  # 1-based
    ref: str
    alt: str


def parse_variant(text: str) -> VariantText | None:
    """The variant that the text names; None where it has not the form of one."""
    match = next(filter(None, (form.fullmatch(text) for form in _VARIANTS)), None)
    if match is None or _number(match["pos1"]) is None:
        return None
    return VariantText(
        chrom=match["chrom"], pos1=_number(match["pos1"]), ref=match["ref"].upper(), alt=match["alt"].upper()
    )


def parse_region(text: str, reference: Reference, *, or_variant: bool = False) -> Region:
    """The region that the text names.

    Args:
        text: `chrom:start-end`, 1-based and inclusive; commas in numbers are passed over.
        reference: has the contig, perhaps under another of its names.
        or_variant: a variant would have done as well, for the message.

    Raises:
        UsageError: the text is no region, or one that ends before it begins.
        GenomeError: the reference has no such contig, or it ends earlier.
    """
    match = _REGION.fullmatch(text)
    start1, end1 = (_number(match[name]) for name in ("start1", "end1")) if match else (None, None)
    if start1 is None or end1 is None:
        variant = f"\nor a variant: {_VARIANT_FORMS}" if or_variant else ""
        raise UsageError(f"region {text!r}\nexpected {_REGION_FORMS}{variant}")
    if not 1 <= start1 <= end1:
        raise UsageError(f"region {text}\nexpected a start of at least 1, and an end that is not before it")
    chrom = reference.match(match["chrom"])
    if chrom is None:
        raise GenomeError(
            f"region {text}\n{reference.path.name} has no contig {match['chrom']}",
            hint=f"its first contigs: {', '.join(list(reference.contigs)[:5])}",
        )
    if end1 > reference.contigs[chrom]:
        raise GenomeError(
            f"region {text}\nreaches past the end of {chrom}: {reference.path.name} has "
            f"the positions 1 to {reference.contigs[chrom]} there"
        )
    return Region(chrom=chrom, start0=start1 - 1, end0=end1)


def _number(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits.isascii() and len(digits) <= _MAX_DIGITS else None
