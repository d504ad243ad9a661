"""Training data of the track task: functional coverage in 32 bp bins over regions of the genome.

The table that comes with the coverage names the transforms that baskerville applied; reading undoes them.
Coordinates are 0-based and half-open. Axes: R regions, L bins, T tracks.
"""

import csv
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from vepscore.genome.text_file import ENCODING
from vepscore.outputs import Output, Tracks
from vepscore.train.segments import Interval

BIN_BP = 32
COARSE_BP = 128  # of the bins in which logarithms are compared
_OUTPUT_OF_ASSAY = {"CAGE": Output.CAGE, "DNASE": Output.DNASE, "RNA": Output.RNA_SEQ, "RNA3": Output.RNA_SEQ}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackRegion:
    """A stretch whose coverage was measured."""

    chrom: str
    start0: int
    end0: int
    is_test: bool  # by the table, or by its chromosome
    in_test_split: bool  # by the table

    @property
    def interval(self) -> Interval:
        """Where it is."""
        return self.chrom, self.start0, self.end0


class TrackData:
    """The measured regions and the tracks.

    Args:
        signal: `.npz` with `signal` (R, L, T), transformed; `.regions.tsv` and `.tracks.tsv` stand beside it.
        test: chromosomes whose regions are for testing, besides those that the table says are.
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
            self.coverage = undo_transforms(
                arrays["signal"], table
            )  # float32 (R, L, T), summed over each bin
        self.strand_pair = np.array([int(row["strand_pair"]) for row in table])
        self.nonzero_mean = self._nonzero_mean()
        self.log_spread = self._log_spread()
        self.columns = _columns(table)
        self.tracks = {output: self._tracks(table, output) for output in self.columns}

    def align(self, chrom: str, start0: int, width_bp: int) -> int:
        """The last start at or before `start0` from which a window's bins are those of a region that it touches."""
        for region in self._touched(chrom, start0, start0 + width_bp):
            return start0 - (start0 - region.start0) % BIN_BP
        return start0

    def window(
        self, chrom: str, start0: int, width_bp: int, *, reverse: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The coverage of a window, or of its reverse complement.

        Returns:
            float32 (L, T), summed over each bin, 0 where not measured; and bool (L,), whether it was measured.
        """
        bins = width_bp // BIN_BP
        coverage = np.zeros((bins, self.coverage.shape[2]), np.float32)
        measured = np.zeros(bins, bool)
        for region in self._touched(chrom, start0, start0 + width_bp):
            shift, phase = divmod(start0 - region.start0, BIN_BP)
            if phase == 0:
                of_region = self.coverage[self.regions.index(region)]
                first, last = max(shift, 0), min(shift + bins, len(of_region))
                coverage[first - shift : last - shift] = of_region[first:last]
                measured[first - shift : last - shift] = True
        return (coverage[::-1, self.strand_pair], measured[::-1]) if reverse else (coverage, measured)

    def _touched(self, chrom: str, start0: int, end0: int) -> list[TrackRegion]:
        return [r for r in self.regions if r.chrom == chrom and r.start0 < end0 and start0 < r.end0]

    def _nonzero_mean(self) -> np.ndarray:
        """float32 (T,): mean coverage per bp over the non-zero bins of the regions that are not for testing."""
        coverage = self.coverage[[not region.is_test for region in self.regions]]
        nonzero_bins = np.maximum((coverage != 0).sum(axis=(0, 1)), 1)
        return (coverage.sum(axis=(0, 1), dtype=np.float64) / nonzero_bins / BIN_BP).astype(np.float32)

    def _log_spread(self) -> np.ndarray:
        """float32 (T,): standard deviation of log(1 + coverage) of COARSE_BP over the same regions."""
        coverage = self.coverage[[not region.is_test for region in self.regions]]
        tracks = coverage.shape[-1]
        coarse = coverage.reshape(-1, COARSE_BP // BIN_BP, tracks).sum(axis=1, dtype=np.float64)
        spread = np.log1p(coarse).std(axis=0)
        return np.where(spread > 0, spread, 1).astype(np.float32)

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


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding=ENCODING) as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
