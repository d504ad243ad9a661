"""Indel alignment: map positions of the reference sequence to positions of the alternate sequence.

To compare the signals of both alleles position by position, the inserted bases are reduced to their maximum and the
deleted bases count as zero. REF and ALT are assumed to differ in length at their right end, as in left-aligned VCF
records. The anchor is the last position that both alleles have.

An indel shifts the sequence on one side of it. Networks predict in bins of 128 bp, and the prediction for a base
depends on its offset in its bin, so a shift alone changes the prediction. The alternate allele is therefore predicted
in two windows, and each position is read from the window in which its flank is not shifted (`IndelAnchor.BOTH`):

    left-anchored    starts where the reference's window starts; read left of REF, in REF, and in inserted bases
    right-anchored   ends where the reference's window ends; read right of REF

A bin is read from the window in which most of its bases are read, and counts as zero if most of them are deleted. With
`IndelAnchor.LEFT`, as in the official code, everything is read from the left-anchored window.

Attention spreads the effect of the shift to the other side, so two whole windows still leave some noise. The trunk
therefore joins them at the variant: it takes the bins left of the seam from the left-anchored window and those right of
it from the right-anchored one, so that nothing far from the variant is shifted. At the seam, as many bases as the indel
inserts or deletes are missing or duplicated. An indel longer than MAX_JOINED_BP is therefore predicted in two whole
windows.

Positions and bins are counted from the window's start. Both windows have W bins; bin i of the right-anchored window has
the index W + i. P is the number of positions requested, L the size of the span.
"""

import dataclasses
from typing import Any, NamedTuple, Self

import numpy as np

from vepscore.genome.alleles import Allele
from vepscore.genome.windows import Window

SPAN_SIZES = (1, 32, 1024, 32_768, 262_144)
ABSENT = -1
MAX_JOINED_BP = 64  # longest insertion or deletion for which windows are joined: half a bin of the trunk


class AlignedPositions(NamedTuple):
    """Where both alleles are read: arrays of numpy on the host, of JAX on the device.

    Attributes:
        reference: int32 (P,), the positions requested, padded with -1.
        alternate: int32 (P,), their indices in the alternate's windows; -1 where the signal is zero.
        anchor: int32, the index within P that takes the maximum over `span`; P if there is none.
        span: int32 (L,), the anchor and the bases inserted after it, padded with -1.
    """

    reference: Any
    alternate: Any
    anchor: Any
    span: Any

    @classmethod
    def unchanged(cls, positions: Any) -> Self:
        """Return positions that are the same in both alleles."""
        return cls(positions, positions, anchor=np.int32(len(positions)), span=np.full(1, ABSENT, np.int32))


def align_positions(positions: np.ndarray, allele: Allele, window: Window) -> AlignedPositions:
    """Map positions of the reference to positions in the left-anchored window.

    Positions up to the anchor stay the same. Right of an insertion of n bp, position p is read at p + n, the last n
    positions of the window are zero (pushed out), and the anchor takes the maximum over itself and the n inserted
    bases. In a deletion of n bp, the n positions right of the anchor are zero, and those beyond are read at p - n.

    Args:
        positions: int (P,), distinct; -1 is padding and stays -1.
        allele: the alternate allele.
        window: the allele's window.

    Raises:
        ValueError: the insertion is longer than the largest of SPAN_SIZES.

    Source: `IndelMask` and `align_alternate` of alphagenome_research (variant_scoring.py).
    """
    positions = np.asarray(positions, np.int32)
    anchor_position = _anchor_position(allele, window)
    inserted_bp = allele.inserted_bp
    moved = np.where(positions > anchor_position, positions + inserted_bp, positions)
    silent = _silent_positions(positions, anchor_position, inserted_bp, window.width_bp)
    moved[silent] = ABSENT
    anchor, span = len(positions), np.arange(0)
    found = np.flatnonzero((positions == anchor_position) & ~silent)
    if inserted_bp > 0 and len(found):
        anchor = found[0]
        span = np.arange(anchor_position, min(anchor_position + inserted_bp + 1, window.width_bp))
    return AlignedPositions(positions, moved, anchor=np.int32(anchor), span=_pad_span(span))


