"""Training data of the track task: functional coverage in 32 bp bins over regions of the genome.

The table that comes with the coverage names the transforms that baskerville applied; reading undoes them.
Coordinates are 0-based and half-open. Axes: R regions, L bins, T tracks, B windows of the batch, S bp.
"""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vepscore.outputs import Output, Tracks
from vepscore.train.data import Piece, Split, WindowOrigin, reverse_complement, split_of

BIN_BP = 32
_OUTPUT_OF_ASSAY = {"CAGE": Output.CAGE, "DNASE": Output.DNASE, "RNA": Output.RNA_SEQ, "RNA3": Output.RNA_SEQ}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackBatch:
    """Windows with their coverage, stacked; every shape depends on B and S alone."""

    codes: np.ndarray  # uint8 (B, S)
    targets: np.ndarray  # float32 (B, S // 32, T): coverage summed over each bin; 0 where not measured
    measured: np.ndarray  # bool (B, S // 32): bins that lie in the region and hold known sequence
    origins: tuple[WindowOrigin, ...]  # (B,)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch whose coverage was measured."""

    chrom: str
    start0: int
    split: Split


class TrackData:
    """The measured regions, the tracks, and batches of them.

    Args:
        signal: `.npz` with `signal` (R, L, T), transformed; `.regions.tsv` and `.tracks.tsv` stand beside it.
        pieces: the sequence.
    """

    def __init__(self, signal: Path, pieces: Sequence[Piece]) -> None:
        table = _read_table(signal.with_suffix(".tracks.tsv"))
        self.regions = [_region(row) for row in _read_table(signal.with_suffix(".regions.tsv"))]
        self._pieces = [_piece_of(region, pieces) for region in self.regions]
        with np.load(signal) as arrays:
            self.coverage = undo_transforms(arrays["signal"], table)
        self.strand_pair = np.array([int(row["strand_pair"]) for row in table])
        self.nonzero_mean = self._nonzero_mean()
        self.columns = _columns(table)
        self.tracks = {output: self._tracks(table, output) for output in self.columns}

    @property
    def region_bp(self) -> int:
        """Width of every region."""
        return self.coverage.shape[1] * BIN_BP

    def indices(self, split: Split) -> np.ndarray:
        """Which regions belong to a split."""
        return np.flatnonzero([region.split is split for region in self.regions])

    def sample_tracks(self, rng: np.random.Generator, batch: int, width_bp: int = 65_536) -> TrackBatch:
        """Windows of training regions, each reverse-complemented with probability one half.

        A window wider than the region holds the region at a random place; a narrower one lies in it. Either
        starts a whole number of bins from the region's start.
        """
        slack = self.coverage.shape[1] - width_bp // BIN_BP
        chosen = rng.choice(self.indices(Split.TRAIN), batch)
        shifts = rng.integers(min(slack, 0), max(slack, 0) + 1, batch)
        reverses = rng.random(batch) < 0.5
        return self._stack(zip(chosen, shifts, reverses, strict=True), width_bp)

    def region_batches(self, split: Split, width_bp: int = 65_536, batch: int = 1) -> Iterator[TrackBatch]:
        """Each region of a split once, in the middle of its window; the last batch may be smaller."""
        shift = (self.coverage.shape[1] - width_bp // BIN_BP) // 2
        indices = self.indices(split)
        for first in range(0, len(indices), batch):
            yield self._stack([(i, shift, False) for i in indices[first : first + batch]], width_bp)

    def _stack(self, chosen: Any, width_bp: int) -> TrackBatch:
        windows = [self._window(*each, width_bp) for each in chosen]
        codes, targets, measured, origins = zip(*windows, strict=True)
        return TrackBatch(
            codes=np.stack(codes), targets=np.stack(targets), measured=np.stack(measured), origins=origins
        )

    def _window(self, index: int, shift_bins: int, reverse: bool, width_bp: int) -> tuple:
        region, bins = self.regions[index], width_bp // BIN_BP
        start0 = int(region.start0 + shift_bins * BIN_BP)
        codes = self._pieces[index].window(start0, width_bp)
        targets = np.zeros((bins, self.coverage.shape[2]), np.float32)
        measured = np.zeros(bins, bool)
        first, last = max(shift_bins, 0), min(shift_bins + bins, self.coverage.shape[1])
        targets[first - shift_bins : last - shift_bins] = self.coverage[index, first:last]
        measured[first - shift_bins : last - shift_bins] = True
        measured &= (codes.reshape(bins, BIN_BP) < 4).all(axis=1)
        if reverse:
            codes, targets, measured = (
                reverse_complement(codes),
                targets[::-1, self.strand_pair],
                measured[::-1],
            )
        return (
            codes,
            targets,
            measured,
            WindowOrigin(chrom=region.chrom, start0=start0, reverse=bool(reverse)),
        )

    def _nonzero_mean(self) -> np.ndarray:
        """float32 (T,): mean coverage per bp over the non-zero bins of the training regions."""
        coverage = self.coverage[self.indices(Split.TRAIN)]
        nonzero_bins = np.maximum((coverage != 0).sum(axis=(0, 1)), 1)
        return (coverage.sum(axis=(0, 1), dtype=np.float64) / nonzero_bins / BIN_BP).astype(np.float32)

    def _tracks(self, table: list[dict[str, str]], output: Output) -> Tracks:
        columns = self.columns[output]
        text = {
            key: np.array([table[c][key] for c in columns], dtype=object)
            for key in ("name", "strand", "biosample", "assay")
        }
        return Tracks(
            output=output,
            name=text["name"],
            strand=text["strand"],
            ontology_curie=np.array([""] * len(columns), dtype=object),
            biosample_name=text["biosample"],
            assay=text["assay"],
            nonzero_mean=self.nonzero_mean[columns],
            channel=np.arange(len(columns), dtype=np.int32),
        )


def undo_transforms(signal: np.ndarray, table: Sequence[dict[str, str]]) -> np.ndarray:
    """Coverage summed over each bin, float32 (R, L, T), from what baskerville stored.

    It multiplied the coverage of each base by `scale`; pooled over the bin, `mean` the mean and `sum_sqrt`
    sqrt(1 + sum) - 1; brought values above `clip_soft` c to c - 1 + sqrt(value - c + 1); and rounded to 0.01.
    Undone from the last to the first, but for the rounding.

    Source: calico/baskerville, hound_data_read.py (its newer transform).
    """
    scale, clip = (np.array([float(row[key]) for row in table], np.float32) for key in ("scale", "clip_soft"))
    is_mean = np.array([row["sum_stat"] == "mean" for row in table])
    value = signal.astype(np.float32)
    value = np.where(value > clip, (value - clip + 1) ** 2 + clip - 1, value)
    return np.where(is_mean, value * BIN_BP, (1 + value) ** 2 - 1) / scale


def _columns(table: Sequence[dict[str, str]]) -> dict[Output, np.ndarray]:
    outputs = np.array([_OUTPUT_OF_ASSAY[row["assay"]] for row in table], dtype=object)
    return {output: np.flatnonzero(outputs == output) for output in dict.fromkeys(outputs)}


def _region(row: dict[str, str]) -> Region:
    """The held-out chromosomes decide first; elsewhere the split that the table gives."""
    split = split_of(row["chrom"])
    return Region(
        chrom=row["chrom"],
        start0=int(row["start"]),
        split=Split(row["split"]) if split is Split.TRAIN else split,
    )


def _piece_of(region: Region, pieces: Sequence[Piece]) -> Piece:
    for piece in pieces:
        if piece.chrom == region.chrom and piece.start0 <= region.start0 < piece.end0:
            return piece
    raise ValueError(f"no sequence for the region {region.chrom}:{region.start0}")


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
