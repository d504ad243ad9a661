"""Segments of the genome: the sequence that training reads, without what is held out.

Coordinates are 0-based and half-open.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from vepscore.genome.contigs import slice_origin
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases

Interval = tuple[str, int, int]  # chromosome, start, end


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A contiguous interval of sequence."""

    chrom: str
    start0: int
    codes: np.ndarray  # uint8 (length,): A C G T = 0 1 2 3, anything else 4

    @property
    def end0(self) -> int:
        """End of the segment, exclusive."""
        return self.start0 + len(self.codes)

    def window(self, start0: int, width_bp: int) -> np.ndarray:
        """Return codes uint8 (width_bp,) from a chromosome position; N outside the segment."""
        codes = np.full(width_bp, UNKNOWN, np.uint8)
        first, last = max(start0, self.start0), min(start0 + width_bp, self.end0)
        if first < last:
            codes[first - start0 : last - start0] = self.codes[first - self.start0 : last - self.start0]
        return codes


def read_segments(paths: Sequence[Path], cache_dir: Path | None = None) -> list[Segment]:
    """Read the sequences of FASTA files.

    A contig named `chrom:start-end` (1-based, inclusive) is a slice of `chrom`; any other starts at 0.
    """
    segments = []
    for path in paths:
        reference = Reference(path, cache_dir)
        for name, length in reference.contigs.items():
            chrom, start0 = slice_origin(name)
            codes = encode_bases(reference.fetch(name, 0, length))
            segments.append(Segment(chrom=chrom, start0=start0, codes=codes))
    return segments


def without(
    segments: Iterable[Segment], chroms: Collection[str], intervals: Collection[Interval]
) -> list[Segment]:
    """Return the segments without some chromosomes and intervals; an interval may cut a segment in two."""
    kept = [segment for segment in segments if segment.chrom not in chroms]
    for interval in intervals:
        kept = [part for segment in kept for part in _cut(segment, *interval)]
    return kept


def _cut(segment: Segment, chrom: str, start0: int, end0: int) -> list[Segment]:
    if segment.chrom != chrom or end0 <= segment.start0 or segment.end0 <= start0:
        return [segment]
    before = segment.codes[: max(start0 - segment.start0, 0)]
    after_start0 = min(end0, segment.end0)
    parts = [
        dataclasses.replace(segment, codes=before),
        Segment(chrom=chrom, start0=after_start0, codes=segment.codes[after_start0 - segment.start0 :]),
    ]
    return [part for part in parts if len(part.codes)]
