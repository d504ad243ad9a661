"""Windows of the genome labeled with splice sites, usage and junctions.

Coordinates are 0-based and half-open. Axes: B windows, S bp, K sites per class, J junctions.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.train.labels import NO_SITE, SpliceLabels, label_sequence
from vepscore.train.segments import Segment

_SITE_BP = 256  # window width per site of each class, and per two junctions, that fit into a batch
_MIN_SITES = 16


class SpliceBatch(NamedTuple):
    """Windows with their splice labels; every shape depends only on B and S."""

    codes: np.ndarray  # uint8 (B, S)
    valid: np.ndarray  # bool (B, S): positions whose label counts: known bases outside the context
    classes: np.ndarray  # int8 (B, S): by SPLICE_CLASSES, 4 = none
    usage: np.ndarray  # float32 (B, S, 2): by strand (+, -); 0 away from sites
    sites: np.ndarray  # int32 (B, 4, K): annotated sites by SPLICE_CLASSES, ascending, padded with -1
    junctions: (
        np.ndarray
    )  # int32 (B, J, 3): indices along K of donor and acceptor, strand (0 +, 1 -); padded with 0
    fractions: np.ndarray  # float32 (B, J): fraction of transcripts with each junction; 0 at padding


class SpliceData:
    """Labeled windows.

    Args:
        segments: the sequence to label.
        annotation: has the introns.
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
        """Return the window [start0, start0 + width_bp) of a segment, N outside it, or its reverse complement."""
        segment = self.segments[index]
        codes = segment.window(start0, width_bp)
        offset = start0 - segment.start0
        labels = self.labels[index].within(offset, offset + width_bp)
        if reverse:
            codes, labels = reverse_complement(codes), labels.reverse_complement(width_bp)
        return _labeled_window(codes, labels)

    def transcribed(self, index: int, start0: int, width_bp: int) -> np.ndarray:
        """Return bool (S, 2): whether a position of a window is in a gene, by the gene's strand (+, -)."""
        inside = np.zeros((width_bp, 2), bool)
        for gene in self._annotation.genes_overlapping(self.segments[index].chrom, start0, start0 + width_bp):
            if gene.strand in "+-":
                first, last = max(gene.start0 - start0, 0), gene.end0 - start0
                inside[first:last, "+-".index(gene.strand)] = True
        return inside

    def tiles_of(self, index: int, width_bp: int, context_bp: int) -> Iterator[tuple[int, SpliceBatch]]:
        """Yield start and window of the tiles of one segment, so that every known base is valid exactly once.

        Tiles lie within the segment; if it is shorter than a tile, N follows it. The outer `context_bp` of a tile are
        not valid, except at the ends of the segment.
        """
        segment = self.segments[index]
        done = segment.start0
        for start0 in _tile_starts(segment, width_bp, context_bp):
            end0 = start0 + width_bp
            until = end0 if end0 >= segment.end0 else end0 - context_bp
            window = self.window(index, start0, width_bp)
            valid = window.valid.copy()
            valid[:, : done - start0] = False
            valid[:, until - start0 :] = False
            yield start0, window._replace(valid=valid)
            done = until


def _tile_starts(segment: Segment, width_bp: int, context_bp: int) -> list[int]:
    last = max(segment.start0, segment.end0 - width_bp)
    return [*range(segment.start0, last, width_bp - 2 * context_bp), last]


def _labeled_window(codes: np.ndarray, labels: SpliceLabels) -> SpliceBatch:
    width_bp = len(codes)
    classes = np.full(width_bp, NO_SITE, np.int8)
    classes[labels.position[labels.primary]] = labels.site_class[labels.primary]
    usage = np.zeros((width_bp, 2), np.float32)
    np.maximum.at(usage, (labels.position, labels.site_class // 2), labels.usage)
    room = max(_MIN_SITES, width_bp // _SITE_BP)
    sites = _site_rows(labels, room)
    junctions, fractions = _junction_list(labels, sites, 2 * room)
    return SpliceBatch(
        codes=codes[None],
        valid=codes[None] != UNKNOWN,
        classes=classes[None],
        usage=usage[None],
        sites=sites[None],
        junctions=junctions[None],
        fractions=fractions[None],
    )


def _site_rows(labels: SpliceLabels, room: int) -> np.ndarray:
    """Return int32 (4, K): the first K sites of each class."""
    rows = np.full((4, room), -1, np.int32)
    for site_class, row in enumerate(rows):
        positions = labels.position[labels.site_class == site_class][:room]
        row[: len(positions)] = positions
    return rows


def _junction_list(labels: SpliceLabels, sites: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 (J, 3) and float32 (J,): the first J junctions between sites of `sites`, plus strand first."""
    index = {(row, position): k for row, of_class in enumerate(sites) for k, position in enumerate(of_class)}
    order = np.argsort(labels.strand, kind="stable")
    columns = (labels.donor[order], labels.acceptor[order], labels.strand[order])
    found = [
        (index.get((2 * strand, donor), -1), index.get((2 * strand + 1, acceptor), -1), strand)
        for donor, acceptor, strand in zip(*columns, strict=True)
    ]
    kept = [k for k, (donor, acceptor, _) in enumerate(found) if donor >= 0 and acceptor >= 0][:room]
    indices, fractions = np.zeros((room, 3), np.int32), np.zeros(room, np.float32)
    for place, k in enumerate(kept):
        indices[place] = found[k]
    fractions[: len(kept)] = labels.fraction[order[kept]]
    return indices, fractions
