"""Metrics with bootstrap intervals.

A resample of N items is stored as the number of times that each item was drawn, so that the items are sorted once for
all resamples. Tied scores have the mean of their ranks. Axes: B resamples, N items, G groups of equal scores.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

LOW, HIGH = 2.5, 97.5  # percentiles of the interval
_DRAWS_AT_ONCE = 4_000_000

# Maps scores (N,), truth (N,) and draws (B, N) to values (B,), NaN if a resample has none.
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95% interval; NaN if there is none."""

    value: float
    low: float
    high: float


NO_ESTIMATE = Estimate(value=np.nan, low=np.nan, high=np.nan)


def auroc(scores: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve: how often a positive outranks a negative, ties counting one half."""
    positive, negative = _by_score(scores, draws * (truth > 0), draws * (truth <= 0))
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _divide((positive * (below + negative / 2)).sum(axis=1), pairs)


def auprc(scores: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the average precision: the sum of gained recall times precision over descending thresholds.

    It is not interpolated. It is NaN without negatives, because it would always be 1.
    """
    positive, negative = _by_score(-scores, draws * (truth > 0), draws * (truth <= 0))
    found = np.cumsum(positive, axis=1)
    precision = _divide(found, found + np.cumsum(negative, axis=1), otherwise=0.0)
    counted = found[:, -1] * (negative.sum(axis=1) > 0)
    return _divide((positive * precision).sum(axis=1), counted)


def spearman(scores: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation."""
    x, y = _midranks(scores, draws), _midranks(truth, draws)
    total = draws.sum(axis=1, keepdims=True)
    x, y = (ranks - (draws * ranks).sum(axis=1, keepdims=True) / total for ranks in (x, y))
    covariance, *variances = ((draws * a * b).sum(axis=1) for a, b in ((x, y), (x, x), (y, y)))
    return _divide(covariance, np.sqrt(variances[0] * variances[1]))


def sign_accuracy(scores: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return how often the score has the sign of the effect. Effects of 0 do not count; scores of 0 are half right."""
    right = (1 + np.sign(scores) * np.sign(truth)) / 2
    counted = draws * (truth != 0)
    return _divide((counted * right).sum(axis=1), counted.sum(axis=1))


def estimate(
    metric: Metric, scores: np.ndarray, truth: np.ndarray, classes: np.ndarray, *, resamples: int, seed: int
) -> Estimate:
    """Return a metric with the percentile interval of a bootstrap within classes.

    The draws depend only on the classes, `resamples` and `seed`, so that predictors are compared on the same draws.

    Args:
        metric: one of this module.
        scores: (N,), without NaN; may be infinite.
        truth: (N,).
        classes: (N,) integers; each resample has as many items of each class as the data.
        resamples: number of bootstrap resamples.
        seed: of the random number generator.
    """
    value = float(metric(scores, truth, np.ones((1, len(scores))))[0]) if len(scores) else np.nan
    if np.isnan(value):
        return NO_ESTIMATE
    values = np.concatenate([metric(scores, truth, draws) for draws in _resample(classes, resamples, seed)])
    low, high = np.nanpercentile(values, [LOW, HIGH]) if np.any(~np.isnan(values)) else (np.nan, np.nan)
    return Estimate(value=value, low=float(low), high=float(high))


def estimate_difference(
    metric: Metric,
    scores: np.ndarray,
    base: np.ndarray,
    truth: np.ndarray,
    classes: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """Return the metric of `scores` minus that of `base`, with the percentile interval of a paired bootstrap.

    Each resample draws the same items for both; they are the resamples of `estimate`.
    """

    def difference(_: np.ndarray, truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
        return metric(scores, truth, draws) - metric(base, truth, draws)

    return estimate(difference, scores, truth, classes, resamples=resamples, seed=seed)


def _resample(classes: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield float64 (B, N), how often each item was drawn, for some resamples at a time."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    step = max(1, _DRAWS_AT_ONCE // len(classes))
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        draws = np.zeros((rows, len(classes)))
        for items in members:
            count = len(items)
            drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
            draws[:, items] = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield draws


def _by_score(scores: np.ndarray, *weights: np.ndarray) -> list[np.ndarray]:
    """Sum each of the weights (B, N) over items of equal scores: (B, G), from the lowest score."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return [np.add.reduceat(weight[:, order], starts, axis=1) for weight in weights]


def _midranks(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return (B, N): the mean rank of each item's value among the items drawn."""
    (groups,) = _by_score(values, draws)
    ranks = np.cumsum(groups, axis=1) - groups + (groups + 1) / 2
    return ranks[:, np.unique(values, return_inverse=True)[1]]


def _divide(x: np.ndarray, y: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Return x / y, and `otherwise` where y is 0."""
    return np.divide(x, y, out=np.full(np.broadcast_shapes(x.shape, y.shape), otherwise), where=y != 0)
