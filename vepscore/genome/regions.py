"""Parse regions and variants given as text: `chr1:1,000-2,000`, `chr1:1500:G>A`, `chr1-1500-G-A`.

In text, positions are 1-based and ends inclusive, as in samtools. In `Region` and `RegionText` they are 0-based and
half-open. Contig names may contain colons (`HLA-A*01:01:01:01`, `chr1:10001-207666`): a text that is the name of a
contig means that contig; otherwise the name ends at the last colon.
"""

import dataclasses
import re

from vepscore.errors import GenomeError, UsageError
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import Window

_RANGE = re.compile(r"(?P<start1>[\d,]+)(?P<dash>-(?P<end1>[\d,]*))?", re.ASCII)
_BRACED = re.compile(r"\{(?P<name>[^{}]+)\}(?::(?P<range>.*))?")
_VARIANTS = (
    re.compile(r"(?P<chrom>\S+):(?P<pos1>\d[\d,]*):(?P<ref>[A-Za-z]+)>(?P<alt>[A-Za-z]+)"),
    re.compile(r"(?P<chrom>\S+)-(?P<pos1>\d+)-(?P<ref>[A-Za-z]+)-(?P<alt>[A-Za-z]+)"),
)
_REGION_FORMS = "CONTIG, CONTIG:POS or CONTIG:START-END, 1-based and inclusive, such as chr1:1,000-2,000"
_VARIANT_FORMS = "chrom:pos:REF>ALT or chrom-pos-REF-ALT, such as chr1:1500:G>A"
_MAX_DIGITS = 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """An interval of a contig, 0-based half-open, not empty, within the contig."""

    chrom: str  # contig name of the reference genome
    start0: int
    end0: int  # exclusive

    @property
    def width_bp(self) -> int:
        """Return the width of the region."""
        return self.end0 - self.start0

    def is_within(self, window: Window) -> bool:
        """Return whether the window covers the region."""
        return self.chrom == window.chrom and window.start0 <= self.start0 and self.end0 <= window.end0

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start0 + 1}-{self.end0}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegionText:
    """A region parsed from text, not checked against a genome; 0-based and half-open."""

    contig: str
    start0: int = 0
    end0: int | None = None  # exclusive; None: the contig's end


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VariantText:
    """A variant parsed from text, not checked against a genome."""

    chrom: str
    pos1: int  # 1-based
    ref: str
    alt: str


def parse_variant(text: str) -> VariantText | None:
    """Return the variant that the text describes; None if it does not have the form of a variant."""
    match = next(filter(None, (form.fullmatch(text) for form in _VARIANTS)), None)
    pos1 = _number(match["pos1"]) if match else None
    if match is None or pos1 is None:
        return None
    return VariantText(chrom=match["chrom"], pos1=pos1, ref=match["ref"].upper(), alt=match["alt"].upper())


def variant_id(chrom: str, pos1: int, ref: str, alt: str) -> str:
    """Return a variant as `chrom:pos:REF>ALT`, 1-based, which `parse_variant` parses."""
    return f"{chrom}:{pos1}:{ref}>{alt}"


def place_text(place: object) -> str:
    """Return a variant or a region as text, which is returned as it is.

    Args:
        place: text, or an object with the attributes of `alphagenome.data.genome.Variant` (position is 1-based) or of
            `Interval` (0-based half-open; its strand is ignored).

    Raises:
        UsageError: it is none of these.
    """
    match place:
        case str():
            return place
        case object(chromosome=chrom, position=pos1, reference_bases=ref, alternate_bases=alt):
            return variant_id(chrom, pos1, ref, alt)
        case object(chromosome=chrom, start=start0, end=end0):
            return f"{chrom}:{start0 + 1}-{end0}"
    raise UsageError(
        f"found {place!r}\nexpected text, or an object like alphagenome.data.genome.Variant or Interval",
        hint="a variant is written as chr1:1500:G>A, a region as chr1:1,000-2,000",
    )


def require_variant(place: object) -> VariantText:
    """Return the variant that a text or an object names; see `place_text`.

    Raises:
        UsageError: it names none.
    """
    text = place_text(place)
    variant = parse_variant(text)
    if variant is None:
        raise UsageError(f"variant {text!r}\nexpected {_VARIANT_FORMS}")
    return variant


def parse_contig(text: str) -> RegionText | None:
    """Return the text parsed as the name of a contig, in braces or not; None for `{CONTIG}:RANGE`."""
    braced = _BRACED.fullmatch(text)
    if braced is None:
        return RegionText(contig=text) if text else None
    return RegionText(contig=braced["name"]) if braced["range"] is None else None


def parse_interval(text: str) -> RegionText | None:
    """Return the text parsed as an interval: `CONTIG:POS`, `CONTIG:START-END` or `CONTIG:START-`.

    The name ends at the last colon. Return None if no range follows it.

    Raises:
        UsageError: the range has no position, or ends before it starts.
    """
    braced = _BRACED.fullmatch(text)
    contig, _, range_text = (
        text.rpartition(":") if braced is None else (braced["name"], ":", braced["range"] or "")
    )
    match = _RANGE.fullmatch(range_text)
    if match is None or not contig:
        return None
    start1 = _number(match["start1"])
    end1 = _number(match["end1"]) if match["end1"] else None if match["dash"] else start1
    if start1 is None or (match["end1"] and end1 is None):
        raise UsageError(f"region {text!r}\nexpected {_REGION_FORMS}")
    if start1 < 1 or (end1 is not None and end1 < start1):
        raise UsageError(
            f"region {text}\nexpected a start of at least 1 and an end not before the start",
            hint=f"if this is the name of a contig, write {{{text}}}",
        )
    return RegionText(contig=contig, start0=start1 - 1, end0=end1)


def parse_region(text: str, reference: Reference, *, or_variant: bool = False) -> Region:
    """Return the region that the text describes.

    Args:
        text: `CONTIG`, `CONTIG:POS` or `CONTIG:START-END`, 1-based and inclusive; commas in numbers are ignored.
        reference: the genome; it may have the contig under an alias.
        or_variant: whether the error message also mentions the forms of variants.

    Raises:
        UsageError: the text is not a region, or the region ends before it starts.
        GenomeError: the reference has no such contig, or the contig is shorter.
    """
    found = parse_contig(text)
    if found is None or reference.match(found.contig) is None:
        is_name = ":" not in text or text.endswith("}")
        found = parse_interval(text) or (found if is_name else None)
    if found is None:
        variant = f"\nor a variant: {_VARIANT_FORMS}" if or_variant else ""
        raise UsageError(f"region {text!r}\nexpected {_REGION_FORMS}{variant}")
    chrom = reference.match(found.contig)
    if chrom is None:
        raise GenomeError(
            f"region {text}\n{reference.path.name} has no contig {found.contig}",
            hint=f"its first contigs: {', '.join(list(reference.contigs)[:5])}",
        )
    length = reference.contigs[chrom]
    if max(found.start0 + 1, found.end0 or 0) > length:
        raise GenomeError(
            f"region {text}\nextends past the end of {chrom}, which has {length} bp in {reference.path.name}"
        )
    return Region(chrom=chrom, start0=found.start0, end0=length if found.end0 is None else found.end0)


def _number(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits.isascii() and digits and len(digits) <= _MAX_DIGITS else None
