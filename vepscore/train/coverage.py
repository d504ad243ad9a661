"""Coverage tracks as training data: functional coverage in 32 bp bins over regions of the genome.

The track table names the transforms that baskerville applied to the coverage; they are undone on reading.

Coordinates are 0-based and half-open. Axes: R regions, L bins, T tracks.
"""

import csv
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from vepscore.genome.text_file import ENCODING
from vepscore.outputs import Output, Tracks
from vepscore.train.labels import make_tracks
from vepscore.train.segments import Interval

BIN_BP = 32
COARSE_BP = 128  # bin width at which log coverage is compared
_OUTPUT_OF_ASSAY = {"CAGE": Output.CAGE, "DNASE": Output.DNASE, "RNA": Output.RNA_SEQ, "RNA3": Output.RNA_SEQ}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackRegion:
    """An interval with measured coverage."""

    chrom: str
    start0: int
    end0: int
    is_test: bool  # in the table's test split, or on a test chromosome
    in_test_split: bool  # in the table's test split

    @property
    def interval(self) -> Interval:
        """Chromosome, start and end."""
        return self.chrom, self.start0, self.end0


class TrackData:
    """The measured regions and the tracks.

    Args:
        signal: `.npz` with transformed `signal` (R, L, T); `.regions.tsv` and `.tracks.tsv` are read from beside it.
        test: chromosomes whose regions are test regions, in addition to the table's test split.
    """

    def __init__(self, signal: Path, test: Collection[str]) -> None:
        table = _read_table(signal.with_suffix(".tracks.tsv"))
        rows = _read_table(signal.with_suffix(".regions.tsv"))
        self.regions = [
            TrackRegion(
                chrom=row["chrom"],
                start0=int(row["start"]),
                end0=int(row["end"]),
                is_test=row["split"] == "test" or row["chrom"] in test,
                in_test_split=row["split"] == "test",
            )
            for row in rows
        ]
        with np.load(signal) as arrays:
            # float32 (R, L, T), summed over each bin
            self.coverage = undo_transforms(arrays["signal"], table)
        self.strand_pair = np.array([int(row["strand_pair"]) for row in table])
        self.nonzero_mean = self._nonzero_mean()
        self.log_spread = self._log_spread()
        self.columns = _columns(table)
        self.tracks = {output: self._tracks(table, output) for output in self.columns}

    def align(self, chrom: str, start0: int, width_bp: int) -> int:
        """Return the last start at or before `start0` that aligns a window to the bins of a region it overlaps."""
        for region in self._overlapping(chrom, start0, start0 + width_bp):
            return start0 - (start0 - region.start0) % BIN_BP
        return start0

    def window(
        self, chrom: str, start0: int, width_bp: int, *, reverse: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the coverage of a window, or of its reverse complement.

        Returns:
            float32 (L, T), summed over each bin, 0 if not measured; and bool (L,), whether it was measured.
        """
        bins = width_bp // BIN_BP
        coverage = np.zeros((bins, self.coverage.shape[2]), np.float32)
        measured = np.zeros(bins, bool)
        for region in self._overlapping(chrom, start0, start0 + width_bp):
            shift, phase = divmod(start0 - region.start0, BIN_BP)
            if phase == 0:
                of_region = self.coverage[self.regions.index(region)]
                first, last = max(shift, 0), min(shift + bins, len(of_region))
                coverage[first - shift : last - shift] = of_region[first:last]
                measured[first - shift : last - shift] = True
        return (coverage[::-1, self.strand_pair], measured[::-1]) if reverse else (coverage, measured)

    def _overlapping(self, chrom: str, start0: int, end0: int) -> list[TrackRegion]:
        return [r for r in self.regions if r.chrom == chrom and r.start0 < end0 and start0 < r.end0]

    def _nonzero_mean(self) -> np.ndarray:
        """Return float32 (T,): mean coverage per bp over the non-zero bins of the training regions."""
        coverage = self.coverage[[not region.is_test for region in self.regions]]
        nonzero_bins = np.maximum((coverage != 0).sum(axis=(0, 1)), 1)
        return (coverage.sum(axis=(0, 1), dtype=np.float64) / nonzero_bins / BIN_BP).astype(np.float32)

    def _log_spread(self) -> np.ndarray:
        """Return float32 (T,): standard deviation of log(1 + coverage) in COARSE_BP bins of the training regions."""
        coverage = self.coverage[[not region.is_test for region in self.regions]]
        tracks = coverage.shape[-1]
        coarse = coverage.reshape(-1, COARSE_BP // BIN_BP, tracks).sum(axis=1, dtype=np.float64)
        spread = np.log1p(coarse).std(axis=0)
        return np.where(spread > 0, spread, 1).astype(np.float32)

    def _tracks(self, table: list[dict[str, str]], output: Output) -> Tracks:
        columns = self.columns[output]
        keys = {"name": "name", "strand": "strand", "biosample_name": "biosample", "assay": "assay"}
        texts = {name: [table[c][key] for c in columns] for name, key in keys.items()}
        return make_tracks(output, self.nonzero_mean[columns], **texts)


def undo_transforms(signal: np.ndarray, table: Sequence[dict[str, str]]) -> np.ndarray:
    """Return coverage summed over each bin, float32 (R, L, T), from the values that baskerville stored.

    Baskerville multiplied the coverage of each base by `scale`; pooled each bin, by `mean` to the mean or by `sum_sqrt`
    to sqrt(1 + sum) - 1; compressed values above `clip_soft` c to c - 1 + sqrt(value - c + 1); and rounded to 0.01.
    All but the rounding is undone, in reverse order.

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


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding=ENCODING) as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
