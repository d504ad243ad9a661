"""Training windows: their positions and labels.

Coordinates are 0-based and half-open. Axes: B windows of the batch, S bp, L bins of 32 bp, C bins of 128 bp,
W bins of 2,048 bp, T tracks.
"""

from typing import Protocol

import numpy as np

from vepscore.genome.windows import UNKNOWN
from vepscore.outputs import Tracks
from vepscore.train.coverage import BIN_BP, TrackData
from vepscore.train.hard_negatives import HardNegatives
from vepscore.train.labels import NO_SITE
from vepscore.train.schedule import Sampling
from vepscore.train.splice import SpliceData
from vepscore.train.tss import TssData

Batch = dict[str, np.ndarray]


class ContactMaps(Protocol):
    """Contact maps as training targets. A program that has a source of them hands a reader of it to `read_data`."""

    @property
    def tracks(self) -> Tracks:
        """The tracks of the maps, T in number."""

    def window(self, chrom: str, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """Return log(observed / expected) of a window or of its reverse complement.

        Args:
            chrom: chromosome, as the sequence names it.
            start0: first base of the window, 0-based.
            width_bp: width of the window, a multiple of 2,048.
            reverse: return the map of the reverse complement.

        Returns:
            float32 (W, W, T), where W is `width_bp` / 2,048.
        """


class TrainingWindows:
    """Samples windows with all their labels.

    Args:
        splice: segments of sequence and their splice sites.
        tss: TSSs in the same segments.
        tracks: regions with coverage; regions outside the segments are not used.
        contacts: contact maps, if any.
    """

    def __init__(
        self, splice: SpliceData, tss: TssData, tracks: TrackData, contacts: ContactMaps | None
    ) -> None:
        self.splice = splice
        self._tss, self._tracks, self._contacts = tss, tracks, contacts
        lengths = np.array([len(segment.codes) for segment in splice.segments])
        self._weights = lengths / lengths.sum()
        self._regions = [
            (index, region.start0, region.end0)
            for region in tracks.regions
            for index, segment in enumerate(splice.segments)
            if segment.chrom == region.chrom
            and segment.start0 <= region.start0
            and region.end0 <= segment.end0
        ]

    def sample(
        self,
        rng: np.random.Generator,
        sampling: Sampling,
        width_bp: int,
        count: int,
        hard_negatives: HardNegatives | None = None,
    ) -> Batch:
        """Sample windows at random positions; each is reverse-complemented with probability one half.

        Args:
            rng: the random generator.
            sampling: the fractions of windows of each kind, and their mutations.
            width_bp: width of the windows, S.
            count: number of windows, B.
            hard_negatives: without them, the other kinds of windows take their fraction.

        Returns:
            The arrays of `SpliceBatch`, with negative sites after the annotated ones in `sites`; tss bool (B, C, 2);
            coverage float32 (B, L, T) and measured bool (B, L); and, if there are contact maps, contacts float32
            (B, W, W, T) and mapped bool (B, W, W).
        """
        positions = [self._draw(rng, sampling, width_bp, hard_negatives) for _ in range(count)]
        windows = [self._window(*place, width_bp, reverse=bool(rng.random() < 0.5)) for place in positions]
        batch = {name: np.stack([window[name] for window in windows]) for name in windows[0]}
        if sampling.mutated:
            # Each window draws its own fraction, so that some are hardly mutated.
            fractions = sampling.mutated * rng.random((count, 1))
            batch["codes"] = mutate(rng, batch["codes"], fractions)
        if sampling.splice_site_mutation_rate:
            batch["codes"] = mutate_splice_sites(
                rng, batch["codes"], batch["classes"], sampling.splice_site_mutation_rate
            )
        if sampling.negative_sites:
            rows = zip(batch["sites"], batch["classes"], batch["valid"], strict=True)
            batch["sites"] = np.stack(
                [add_negative_sites(rng, *row, sampling.negative_sites) for row in rows]
            )
        return batch

    def _draw(
        self,
        rng: np.random.Generator,
        sampling: Sampling,
        width_bp: int,
        hard_negatives: HardNegatives | None,
    ) -> tuple[int, int]:
        """Draw a window; return the index of its segment and its start."""
        if hard_negatives is not None and not (
            len(hard_negatives.positions) and rng.random() < sampling.hard_negatives
        ):
            hard_negatives = None
        kind = rng.random()
        if hard_negatives is not None:
            index, position = hard_negatives.draw(rng)
            start0 = position - int(rng.integers(width_bp))
        elif kind < sampling.sites and len(self.splice.sites):
            index, position = self.splice.sites[rng.integers(len(self.splice.sites))]
            start0 = int(position) - int(rng.integers(width_bp))
        elif kind < sampling.sites + sampling.regions and self._regions:
            index, first, end = self._regions[rng.integers(len(self._regions))]
            start0 = _within(rng, first, end, width_bp)
        elif kind < sampling.sites + sampling.regions + sampling.tss and len(self._tss.positions):
            index, position = self._tss.positions[rng.integers(len(self._tss.positions))]
            start0 = int(position) - int(rng.integers(width_bp))
        else:
            index = rng.choice(len(self._weights), p=self._weights)
            segment = self.splice.segments[index]
            start0 = _within(rng, segment.start0, segment.end0, width_bp)
        return int(index), self._tracks.align(self.splice.segments[index].chrom, start0, width_bp)

    def _window(self, index: int, start0: int, width_bp: int, *, reverse: bool) -> Batch:
        splice = self.splice.window(index, start0, width_bp, reverse=reverse)
        batch = {name: array[0] for name, array in splice._asdict().items()}
        chrom = self.splice.segments[index].chrom
        coverage, measured = self._tracks.window(chrom, start0, width_bp, reverse=reverse)
        known = batch["valid"].reshape(-1, BIN_BP).all(axis=1)
        batch |= {"coverage": coverage * known[:, None], "measured": measured & known}
        batch["tss"] = self._tss.window(index, start0, width_bp, reverse=reverse)
        if self._contacts is not None:
            contacts = self._contacts.window(chrom, start0, width_bp, reverse=reverse)
            mapped = batch["valid"].reshape(len(contacts), -1).all(axis=1)
            batch |= {"contacts": contacts, "mapped": mapped[:, None] & mapped}
        return batch


def mutate(rng: np.random.Generator, codes: np.ndarray, fraction: float | np.ndarray) -> np.ndarray:
    """Redraw a fraction of the known bases uniformly, so that a quarter of those stay the same.

    codes uint8 of any shape, to which `fraction` broadcasts.
    """
    redrawn = (rng.random(codes.shape) < fraction) & (codes < 4)
    return np.where(redrawn, rng.integers(0, 4, codes.shape, np.uint8), codes)


def mutate_splice_sites(
    rng: np.random.Generator, codes: np.ndarray, classes: np.ndarray, rate: float
) -> np.ndarray:
    """Redraw the intronic dinucleotide of a fraction of the splice sites; unknown bases stay unknown.

    codes uint8 (B, S); classes int8 (B, S), by SPLICE_CLASSES, 4 = none.
    """
    window, position = np.nonzero((classes != NO_SITE) & (rng.random(classes.shape) < rate))
    # The intron is to the right of a plus-strand donor and of a minus-strand acceptor.
    side = np.where(np.isin(classes[window, position], (0, 3)), 1, -1)
    mutated = codes.copy()
    for step in (1, 2):
        intronic = position + step * side
        inside = (intronic >= 0) & (intronic < codes.shape[1])
        at = window[inside], intronic[inside]
        mutated[at] = np.where(codes[at] < UNKNOWN, rng.integers(0, 4, inside.sum(), np.uint8), UNKNOWN)
    return mutated


def add_negative_sites(
    rng: np.random.Generator, sites: np.ndarray, classes: np.ndarray, valid: np.ndarray, count: int
) -> np.ndarray:
    """Append positions that are not splice sites to the sites of one window, int32 (4, K), as far as they fit.

    Scorers read junctions of every site that the network predicts in either allele. Trained on annotated sites only,
    the network would never see negative examples of junctions.

    Up to `count` of each class are drawn uniformly among known bases. sites int32 (4, K), padded with -1; classes int8
    (S,), by SPLICE_CLASSES, 4 = none; valid bool (S,), known bases.
    """
    none = np.flatnonzero(valid & (classes == NO_SITE))
    extended = sites.copy()
    for row in extended:
        padding = np.flatnonzero(row < 0)[: min(count, len(none))]
        row[padding] = rng.choice(none, len(padding), replace=False)
    return extended


def _within(rng: np.random.Generator, start0: int, end0: int, width_bp: int) -> int:
    """Draw a start so that the window lies in [start0, end0), or contains it if the window is wider."""
    slack = end0 - start0 - width_bp
    return start0 + int(rng.integers(min(slack, 0), max(slack, 0) + 1))
