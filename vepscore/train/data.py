"""Training data of the splice task: pieces of the genome, their splits, and batches of labelled windows.

Whole chromosomes are held out, so that no window of one split overlaps one of another. Coordinates are
0-based and half-open. Axes: B windows of the batch, S bp, K sites per class, J junctions.
"""

import dataclasses
import enum
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.train.labels import NO_SITE, SpliceLabels, label_sequence

SITES_PER_CLASS = 256
JUNCTIONS_PER_WINDOW = 512
GENE_SHARE = 0.85
LONGEST_GENE_BP = 3_000_000

_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN], np.uint8)
_SLICE_NAME = re.compile(r"(?P<chrom>[^:]+):(?P<start1>\d+)-(?P<end1>\d+)")


class Split(enum.StrEnum):
    """What a chromosome may be used for."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


# chr21's piece is a gene desert: without it the validation split would flatter the precision.
VALID_CHROMS = frozenset({"chr11", "chr17", "chr21"})
TEST_CHROMS = frozenset({"chr16", "chr22"})


def split_of(chrom: str) -> Split:
    """The split that a chromosome belongs to."""
    if chrom in TEST_CHROMS:
        return Split.TEST
    return Split.VALID if chrom in VALID_CHROMS else Split.TRAIN


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of known sequence."""

    chrom: str
    start0: int
    codes: np.ndarray  # uint8 (length,): A C G T = 0 1 2 3, anything else 4

    @property
    def end0(self) -> int:
        """Past the last base."""
        return self.start0 + len(self.codes)

    def window(self, start0: int, width_bp: int) -> np.ndarray:
        """Codes uint8 (width_bp,) from a genomic position on; N outside the piece."""
        codes = np.full(width_bp, UNKNOWN, np.uint8)
        first, last = max(start0, self.start0), min(start0 + width_bp, self.end0)
        if first < last:
            codes[first - start0 : last - start0] = self.codes[first - self.start0 : last - self.start0]
        return codes


def read_pieces(paths: Sequence[Path], cache_dir: Path | None = None) -> list[Piece]:
    """The sequences of FASTA files.

    A contig named `chrom:start-end` (1-based, inclusive) is a slice of `chrom`; any other begins at 0.
    """
    pieces = []
    for path in paths:
        reference = Reference(path, cache_dir)
        for name, length in reference.contigs.items():
            chrom, start0 = _slice_origin(name)
            codes = encode_bases(reference.fetch(name, 0, length))
            pieces.append(Piece(chrom=chrom, start0=start0, codes=codes))
    return pieces


