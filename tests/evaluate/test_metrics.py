"""Metrics against scikit-learn and scipy, and intervals against known truths."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm, spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from vepscore.evaluate import metrics
from vepscore.evaluate.metrics import Metric, auprc, auroc, estimate, sign_accuracy, spearman

LABEL_ORACLES = [(auroc, roc_auc_score), (auprc, average_precision_score)]


def once(scores: np.ndarray) -> np.ndarray:
    """Each item drawn once."""
    return np.ones((1, len(scores)))


def sample(seed: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores with ties where there are few levels."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(60) < 20).astype(float)
    return np.round(rng.normal(labels) * levels) / levels, labels


@pytest.mark.parametrize("levels", [1, 4, 10**6])
@pytest.mark.parametrize(("metric", "oracle"), LABEL_ORACLES)
def test_label_metrics_are_those_of_scikit_learn(
    metric: Metric, oracle: Callable[[np.ndarray, np.ndarray], float], levels: int
) -> None:
    for seed in range(20):
        scores, labels = sample(seed, levels)
        assert metric(scores, labels, once(scores))[0] == pytest.approx(oracle(labels, scores), abs=1e-12)


@pytest.mark.parametrize("levels", [1, 4, 10**6])
def test_spearman_is_that_of_scipy(levels: int) -> None:
    for seed in range(20):
        x, labels = sample(seed, levels)
        y = np.round(x + labels + np.random.default_rng(seed).normal(size=len(x)), 1)
        assert spearman(x, y, once(x))[0] == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("metric", [auroc, auprc, spearman, sign_accuracy])
def test_draws_stand_for_repeated_items(metric: Metric) -> None:
    scores, labels = sample(1, 3)
    truth = labels if metric in (auroc, auprc) else labels - 0.3 + 0.1 * np.round(scores)
    draws = np.random.default_rng(2).integers(0, 4, (50, len(scores))).astype(float)
    expected = []
    for row in draws.astype(int):
        repeated, repeated_truth = np.repeat(scores, row), np.repeat(truth, row)
        expected.append(metric(repeated, repeated_truth, once(repeated))[0])
    np.testing.assert_allclose(metric(scores, truth, draws), expected, atol=1e-12)


def test_sign_accuracy_by_hand() -> None:
    scores = np.array([0.1, -3.0, 2.0, 0.0, -1.0, 5.0])
    effects = np.array([2.0, -0.1, -1.0, 1.0, 0.0, 0.0])
    assert sign_accuracy(scores, effects, once(scores))[0] == pytest.approx((1 + 1 + 0 + 0.5) / 4)


def test_infinite_scores_have_their_rank() -> None:
    scores, labels = np.array([-np.inf, -3.0, -np.inf, -1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert auroc(scores, labels, once(scores))[0] == pytest.approx((0.5 + 0 + 1 + 1) / 4)


@pytest.mark.parametrize("metric", [auroc, auprc])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_value(metric: Metric, label: float) -> None:
    found = estimate(metric, np.arange(5.0), np.full(5, label), np.zeros(5, int), resamples=10, seed=0)
    assert np.isnan([found.value, found.low, found.high]).all()


@pytest.mark.parametrize("metric", [auroc, auprc, spearman, sign_accuracy])
def test_nothing_has_no_value(metric: Metric) -> None:
    nothing = np.zeros(0)
    assert np.isnan(estimate(metric, nothing, nothing, nothing.astype(int), resamples=10, seed=0).value)


def test_constant_scores_have_no_correlation() -> None:
    assert np.isnan(spearman(np.ones(4), np.arange(4.0), once(np.ones(4)))[0])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 samples with a known AUROC; an interval of 90% would cover 0.865 of them, one of 99% 0.98."""
    truth = norm.cdf(1 / np.sqrt(2))  # of normal scores one standard deviation apart
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = (np.arange(120) < 50).astype(float)
        found = estimate(auroc, rng.normal(labels), labels, labels.astype(int), resamples=300, seed=seed)
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / 200 <= 0.97


def test_interval_is_of_the_percentiles_2_5_and_97_5() -> None:
    found = estimate(
        lambda *arrays: np.arange(len(arrays[2])),
        np.zeros(3),
        np.zeros(3),
        np.zeros(3, int),
        resamples=201,
        seed=0,
    )
    assert (found.value, found.low, found.high) == pytest.approx((0, 5, 195))


def test_resamples_keep_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that counts: each class as often as there are members, also when drawn in several steps."""
    monkeypatch.setattr(metrics, "_DRAWS_AT_ONCE", 100)
    truth = (np.arange(30) < 4).astype(float)
    counts = []

    def count(scores: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
        counts.append((draws * truth).sum(axis=1))
        assert np.all(draws.sum(axis=1) == 30)
        return counts[-1]

    estimate(count, np.zeros(30), truth, truth.astype(int), resamples=50, seed=0)
    counts = np.concatenate(counts)
    assert len(counts) == 51 and np.all(counts == 4)


def test_same_seed_same_interval_and_another_seed_another() -> None:
    scores, labels = sample(5, 10**6)
    first, again, other = (
        estimate(auroc, scores, labels, labels.astype(int), resamples=100, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.value == other.value and first.low != other.low


def test_interval_is_of_the_percentiles_of_a_plain_bootstrap() -> None:
    """Against resampling by index with scikit-learn: the same distribution, so nearly the same percentiles."""
    scores, labels = sample(8, 10**6)
    found = estimate(auprc, scores, labels, labels.astype(int), resamples=4_000, seed=0)
    rng, values = np.random.default_rng(1), []
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    for _ in range(2_000):
        index = np.concatenate([rng.choice(positive, len(positive)), rng.choice(negative, len(negative))])
        values.append(average_precision_score(labels[index], scores[index]))
    np.testing.assert_allclose([found.low, found.high], np.percentile(values, [2.5, 97.5]), atol=0.02)
