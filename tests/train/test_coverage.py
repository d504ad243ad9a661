"""Coverage tracks: inverse transforms, splits, strands and windows."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vepscore.outputs import Output
from vepscore.train.coverage import TrackData, undo_transforms

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
    """Return what baskerville stores, without rounding: coverage per base (L * 32,) to (L,)."""
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
    return TrackData(tmp_path / "t.npz", test=("chr16",))


@pytest.mark.parametrize("stat", ["sum_sqrt", "mean"])
@pytest.mark.parametrize("scale", [0.02, 1.0, 2.0])
def test_undoing_the_transforms_gives_the_summed_coverage(stat: str, scale: float) -> None:
    per_base = np.random.default_rng(1).gamma(0.5, 60.0, BINS * 32)
    stored = apply_transforms(per_base, scale, stat, clip=16)
    row = {"sum_stat": stat, "scale": str(scale), "clip_soft": "16"}
    undone = undo_transforms(stored[None, :, None], [row])
    np.testing.assert_allclose(undone[0, :, 0], per_base.reshape(-1, 32).sum(axis=1), rtol=1e-3)


def test_test_chromosomes_override_the_table(data: TrackData) -> None:
    assert [region.is_test for region in data.regions] == [False, True, True, False]
    assert [region.in_test_split for region in data.regions] == [False, True, False, False]


def test_tracks_are_grouped_by_output_with_means_of_training_regions(data: TrackData) -> None:
    assert data.columns[Output.CAGE].tolist() == [0, 1]
    assert data.tracks[Output.CAGE].strand.tolist() == ["+", "-"]
    training = data.coverage[[0, 3], :, 2]
    assert data.tracks[Output.DNASE].nonzero_mean[0] == pytest.approx(training[training > 0].mean() / 32)


def test_log_spread_is_that_of_128_bp_bins_of_training_regions(data: TrackData) -> None:
    training = data.coverage[[0, 3]].reshape(-1, 4, 3).sum(axis=1)
    np.testing.assert_allclose(data.log_spread, np.log1p(training).std(axis=0), rtol=1e-5)


def test_reversed_windows_swap_bins_and_strands(data: TrackData) -> None:
    forward, reverse = (data.window("chr1", 320, BINS * 32, reverse=reverse) for reverse in (False, True))
    np.testing.assert_array_equal(forward[0], data.coverage[0])
    np.testing.assert_array_equal(reverse[0], data.coverage[0, ::-1][:, [1, 0, 2]])
    assert forward[1].all() and reverse[1].all()


@pytest.mark.parametrize("shift", [-10, -3, 0, 2, 7, 8])
@pytest.mark.parametrize("bins", [4, BINS, 16])
def test_windows_at_any_position_mark_the_measured_bins(data: TrackData, bins: int, shift: int) -> None:
    coverage, measured = data.window("chr1", 320 + shift * 32, bins * 32)
    where = np.arange(bins) + shift
    expected = (where >= 0) & (where < BINS)
    np.testing.assert_array_equal(measured, expected)
    np.testing.assert_array_equal(coverage[expected], data.coverage[0, where[expected]])
    assert (coverage[~measured] == 0).all()


def test_windows_are_aligned_to_the_bins_of_the_region_that_they_overlap(data: TrackData) -> None:
    assert not data.window("chr2", 65, 128)[1].any()
    assert data.align("chr2", 65, 128) == 64 and data.align("chr2", 63, 128) == 32
    assert data.align("chr2", 1001, 128) == 1001 and data.align("chr9", 65, 128) == 65
