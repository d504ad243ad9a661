"""Metrics of a checkpoint and their intervals, against scikit-learn, NumPy and an explicit bootstrap."""

import evaluate_held_out
import numpy as np
import pytest
from sklearn.metrics import average_precision_score


@pytest.fixture
def rng() -> np.random.Generator:
    """Start each test from the same seed."""
    return np.random.default_rng(0)


def ranked(
    rng: np.random.Generator, sites: int = 300, count: int = 20_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, score and block; the truth scores higher, but not always."""
    truth = np.zeros(count, bool)
    truth[rng.choice(count, sites, replace=False)] = True
    return truth, rng.normal(2.0 * truth, 1.0), np.arange(count) // 500


def test_site_metrics_equal_those_of_scikit_learn(rng: np.random.Generator) -> None:
    truth, score, block = ranked(rng)
    found = evaluate_held_out._rank(truth, score, block)
    assert found["sites"] == 300
    assert found["auprc"] == pytest.approx(average_precision_score(truth, score), abs=1e-4)
    assert found["top_k"] == pytest.approx(truth[np.argsort(-score)[:300]].mean(), abs=1e-4)


def test_the_interval_equals_that_of_an_explicit_block_bootstrap(rng: np.random.Generator) -> None:
    truth, score, block = ranked(rng)
    values = []
    for _ in range(400):
        drawn = rng.integers(0, 40, 40)
        rows = np.concatenate([np.flatnonzero(block == each) for each in drawn])
        values.append(average_precision_score(truth[rows], score[rows]))
    low, high = evaluate_held_out._rank(truth, score, block)["interval"]
    assert low == pytest.approx(np.percentile(values, 2.5), abs=0.015)
    assert high == pytest.approx(np.percentile(values, 97.5), abs=0.015)


def test_negatives_excluded_from_resamples_hardly_matter(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, score, block = ranked(rng)
    whole = evaluate_held_out._rank(truth, score, block)
    monkeypatch.setattr(evaluate_held_out, "_RANKED", 10_000)
    part = evaluate_held_out._rank(truth, score, block)
    assert part["auprc"] == whole["auprc"]
    assert part["interval"] == pytest.approx(whole["interval"], abs=0.002)


def test_sites_of_one_kind_are_those_of_counted_nucleotides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_held_out, "BLOCK_BP", 3)
    site_class = np.array([4, 1, 4, 0, 4, 3])
    probability = np.arange(24).reshape(6, 4) / 24
    counted = np.array([[1, 0], [1, 1], [1, 1], [0, 0], [0, 1], [1, 1]], bool)
    truth, score, block = evaluate_held_out._of_kind("acceptor", site_class, probability, counted)
    assert truth.tolist() == [0, 1, 0, 0, 0, 0, 0, 1]  # the plus strand, then the minus strand
    assert (24 * score).round().astype(int).tolist() == [1, 5, 9, 21, 7, 11, 19, 23]
    assert block.tolist() == [0, 0, 0, 1, 0, 0, 1, 1]


def test_correlations_of_resampled_regions_equal_those_of_numpy(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 40, 3))
    y = x + rng.normal(size=x.shape)
    draws = np.array([[1.0, 1, 1, 1, 1], [2, 0, 0, 3, 0]])
    found = evaluate_held_out._mean_correlations(x, y, draws)
    for value, rows in zip(found, ([0, 1, 2, 3, 4], [0, 0, 3, 3, 3]), strict=True):
        tracks = [np.corrcoef(x[rows, :, t].ravel(), y[rows, :, t].ravel())[0, 1] for t in range(3)]
        assert value == pytest.approx(np.mean(tracks))


def before_t(codes: np.ndarray) -> np.ndarray:
    """Predict a plus-strand donor at each G before T, and nothing else."""
    sites = np.zeros((*codes.shape, 5), np.float32)
    sites[..., 4] = 1
    sites[(codes == 2) & (np.roll(codes, -1, axis=1) == 3)] = [1, 0, 0, 0, 0]
    return sites


def test_the_mean_of_strands_has_sites_of_both() -> None:
    codes = np.array([[0, 2, 3, 0, 0, 0], [0, 0, 0, 0, 1, 0]], np.uint8)  # AC is GT of the other strand
    plus, minus = evaluate_held_out.mean_of_strands(before_t)(codes)
    np.testing.assert_array_equal(plus[1], [0.5, 0, 0, 0, 0.5])
    np.testing.assert_array_equal(minus[4], [0, 0, 0.5, 0, 0.5])
    rest = np.delete(plus, 1, axis=0), np.delete(minus, 4, axis=0)
    assert all((each == [0, 0, 0, 0, 1]).all() for each in rest)


@pytest.mark.parametrize(
    ("window", "length", "expected"),
    [
        (1_048_576, 2_648_800, 1_048_576),
        (1_048_576, 633_236, 524_288),
        (131_072, 131_072, 131_072),
        (131_072, 131_071, 65_536),
        (16_384, 1_000, 2_048),
        (6_144, 5_000, 6_144),  # half of it is no window
    ],
)
def test_short_segments_are_read_in_windows_that_they_fill(window: int, length: int, expected: int) -> None:
    assert evaluate_held_out._fitting(window, length) == expected