def _slice_origin(name: str) -> tuple[str, int]:
    match = _SLICE_NAME.fullmatch(name)
    return (match["chrom"], int(match["start1"]) - 1) if match else (name, 0)


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """The codes of the other strand."""
    return _COMPLEMENT[codes[::-1]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WindowOrigin:
    """Where a window of a batch comes from."""

    chrom: str
    start0: int  # may lie before the piece's start
    reverse: bool = False  # the window is the reverse complement of [start0, start0 + S)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceBatch:
    """Windows with their splice labels, stacked; every shape depends on B and S alone."""

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
    origins: tuple[WindowOrigin, ...]  # (B,)

    @classmethod
    def stack(cls, windows: Sequence[Self]) -> Self:
        """One batch of the windows of several."""
        arrays = [f.name for f in dataclasses.fields(cls) if f.name != "origins"]
        stacked = {name: np.concatenate([getattr(w, name) for w in windows]) for name in arrays}
        return cls(**stacked, origins=tuple(origin for w in windows for origin in w.origins))


class SpliceData:
    """Labelled windows of the pieces of one split.

    Args:
        pieces: all pieces, of any split.
        annotation: where the introns and exons are.
        split: whose chromosomes to use.
    """

    def __init__(self, pieces: Sequence[Piece], annotation: Annotation, split: Split) -> None:
        self.pieces = [piece for piece in pieces if split_of(piece.chrom) is split]
        self.labels = [label_sequence(annotation, p.chrom, p.start0, p.end0) for p in self.pieces]
        self._exons = [_exons(annotation, p.chrom, p.start0, p.end0) for p in self.pieces]
        lengths = np.array([len(piece.codes) for piece in self.pieces])
        self._weights = lengths / lengths.sum()
        self._has_genes = any(len(exons) for exons in self._exons)

    def sample_windows(self, rng: np.random.Generator, width_bp: int, batch: int) -> SpliceBatch:
        """Random windows, each reverse-complemented with probability one half.

        Their places are uniform over the pieces, but at least GENE_SHARE of them hold an annotated exon.
        """
        drawn = [self._draw(rng, width_bp) for _ in range(batch)]
        return SpliceBatch.stack([self._window(i, start0, width_bp, reverse) for i, start0, reverse in drawn])

    def tile_windows(self, width_bp: int, context_bp: int, batch: int = 1) -> Iterator[SpliceBatch]:
        """Windows in which every known base of the split is valid exactly once.

        The outer `context_bp` of each window are not valid. The last batch is filled with windows without
        a valid position.
        """
        starts = [
            (i, s) for i, piece in enumerate(self.pieces) for s in _tile_starts(piece, width_bp, context_bp)
        ]
        for first in range(0, len(starts), batch):
            chosen = starts[first : first + batch]
            windows = [_without_context(self._window(i, s, width_bp), context_bp) for i, s in chosen]
            windows += [_without_context(windows[0], width_bp)] * (batch - len(windows))
            yield SpliceBatch.stack(windows)

    def _draw(self, rng: np.random.Generator, width_bp: int) -> tuple[int, int, bool]:
        wants_gene = self._has_genes and rng.random() < GENE_SHARE
        while True:
            i = int(rng.choice(len(self.pieces), p=self._weights))
            start = _random_start(rng, len(self.pieces[i].codes), width_bp)
            if not wants_gene or _holds_exon(self._exons[i], start, start + width_bp):
                return i, self.pieces[i].start0 + start, bool(rng.random() < 0.5)

    def _window(self, index: int, start0: int, width_bp: int, reverse: bool = False) -> SpliceBatch:
        piece = self.pieces[index]
        codes = piece.window(start0, width_bp)
        offset = start0 - piece.start0
        labels = self.labels[index].within(offset, offset + width_bp)
        if reverse:
            codes, labels = reverse_complement(codes), labels.reverse_complement(width_bp)
        origin = WindowOrigin(chrom=piece.chrom, start0=start0, reverse=reverse)
        return _labelled_window(codes, labels, origin)


def _random_start(rng: np.random.Generator, length: int, width_bp: int) -> int:
    """A window's start from the piece's start; up to an eighth of a window may hang over either end."""
    overhang = width_bp // 8
    first = min(-overhang, length - width_bp)
    last = max(length - width_bp + overhang, 0)
    return int(rng.integers(first, last + 1))


def _tile_starts(piece: Piece, width_bp: int, context_bp: int) -> range:
    return range(piece.start0 - context_bp, piece.end0 - context_bp, width_bp - 2 * context_bp)


def _without_context(window: SpliceBatch, context_bp: int) -> SpliceBatch:
    valid = window.valid.copy()
    valid[:, :context_bp] = False
    valid[:, max(valid.shape[1] - context_bp, 0) :] = False
    return dataclasses.replace(window, valid=valid)


def _exons(annotation: Annotation, chrom: str, start0: int, end0: int) -> np.ndarray:
    """int64 (E, 2): exons that overlap [start0, end0), counted from start0.

    Ascending by start; each end is the largest so far, so that one look tells whether a window holds an exon.
    """
    genes = annotation.genes_with_start(chrom, max(start0 - LONGEST_GENE_BP, 0), end0 + LONGEST_GENE_BP)
    exons = np.concatenate([np.empty((0, 2), np.int64), *(exons for _, exons in genes)])
    exons = exons[(exons[:, 0] < end0) & (exons[:, 1] > start0)] - start0
    exons = exons[np.argsort(exons[:, 0])]
    return np.stack([exons[:, 0], np.maximum.accumulate(exons[:, 1])], axis=1)


def _holds_exon(exons: np.ndarray, start: int, end: int) -> bool:
    before_end = int(np.searchsorted(exons[:, 0], end))
    return before_end > 0 and bool(exons[before_end - 1, 1] > start)


def _labelled_window(codes: np.ndarray, labels: SpliceLabels, origin: WindowOrigin) -> SpliceBatch:
    width_bp = len(codes)
    classes = np.full(width_bp, NO_SITE, np.int8)
    classes[labels.position[labels.primary]] = labels.site_class[labels.primary]
    usage = np.zeros((width_bp, 2), np.float32)
    np.maximum.at(usage, (labels.position, labels.site_class // 2), labels.usage)
    sites = _site_rows(labels)
    junctions, shares = _junction_list(labels, sites)
    return SpliceBatch(
        codes=codes[None],
        valid=codes[None] != UNKNOWN,
        classes=classes[None],
        usage=usage[None],
        sites=sites[None],
        junctions=junctions[None],
        shares=shares[None],
        origins=(origin,),
    )


def _site_rows(labels: SpliceLabels) -> np.ndarray:
    """int32 (4, K): the first K sites of each class."""
    rows = np.full((4, SITES_PER_CLASS), -1, np.int32)
    for site_class, row in enumerate(rows):
        positions = labels.position[labels.site_class == site_class][:SITES_PER_CLASS]
        row[: len(positions)] = positions
    return rows


def _junction_list(labels: SpliceLabels, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32 (J, 3) and float32 (J,): the junctions between sites that were kept."""
    indices = np.zeros((JUNCTIONS_PER_WINDOW, 3), np.int32)
    shares = np.zeros(JUNCTIONS_PER_WINDOW, np.float32)
    filled = 0
    for strand in (0, 1):
        here = np.flatnonzero(labels.strand == strand)
        donor, donor_kept = _indices_in(sites[2 * strand], labels.donor[here])
        acceptor, acceptor_kept = _indices_in(sites[2 * strand + 1], labels.acceptor[here])
        kept = np.flatnonzero(donor_kept & acceptor_kept)[: JUNCTIONS_PER_WINDOW - filled]
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
