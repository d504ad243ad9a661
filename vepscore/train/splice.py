"""Windows of the genome labelled with splice sites, usage and junctions.

Coordinates are 0-based and half-open. Axes: B windows, S bp, K sites per class, J junctions.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.train.labels import NO_SITE, SpliceLabels, label_sequence
from vepscore.train.segments import Segment

_SITE_BP = 256  # of a window, for each site per class and each two junctions that there is room for
_MIN_SITES = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceBatch:
    """Windows with their splice labels; every shape depends on B and S alone."""

    codes: np.ndarray  # uint8 (B, S)
    valid: np.ndarray  # bool (B, S): positions whose label counts: known bases, and not context
    classes: np.ndarray  # int8 (B, S): by SPLICE_CLASSES, 4 = none
    usage: np.ndarray  # float32 (B, S, 2): by strand (+, -); 0 away from sites
    sites: np.ndarray  # int32 (B, 4, K): annotated sites by SPLICE_CLASSES, ascending, padded with -1
    junctions: (
        np.ndarray
    )  # int32 (B, J, 3): indices along K of donor and acceptor, and strand (0 +, 1 -); padded with 0
    shares: (
        np.ndarray
    )  # float32 (B, J): counts[donor, acceptor, strand]; 0 at padding, so that adding it is harmless

    @classmethod
    def names(cls) -> list[str]:
        """Of the arrays."""
        return [field.name for field in dataclasses.fields(cls)]


class SpliceData:
    """Labelled windows.

    Args:
        segments: the sequence that is labelled.
        annotation: where the introns are.
    """

    def __init__(self, segments: Sequence[Segment], annotation: Annotation) -> None:
        self.segments = list(segments)
        self._annotation = annotation
        self.labels = [label_sequence(annotation, p.chrom, p.start0, p.end0) for p in self.segments]
        # int64 (sites, 2): index of the segment, and position on the chromosome
        self.sites = np.concatenate(
            [
                np.stack([np.full(len(labels.position), index), segment.start0 + labels.position], axis=1)
                for index, (segment, labels) in enumerate(zip(self.segments, self.labels, strict=True))
            ]
        )

    def window(self, index: int, start0: int, width_bp: int, *, reverse: bool = False) -> SpliceBatch:
        """One window [start0, start0 + width_bp) of a segment, N outside it, or its reverse complement."""
        segment = self.segments[index]
        codes = segment.window(start0, width_bp)
        offset = start0 - segment.start0
        labels = self.labels[index].within(offset, offset + width_bp)
        if reverse:
            codes, labels = reverse_complement(codes), labels.reverse_complement(width_bp)
        return _labelled_window(codes, labels)

    def transcribed(self, index: int, start0: int, width_bp: int) -> np.ndarray:
        """bool (S, 2): where a window lies between the ends of a gene's transcripts, by their strand (+, -)."""
        inside = np.zeros((width_bp, 2), bool)
        for gene in self._annotation.genes_overlapping(self.segments[index].chrom, start0, start0 + width_bp):
            if gene.strand in "+-":
                first, last = max(gene.start0 - start0, 0), gene.end0 - start0
                inside[first:last, "+-".index(gene.strand)] = True
        return inside

    def tiles(self, width_bp: int, context_bp: int) -> Iterator[tuple[int, int, SpliceBatch]]:
        """Windows in which every known base of the segments is valid exactly once, by the segment's index and start."""
        for index in range(len(self.segments)):
            for start0, window in self.tiles_of(index, width_bp, context_bp):
                yield index, start0, window

    def tiles_of(self, index: int, width_bp: int, context_bp: int) -> Iterator[tuple[int, SpliceBatch]]:
        """The windows of one segment, by their start.

        They lie within the segment, if it is as long as one, and have N after it otherwise. The outer `context_bp` of a
        window are not valid, but where they end the segment.
        """
        segment = self.segments[index]
        told = segment.start0
        for start0 in _tile_starts(segment, width_bp, context_bp):
            end0 = start0 + width_bp
            until = end0 if end0 >= segment.end0 else end0 - context_bp
            window = self.window(index, start0, width_bp)
            valid = window.valid.copy()
            valid[:, : told - start0] = False
            valid[:, until - start0 :] = False
            yield start0, dataclasses.replace(window, valid=valid)
            told = until


def _tile_starts(segment: Segment, width_bp: int, context_bp: int) -> list[int]:
    last = max(segment.start0, segment.end0 - width_bp)
    return [*range(segment.start0, last, width_bp - 2 * context_bp), last]


def _labelled_window(codes: np.ndarray, labels: SpliceLabels) -> SpliceBatch:
    width_bp = len(codes)
    classes = np.full(width_bp, NO_SITE, np.int8)
    classes[labels.position[labels.primary]] = labels.site_class[labels.primary]
    usage = np.zeros((width_bp, 2), np.float32)
    np.maximum.at(usage, (labels.position, labels.site_class // 2), labels.usage)
    room = max(_MIN_SITES, width_bp // _SITE_BP)
    sites = _site_rows(labels, room)
    junctions, shares = _junction_list(labels, sites, 2 * room)
    return SpliceBatch(
        codes=codes[None],
        valid=codes[None] != UNKNOWN,
        classes=classes[None],
        usage=usage[None],
        sites=sites[None],
        junctions=junctions[None],
        shares=shares[None],
    )


def _site_rows(labels: SpliceLabels, room: int) -> np.ndarray:
    """int32 (4, K): the first K sites of each class."""
    rows = np.full((4, room), -1, np.int32)
    for site_class, row in enumerate(rows):
        positions = labels.position[labels.site_class == site_class][:room]
        row[: len(positions)] = positions
    return rows


def _junction_list(labels: SpliceLabels, sites: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 (J, 3) and float32 (J,): the first J junctions between sites that were kept."""
    indices = np.zeros((room, 3), np.int32)
    shares = np.zeros(room, np.float32)
    filled = 0
    for strand in (0, 1):
        here = np.flatnonzero(labels.strand == strand)
        donor, donor_kept = _indices_in(sites[2 * strand], labels.donor[here])
        acceptor, acceptor_kept = _indices_in(sites[2 * strand + 1], labels.acceptor[here])
        kept = np.flatnonzero(donor_kept & acceptor_kept)[: room - filled]
        rows = slice(filled, filled + len(kept))
        indices[rows] = np.stack([donor[kept], acceptor[kept], np.full(len(kept), strand)], axis=1)
        shares[rows] = labels.share[here[kept]]
        filled += len(kept)
    return indices, shares


def _indices_in(row: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each position stands in a row of `sites`, and whether it does."""
    real = row[row >= 0]
    index = np.searchsorted(real, positions)
    kept = index < len(real)
    kept[kept] = real[index[kept]] == positions[kept]
    return index, kept
