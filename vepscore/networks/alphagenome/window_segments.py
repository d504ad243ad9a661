"""Divide windows into segments, so that what windows have in common is encoded once.

The reference has large segments on a grid from the window's start; segments with the same bases are shared among
windows. An alternate has the reference's segments, and small ones of its own for the bins that its bases change. Where
a segment begins depends on the window and the allele alone, so that a score has the same bytes whatever was computed
before.

Axes in shapes: `window` bins of 128 bp, `tile` bins, `bands` of levels, `channels`.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int32, UInt8

from vepscore.model.pages import ABSENT
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.tiles import SKIP_MARGIN_BINS


class Band(NamedTuple):
    """Levels whose skips are kept in the same bins."""

    levels: range
    margin_bins: int  # bins that the decoder reads on either side of its tile


def _bands() -> tuple[Band, Band]:
    fine = SKIP_MARGIN_BINS.count(1)
    return Band(range(fine), 1), Band(range(fine, len(SKIP_MARGIN_BINS)), max(SKIP_MARGIN_BINS))


BANDS = _bands()
BandBins = list[Int[np.ndarray, " _"]]  # for each band, bins in ascending order


@dataclasses.dataclass(eq=False, kw_only=True)
class Tile:
    """Bases that are encoded in one call, wherever they lie."""

    codes: UInt8[np.ndarray, " bases"]  # with a margin on either side
    rows: Int32[np.ndarray, "bands tile"]  # of its pages in the stores, or ABSENT
    trunk: Float[Array, "tile channels"] | None = None  # once it is encoded

    def encoded(self) -> Float[Array, "tile channels"]:
        """Return the trunk of an encoded tile."""
        assert self.trunk is not None
        return self.trunk


class Segment(NamedTuple):
    """A tile at its place in a window."""

    first_bin: int
    tile: Tile


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """A window's segments."""

    segments: list[Segment]  # may overlap
    segment_of: Int[np.ndarray, " window"]  # for each bin, the index of the segment that its values come from

    def rows(self) -> Int32[np.ndarray, "bands window"]:
        """Return the rows of each bin's pages in the stores, or ABSENT."""
        rows = np.full((len(BANDS), len(self.segment_of)), ABSENT)
        for index, segment in enumerate(self.segments):
            bins = np.flatnonzero(self.segment_of == index)
            rows[:, bins] = segment.tile.rows[:, bins - segment.first_bin]
        return rows

    def by_segment(self, bins: BandBins) -> Iterator[tuple[Segment, BandBins]]:
        """Yield the segments that provide any of `bins`, each with its own bins, counted from its start."""
        for index in np.unique(np.concatenate([self.segment_of[of_band] for of_band in bins])):
            segment = self.segments[index]
            yield (
                segment,
                [of_band[self.segment_of[of_band] == index] - segment.first_bin for of_band in bins],
            )


def changed_bins(
    reference: UInt8[np.ndarray, " bases"], alternate: UInt8[np.ndarray, " bases"], margin_bp: int
) -> Bool[np.ndarray, " window"]:
    """Return which bins of the trunk depend on a base that differs."""
    bins = len(reference) // TRUNK_BIN_BP
    differs = np.flatnonzero(reference != alternate)
    firsts = -(-(differs - margin_bp - TRUNK_BIN_BP + 1) // TRUNK_BIN_BP)
    ends = (differs + margin_bp) // TRUNK_BIN_BP + 1
    steps = np.bincount(np.clip(firsts, 0, bins), minlength=bins + 1)
    steps -= np.bincount(np.clip(ends, 0, bins), minlength=bins + 1)
    return np.cumsum(steps[:bins]) > 0


def intervals_of(marked: Bool[np.ndarray, " window"]) -> list[tuple[int, int]]:
    """Return the start and the end, exclusive, of each interval of True."""
    edges = np.flatnonzero(np.diff(marked, prepend=False, append=False))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
