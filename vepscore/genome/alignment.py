"""Indel alignment: which position of the alternate sequence answers for which position of the reference.

An indel shifts everything to its right. To compare the alternate's signal with the reference's, position by
position, the inserted span is folded into its maximum and the deleted span counts as zero. REF and ALT are
taken to differ in length at their right end, as in left-aligned VCF records.

Positions count bp from the window's start. P is the number of positions asked for, L the size of the span.
"""

import dataclasses
import enum

import numpy as np

from vepscore.genome.alleles import Allele
from vepscore.genome.windows import Window

SPAN_SIZES = (1, 32, 1024, 32_768, 262_144)
ABSENT = -1


class IndelAnchor(enum.StrEnum):
    """In which windows the alternate allele of an insertion or deletion is predicted."""

    LEFT = "left"  # in one that starts where the reference's window starts
    BOTH = "both"  # also in one that ends where the reference's window ends


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlternateIndex:
    """Where to read the alternate's signal so that it lines up with the reference's."""

    positions: np.ndarray  # int32 (P,): the alternate's position for each one asked for; -1: signal is zero
    anchor: np.int32  # index within P that takes the maximum over `span`; P where none does
    span: np.ndarray  # int32 (L,): the anchor and the bases inserted after it, padded with -1


def align_positions(positions: np.ndarray, allele: Allele, window: Window) -> AlternateIndex:
    """The alternate's counterparts of the reference's `positions`.

    The last place that REF and ALT both fill is the anchor. Up to it nothing moves. Right of an insertion of
    n bp, position p is read at p + n, the n positions at the window's right end are zero (pushed out), and
    the anchor takes the maximum over itself and the n bases inserted. In a deletion of n bp the n positions
    right of the anchor are zero, and those beyond are read at p - n.

    Args:
        positions: int (P,), each at most once; -1 is padding and stays -1.
        allele: the alternate allele.
        window: its window.

    Raises:
        ValueError: the insertion is longer than the largest of SPAN_SIZES.

    Source: `IndelMask` and `align_alternate` of alphagenome_research (variant_scoring.py).
    """
    positions = np.asarray(positions, np.int32)
    anchor_position = allele.pos0 - window.start0 + min(len(allele.ref), len(allele.alt)) - 1
    inserted_bp = allele.inserted_bp
    moved = np.where(positions > anchor_position, positions + inserted_bp, positions)
    silent = _silent_positions(positions, anchor_position, inserted_bp, window.width_bp)
    moved[silent] = ABSENT
    anchor, span = len(positions), np.arange(0)
    found = np.flatnonzero((positions == anchor_position) & ~silent)
    if inserted_bp > 0 and len(found):
        anchor = found[0]
        span = np.arange(anchor_position, min(anchor_position + inserted_bp + 1, window.width_bp))
    return AlternateIndex(positions=moved, anchor=np.int32(anchor), span=_pad_span(span))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlternateBins:
    """Which of the alternate's bins answer for bins of the reference, E pairs of the two."""

    rows: np.ndarray  # int (E,): index among the bins asked for
    bins: np.ndarray  # int (E,): bin of the alternate, from the window's start
    shares: np.ndarray  # float32 (E,): of the row's bp; those of a row add up to 1 where nothing is deleted

    def apply(self, signal: np.ndarray, bins: np.ndarray, *, rows: int) -> np.ndarray:
        """The alternate's signal in the bins asked for: float32 (rows, …).

        Args:
            signal: (B, …), the alternate's, in `bins`.
            bins: int (B,), ascending; all of `self.bins` are among them.
            rows: how many bins were asked for.
        """
        aligned = np.zeros((rows, *signal.shape[1:]), np.float32)
        shares = self.shares.reshape(-1, *[1] * (signal.ndim - 1))
        np.add.at(aligned, self.rows, shares * signal[np.searchsorted(bins, self.bins)])
        return aligned


def align_bins(bins: np.ndarray, resolution_bp: int, allele: Allele, window: Window) -> AlternateBins:
    """The alternate's counterparts of the reference's `bins`, by the rule of `align_positions` for each bp.

    The signal is taken to be the same all over a bin. What is inserted is left out, and not folded into a maximum as at
    1 bp; what is deleted, or pushed out of the window, counts as zero.

    Args:
        bins: int (B,), ascending, of `resolution_bp`, from the window's start.
        resolution_bp: of the bins.
        allele: the alternate allele.
        window: its window.

    Raises:
        ValueError: as `align_positions`.
    """
    positions = (np.asarray(bins)[:, None] * resolution_bp + np.arange(resolution_bp)).ravel()
    moved = align_positions(positions, allele, window).positions
    rows = np.repeat(np.arange(len(bins)), resolution_bp)[moved != ABSENT]
    pairs = np.stack([rows, moved[moved != ABSENT] // resolution_bp])
    (rows, read), counts = np.unique(pairs, axis=1, return_counts=True)
    return AlternateBins(rows=rows, bins=read, shares=(counts / resolution_bp).astype(np.float32))


def _silent_positions(
    positions: np.ndarray, anchor_position: int, inserted_bp: int, width_bp: int
) -> np.ndarray:
    """bool (P,): the alternate has no signal here: padding, or deleted, or pushed out of the window."""
    if inserted_bp < 0:
        absent = (positions > anchor_position) & (positions <= anchor_position - inserted_bp)
    else:
        absent = positions >= width_bp - inserted_bp
    return absent | (positions == ABSENT)


def _pad_span(span: np.ndarray) -> np.ndarray:
    """`span` as int32, padded with -1 to one of SPAN_SIZES."""
    size = next((size for size in SPAN_SIZES if len(span) <= size), None)
    if size is None:
        raise ValueError(f"{len(span) - 1} bp inserted; the largest span is {SPAN_SIZES[-1]}")
    padded = np.full(size, ABSENT, np.int32)
    padded[: len(span)] = span
    return padded
