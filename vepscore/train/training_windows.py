"""The windows that a network is trained on: where they lie, and all that they are labelled with.

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
from vepscore.train.recipe import Sampling
from vepscore.train.splice import SpliceBatch, SpliceData
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
    """Windows of the segments of `splice`, with every label that there is.

    Args:
        splice: the sequence, and its splice sites.
        starts: of transcripts, in the same segments.
        tracks: regions with coverage; those off the segments are not used.
        contacts: contact maps, if any.
    """

    def __init__(
        self, splice: SpliceData, starts: TssData, tracks: TrackData, contacts: ContactMaps | None
    ) -> None:
        self.splice = splice
        self._starts = starts
        self._tracks, self._contacts = tracks, contacts
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
        """Windows at random places, each reverse-complemented with probability one half.

        Without `hard_negatives` the share of windows that is to hold one is spread over the other kinds.

        Returns:
            The arrays of `SpliceBatch`, `sites` with negative sites after the annotated ones; starts bool (B, C, 2);
            coverage float32 (B, L, T) and measured bool (B, L); and, where there are contact maps, contacts float32
            (B, W, W, 1) and mapped bool (B, W, W).
        """
        places = [self._draw(rng, sampling, width_bp, hard_negatives) for _ in range(count)]
        windows = [self._window(*place, width_bp, reverse=bool(rng.random() < 0.5)) for place in places]
        batch = {name: np.stack([window[name] for window in windows]) for name in windows[0]}
        if sampling.mutated:
            # Each window has a share of its own, so that some stay nearly as they are.
            shares = sampling.mutated * rng.random((count, 1))
            batch["codes"] = mutate(rng, batch["codes"], shares)
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
        """Index of the segment, and start."""
        at_hard_negative = (
            hard_negatives is not None
            and len(hard_negatives.places)
            and rng.random() < sampling.hard_negatives
        )
        kind = rng.random()
        if at_hard_negative:
            index, position = hard_negatives.draw(rng)
            start0 = position - int(rng.integers(width_bp))
        elif kind < sampling.sites and len(self.splice.sites):
            index, position = self.splice.sites[rng.integers(len(self.splice.sites))]
            start0 = int(position) - int(rng.integers(width_bp))
        elif kind < sampling.sites + sampling.regions and self._regions:
            index, first, end = self._regions[rng.integers(len(self._regions))]
            start0 = _within(rng, first, end, width_bp)
        elif kind < sampling.sites + sampling.regions + sampling.tss and len(self._starts.places):
            index, position = self._starts.places[rng.integers(len(self._starts.places))]
            start0 = int(position) - int(rng.integers(width_bp))
        else:
            index = rng.choice(len(self._weights), p=self._weights)
            segment = self.splice.segments[index]
            start0 = _within(rng, segment.start0, segment.end0, width_bp)
        return int(index), self._tracks.align(self.splice.segments[index].chrom, start0, width_bp)

    def _window(self, index: int, start0: int, width_bp: int, *, reverse: bool) -> Batch:
        splice = self.splice.window(index, start0, width_bp, reverse=reverse)
        batch = {name: getattr(splice, name)[0] for name in SpliceBatch.names()}
        chrom = self.splice.segments[index].chrom
        coverage, measured = self._tracks.window(chrom, start0, width_bp, reverse=reverse)
        known = batch["valid"].reshape(-1, BIN_BP).all(axis=1)
        batch |= {"coverage": coverage * known[:, None], "measured": measured & known}
        batch["starts"] = self._starts.window(index, start0, width_bp, reverse=reverse)
        if self._contacts is not None:
            contacts = self._contacts.window(chrom, start0, width_bp, reverse=reverse)
            mapped = batch["valid"].reshape(len(contacts), -1).all(axis=1)
            batch |= {"contacts": contacts, "mapped": mapped[:, None] & mapped}
        return batch


def mutate(rng: np.random.Generator, codes: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """uint8 codes of any shape with a share of the known bases drawn anew, uniformly: a quarter of them stays.

    A `share` for each window has a shape that broadcasts to that of `codes`.
    """
    drawn = (rng.random(codes.shape) < share) & (codes < 4)
    return np.where(drawn, rng.integers(0, 4, codes.shape, np.uint8), codes)


def mutate_splice_sites(
    rng: np.random.Generator, codes: np.ndarray, classes: np.ndarray, share: float
) -> np.ndarray:
    """uint8 codes (B, S) where, at a share of the splice sites, the intron's two bases next to them are drawn anew.

    `classes` is int8 (B, S), by SPLICE_CLASSES, 4 = none. Unknown bases stay so.
    """
    window, position = np.nonzero((classes != NO_SITE) & (rng.random(classes.shape) < share))
    # The intron lies to the right of a donor of the plus strand and of an acceptor of the minus strand.
    side = np.where(np.isin(classes[window, position], (0, 3)), 1, -1)
    made = codes.copy()
    for step in (1, 2):
        place = position + step * side
        inside = (place >= 0) & (place < codes.shape[1])
        at = window[inside], place[inside]
        made[at] = np.where(codes[at] < UNKNOWN, rng.integers(0, 4, inside.sum(), np.uint8), UNKNOWN)
    return made


def add_negative_sites(
    rng: np.random.Generator, sites: np.ndarray, classes: np.ndarray, valid: np.ndarray, count: int
) -> np.ndarray:
    """The splice sites of one window, int32 (4, K), with bases that are none behind them, as far as there is room.

    Scores look at junctions of every site that the network sees in either allele. Taught by annotated sites alone, it
    would know which of two splices more, and never that a base which is no site splices not at all.

    Args:
        rng: draws the bases, uniformly over the known ones.
        sites: padded with -1.
        classes: int8 (S,): by SPLICE_CLASSES, 4 = none.
        valid: bool (S,): known bases.
        count: negative_sites for each class.
    """
    none = np.flatnonzero(valid & (classes == NO_SITE))
    made = sites.copy()
    for row in made:
        padding = np.flatnonzero(row < 0)[: min(count, len(none))]
        row[padding] = rng.choice(none, len(padding), replace=False)
    return made


def _within(rng: np.random.Generator, start0: int, end0: int, width_bp: int) -> int:
    """A start from which a window lies in [start0, end0), or around it where it is wider."""
    slack = end0 - start0 - width_bp
    return start0 + int(rng.integers(min(slack, 0), max(slack, 0) + 1))
