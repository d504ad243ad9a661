"""The functional tracks: transforms undone, splits, strands, batches."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vepscore.outputs import Output
from vepscore.train.data import Piece, Split, reverse_complement
from vepscore.train.tracks import TrackData, undo_transforms

TABLE = [
    {
        "name": "c+",
        "assay": "CAGE",
        "biosample": "x",
        "strand": "+",
        "strand_pair": "1",
        "sum_stat": "sum_sqrt",
    },
    {
        "name": "c-",
        "assay": "CAGE",
        "biosample": "x",
        "strand": "-",
        "strand_pair": "0",
        "sum_stat": "sum_sqrt",
    },
    {"name": "d", "assay": "DNASE", "biosample": "y", "strand": ".", "strand_pair": "2", "sum_stat": "mean"},
]
REGIONS = [("chr1", 320, "train"), ("chr2", 64, "test"), ("chr16", 64, "train"), ("chr11", 64, "train")]
BINS = 8


def apply_transforms(per_base: np.ndarray, scale: float, stat: str, clip: float) -> np.ndarray:
    """What baskerville stores, but for the rounding: from coverage per base (L * 32,) to (L,)."""
    binned = (scale * per_base).reshape(-1, 32)
    value = binned.mean(axis=1) if stat == "mean" else np.sqrt(1 + binned.sum(axis=1)) - 1
    return np.where(value > clip, clip - 1 + np.sqrt(np.maximum(value - clip + 1, 0)), value)


def write_table(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def data(tmp_path: Path) -> TrackData:
    rng = np.random.default_rng(0)
    write_table(tmp_path / "t.tracks.tsv", [row | {"scale": "0.5", "clip_soft": "16"} for row in TABLE])
    regions = [{"chrom": c, "start": s, "end": s + BINS * 32, "split": x} for c, s, x in REGIONS]
    write_table(tmp_path / "t.regions.tsv", regions)
    np.savez(tmp_path / "t.npz", signal=rng.integers(0, 9, (4, BINS, 3)).astype(np.float16))
    pieces = [Piece(chrom=c, start0=0, codes=rng.integers(0, 4, 700).astype(np.uint8)) for c, *_ in REGIONS]
    return TrackData(tmp_path / "t.npz", pieces)


@pytest.mark.parametrize("stat", ["sum_sqrt", "mean"])
@pytest.mark.parametrize("scale", [0.02, 1.0, 2.0])
def test_undoing_gives_the_summed_coverage_back(stat: str, scale: float) -> None:
    per_base = np.random.default_rng(1).gamma(0.5, 60.0, BINS * 32)
    stored = apply_transforms(per_base, scale, stat, clip=16)
    row = {"sum_stat": stat, "scale": str(scale), "clip_soft": "16"}
    undone = undo_transforms(stored[None, :, None], [row])
    np.testing.assert_allclose(undone[0, :, 0], per_base.reshape(-1, 32).sum(axis=1), rtol=1e-3)


def test_held_out_chromosomes_override_the_split_of_the_table(data: TrackData) -> None:
    assert [r.split for r in data.regions] == [Split.TRAIN, Split.TEST, Split.TEST, Split.VALID]


def test_tracks_are_grouped_by_output_with_means_of_the_training_regions(data: TrackData) -> None:
    assert data.columns[Output.CAGE].tolist() == [0, 1]
    assert data.tracks[Output.CAGE].strand.tolist() == ["+", "-"]
    training = data.coverage[0, :, 2]
    assert data.tracks[Output.DNASE].nonzero_mean[0] == pytest.approx(training[training > 0].mean() / 32)


def test_reversed_windows_swap_bins_and_strands(data: TrackData) -> None:
    batch = data.sample_tracks(np.random.default_rng(2), 16, data.region_bp)
    codes, coverage = data._pieces[0].window(320, data.region_bp), data.coverage[0]
    assert {origin.reverse for origin in batch.origins} == {True, False}
    for i, origin in enumerate(batch.origins):
        expected = coverage[::-1][:, [1, 0, 2]] if origin.reverse else coverage
        np.testing.assert_array_equal(batch.targets[i], expected)
        np.testing.assert_array_equal(batch.codes[i], reverse_complement(codes) if origin.reverse else codes)


@pytest.mark.parametrize("bins", [4, BINS, 16])
def test_windows_of_any_width_say_which_bins_were_measured(data: TrackData, bins: int) -> None:
    batch = data.sample_tracks(np.random.default_rng(3), 8, bins * 32)
    assert batch.targets.shape == (8, bins, 3)
    assert (batch.measured.sum(axis=1) == min(bins, BINS)).all()
    assert (batch.targets[~batch.measured] == 0).all()


def test_each_region_of_a_split_comes_once_in_the_middle(data: TrackData) -> None:
    (batch,) = data.region_batches(Split.TEST, 2 * data.region_bp, batch=4)
    assert [o.chrom for o in batch.origins] == ["chr2", "chr16"]
    np.testing.assert_array_equal(batch.targets[:, 4:12], data.coverage[1:3])


def test_a_region_without_sequence_is_refused(data: TrackData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sequence for the region chr1:320"):
        TrackData(tmp_path / "t.npz", [])