def align_to_both(bins: np.ndarray, resolution_bp: int, allele: Allele, window: Window) -> AlignedPositions:
    """Map bins of the reference to bins in the two windows of an insertion or deletion.

    Bin b is read at b: from the right-anchored window if more of its bases lie right of REF than left of or in REF,
    otherwise from the left-anchored one. It is zero if more than half of its bases are deleted. The anchor's bin takes
    the maximum over itself and the bins of the left-anchored window that consist mostly of inserted bases. At 1 bp a
    bin is a base.

    Args:
        bins: int (P,), distinct; -1 is padding and stays -1.
        resolution_bp: width of the bins; divides the window's width.
        allele: the alternate allele, an insertion or deletion.
        window: the reference's window.

    Raises:
        ValueError: the insertion is longer than the largest of SPAN_SIZES.
    """
    bins = np.asarray(bins, np.int32)
    size = window.width_bp // resolution_bp
    anchor_position = _anchor_position(allele, window)
    deleted_bp = _deleted_within(bins, resolution_bp, allele, window)
    is_right = choose_right_bins(resolution_bp, allele, window)[bins]
    moved = np.where(is_right, size + bins, bins)
    moved[(2 * deleted_bp > resolution_bp) | (bins == ABSENT)] = ABSENT
    inserted_end = anchor_position + 1 + max(allele.inserted_bp, 0)
    touched = np.arange((anchor_position + 1) // resolution_bp, min(-(-inserted_end // resolution_bp), size))
    inserted_bp = _bases_within(touched, resolution_bp, anchor_position + 1, inserted_end)
    inserted = touched[2 * inserted_bp > resolution_bp]
    anchor, span = len(bins), np.arange(0)
    found = np.flatnonzero((bins == anchor_position // resolution_bp) & (moved != ABSENT))
    if len(inserted) and len(found):
        anchor = found[0]
        span = np.append(moved[anchor], inserted[inserted != moved[anchor]])
    return AlignedPositions(bins, moved.astype(np.int32), anchor=np.int32(anchor), span=_pad_span(span))


def choose_right_bins(resolution_bp: int, allele: Allele, window: Window) -> np.ndarray:
    """Return which bins of an indel's window are read from the right-anchored window: bool (W,), False up to the seam.

    `resolution_bp`, the width of the bins, divides the window's width.
    """
    bins = np.arange(window.width_bp // resolution_bp)
    right_bp = _bases_within(bins, resolution_bp, allele.end0 - window.start0, window.width_bp)
    deleted_bp = _deleted_within(bins, resolution_bp, allele, window)
    return 2 * right_bp + deleted_bp > resolution_bp


def choose_right_pairs(resolution_bp: int, allele: Allele, window: Window) -> np.ndarray:
    """Return which pairs of bins of a contact map are read from the right-anchored window: bool (W, W), symmetric.

    Two bins on one side of the indel are read from that side's window. For two bins on different sides, the bin farther
    from REF's first base decides; if the distances are equal, the left one. `resolution_bp` divides the window's width.
    """
    bins = np.arange(window.width_bp // resolution_bp)
    right_bp = _bases_within(bins, resolution_bp, allele.end0 - window.start0, window.width_bp)
    is_right = 2 * right_bp > resolution_bp
    distance = np.abs(bins - (allele.pos0 - window.start0) // resolution_bp)
    rows, columns = distance[:, None], distance[None, :]
    of_nearer = is_right[:, None] & is_right[None, :]
    return np.select([rows > columns, rows < columns], [is_right[:, None], is_right[None, :]], of_nearer)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlternateBins:
    """Bins of the alternate that overlap bins of the reference: E pairs of the two."""

    rows: np.ndarray  # int (E,): index among the bins requested
    bins: np.ndarray  # int (E,): bin of the alternate, from the window's start
    fractions: np.ndarray  # float32 (E,): fraction of the row's bp; a row without deleted bases sums to 1

    def apply(self, signal: np.ndarray, bins: np.ndarray, *, rows: int) -> np.ndarray:
        """Return the alternate's signal in the bins requested: float32 (rows, …).

        Args:
            signal: (B, …), the alternate's signal in `bins`.
            bins: int (B,), ascending; must include all of `self.bins`.
            rows: the number of bins requested.
        """
        aligned = np.zeros((rows, *signal.shape[1:]), np.float32)
        fractions = self.fractions.reshape(-1, *[1] * (signal.ndim - 1))
        np.add.at(aligned, self.rows, fractions * signal[np.searchsorted(bins, self.bins)])
        return aligned


def align_bins(bins: np.ndarray, resolution_bp: int, allele: Allele, window: Window) -> AlternateBins:
    """Map bins of the reference to bins in the left-anchored window, by the rule of `align_positions` for each bp.

    The signal is assumed to be constant within a bin. Inserted bases are ignored, not reduced to their maximum as at
    1 bp. Bases that are deleted or pushed out of the window count as zero.

    Args:
        bins: int (B,), ascending, from the window's start.
        resolution_bp: width of the bins.
        allele: the alternate allele.
        window: the allele's window.

    Raises:
        ValueError: the insertion is longer than the largest of SPAN_SIZES.
    """
    positions = (np.asarray(bins)[:, None] * resolution_bp + np.arange(resolution_bp)).ravel()
    moved = align_positions(positions, allele, window).alternate
    rows = np.repeat(np.arange(len(bins)), resolution_bp)[moved != ABSENT]
    pairs = np.stack([rows, moved[moved != ABSENT] // resolution_bp])
    (rows, read), counts = np.unique(pairs, axis=1, return_counts=True)
    return AlternateBins(rows=rows, bins=read, fractions=(counts / resolution_bp).astype(np.float32))


def _anchor_position(allele: Allele, window: Window) -> int:
    """Return the last position that REF and ALT both have, in bp from the window's start."""
    return allele.pos0 - window.start0 + min(len(allele.ref), len(allele.alt)) - 1


def _deleted_within(bins: np.ndarray, resolution_bp: int, allele: Allele, window: Window) -> np.ndarray:
    """Return the number of deleted bases in each bin: int (P,)."""
    return _bases_within(
        bins, resolution_bp, _anchor_position(allele, window) + 1, allele.end0 - window.start0
    )


def _bases_within(bins: np.ndarray, resolution_bp: int, start: int, end: int) -> np.ndarray:
    """Return the number of bases of each bin in [start, end), in bp from the window's start: int (P,)."""
    first = bins * resolution_bp
    return np.maximum(np.minimum(first + resolution_bp, end) - np.maximum(first, start), 0)


def _silent_positions(
    positions: np.ndarray, anchor_position: int, inserted_bp: int, width_bp: int
) -> np.ndarray:
    """Return where the alternate has no signal (padding, deleted or pushed out of the window): bool (P,)."""
    if inserted_bp < 0:
        absent = (positions > anchor_position) & (positions <= anchor_position - inserted_bp)
    else:
        absent = positions >= width_bp - inserted_bp
    return absent | (positions == ABSENT)


def _pad_span(span: np.ndarray) -> np.ndarray:
    """Return `span` as int32, padded with -1 to one of SPAN_SIZES."""
    size = next((size for size in SPAN_SIZES if len(span) <= size), None)
    if size is None:
        raise ValueError(f"{len(span) - 1} bp inserted; the largest span is {SPAN_SIZES[-1]}")
    padded = np.full(size, ABSENT, np.int32)
    padded[: len(span)] = span
    return padded
