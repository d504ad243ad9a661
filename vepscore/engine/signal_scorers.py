"""Scorers that return signals over a region, so that a prediction is planned as scores are.

Axes in shapes: `positions` read, `bins` of the region, `tracks`.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Float32, Int

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.genome.alignment import align_bins
from vepscore.genome.regions import Region
from vepscore.genome.windows import Window
from vepscore.io.signal_files import RegionSignals
from vepscore.outputs import Output, Tracks

PIECE_BP = 16_384  # a signal at 1 bp is read in pieces of this size
CONTEXT_BP = 16_384  # width of the region around a variant that is shown by default

# The outputs that have a signal along the sequence.
SIGNALS = tuple(output for output in Output if output is not Output.SPLICE_JUNCTIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSignal(Scorer):
    """Return the signal of one output over a region, of both alleles, the alternate's in reference coordinates.

    Bins that overlap the region are read whole. The rows of the matrix are the bins with the reference's signal, then
    the same bins with the alternate's signal; for CONTACT_MAPS they are all pairs of bins, row by row.

    Attributes:
        ends: the region's start and end on the site's contig, 0-based half-open; None for CONTEXT_BP around each
            variant.
    """

    name: str
    output: Output
    ends: tuple[int, int] | None = None

    compares = False

    def footprint(self, site: Site) -> Footprint:
        positions = self._positions(site)
        padded = pad_positions(positions)
        masks = {"columns": padded} if self.output is Output.CONTACT_MAPS else {}
        # Wider bins of a left-anchored window are aligned in `rows`, because they may overlap only in part.
        return Footprint(positions=padded, masks=masks, aligned=site.resolution_bp(self.output) == 1)

    def score(
        self,
        reference: Float32[Array, "positions *bins tracks"],
        alternate: Float32[Array, "positions *bins tracks"],
        masks: Mapping[str, Array],
    ) -> tuple[Float32[Array, "positions ..."], Float32[Array, "positions ..."]]:
        """Return both signals; of contact maps, the columns that are read."""
        if "columns" in masks:
            columns = masks["columns"]
            return reference[:, columns], alternate[:, columns]
        return reference, alternate

    def rows(
        self, scores: tuple[np.ndarray, np.ndarray], footprint: Footprint, site: Site, tracks: Tracks
    ) -> ScoreMatrix:
        positions = footprint.positions[footprint.positions >= 0]
        unpadded = (slice(len(positions)),) * (2 if self.output is Output.CONTACT_MAPS else 1)
        reference, alternate = (signal[unpadded] for signal in scores)
        if tracks.resolution_bp > 1 and not site.has_two_windows:
            reference, alternate = self._in_region_bins(reference, alternate, positions, site)
        values = np.concatenate([signal.reshape(-1, len(tracks)) for signal in (reference, alternate)])
        return ScoreMatrix(scorer=self.name, output=self.output, values=values, genes=(None,) * len(values))

    def _bins(self, site: Site) -> Int[np.ndarray, " bins"]:
        around = context_window(site)
        return bins_of(
            *(self.ends or (around.start0, around.end0)), site.resolution_bp(self.output), site.window
        )

    def _positions(self, site: Site) -> Int[np.ndarray, " positions"]:
        """Return the bins in which either allele is read, ascending."""
        bins = self._bins(site)
        resolution_bp = site.resolution_bp(self.output)
        if resolution_bp == 1 or site.has_two_windows:
            return bins
        return np.union1d(bins, align_bins(bins, resolution_bp, site.allele, site.window).bins)

    def _in_region_bins(
        self, reference: np.ndarray, alternate: np.ndarray, positions: np.ndarray, site: Site
    ) -> tuple[np.ndarray, np.ndarray]:
        bins = self._bins(site)
        inside = np.searchsorted(positions, bins)
        moved = align_bins(bins, site.resolution_bp(self.output), site.allele, site.window)
        reference = reference[inside]
        alternate = moved.apply(alternate, positions, rows=len(bins))
        if self.output is Output.CONTACT_MAPS:
            reference = reference[:, inside]
            alternate = moved.apply(alternate.swapaxes(0, 1), positions, rows=len(bins)).swapaxes(0, 1)
        return reference, alternate


def context_window(site: Site) -> Window:
    """Return CONTEXT_BP around a variant, within its window; may reach past the contig's ends, as windows do."""
    allele, window = site.allele, site.window
    middle0 = (allele.pos0 + allele.end0 + 1) // 2
    return Window(
        chrom=window.chrom,
        start0=max(window.start0, middle0 - CONTEXT_BP // 2),
        end0=min(window.end0, middle0 + CONTEXT_BP // 2),
    )


def bins_of(start0: int, end0: int, resolution_bp: int, window: Window) -> Int[np.ndarray, " bins"]:
    """Return the bins that overlap [start0, end0) within the window, counted from the window's start."""
    first, last = (start0 - window.start0) // resolution_bp, (end0 - 1 - window.start0) // resolution_bp
    return np.arange(first, last + 1)


def read_region(region: Region, outputs: Mapping[Output, int]) -> list[RegionSignal]:
    """Return the scorers that read the signals of outputs, with their resolutions, over a region.

    Those at 1 bp are read in pieces.
    """
    scorers = []
    for output, resolution_bp in outputs.items():
        piece_bp = PIECE_BP if resolution_bp == 1 else region.width_bp
        for number, start0 in enumerate(range(region.start0, region.end0, piece_bp)):
            ends = start0, min(start0 + piece_bp, region.end0)
            scorers.append(RegionSignal(name=f"{output}.{number}", output=output, ends=ends))
    return scorers


def join_pieces(
    matrices: Sequence[ScoreMatrix],
    region: Region | Window,
    site: Site,
    tracks: Tracks,
    *,
    has_alternate: bool,
) -> RegionSignals:
    """Join the pieces of one output's signal over a region, and add the bins' coordinates."""
    halves = [np.split(matrix.values, 2) for matrix in matrices]
    reference, alternate = (np.concatenate(pieces) for pieces in zip(*halves, strict=True))
    output = tracks.output
    bins = bins_of(region.start0, region.end0, tracks.resolution_bp, site.window)
    start0 = site.window.start0 + bins * tracks.resolution_bp
    if output is Output.CONTACT_MAPS:
        reference, alternate = (signal.reshape(len(bins), len(bins), -1) for signal in (reference, alternate))
    return RegionSignals(
        chrom=region.chrom,
        start0=start0,
        end0=start0 + tracks.resolution_bp,
        tracks=tracks,
        reference=reference,
        alternate=alternate if has_alternate else None,
    )
