"""The features of relative positions that the attention layers read, in bins.

The gamma densities have shapes of up to 4,096, whose logarithms are differences of numbers near 30,000, so float32
rounds them by up to 0.2%. The weights were trained with that rounding, which is reproduced here: the features are
those of TensorFlow within 1e-6.

Source: google-deepmind/deepmind-research, `enformer/attention_module.py:positional_features_all`; lucidrains/
enformer-pytorch, `precomputed/tf_gammas.pt`, in which each gamma feature is divided by its own maximum.
"""

import functools
import math

import numpy as np
from jaxtyping import Float32, Int

from vepscore.networks.enformer.config import POSITION_KINDS, EnformerConfig

_LEAST_HALF_LIFE = 3  # log2 of the first half-life, in bins
_DENSITY_FLOOR = np.float32(1e-8)
# Of x in log(1 + x) = x - x²/2 + x³·polynomial, highest power first; from Cephes, `logf`.
_LOG_COEFFICIENTS = np.array(
    [
        [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1],
        [-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1],
        [2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
    ],
    np.float32,
)


def describe_distances(
    config: EnformerConfig, distances: Int[np.ndarray, " distances"]
) -> Float32[np.ndarray, "distances features"]:
    """Return the features of distances in bins; those of the largest window's width for distances beyond it.

    The first half of the features depends on the absolute distance; the second half is the first, times its sign.
    """
    table = _describe_absolute(config.window_bins, config.position_features)
    unsigned = table[np.minimum(np.abs(distances), config.window_bins - 1)]
    sign = np.sign(distances).astype(np.float32)
    return np.concatenate([unsigned, sign[:, None] * unsigned], axis=1)


@functools.cache
def _describe_absolute(window_bins: int, features: int) -> Float32[np.ndarray, "{window_bins} {features}//2"]:
    """Return the features of the absolute distances 0, 1, …, window_bins - 1."""
    distance = np.arange(window_bins, dtype=np.float32)
    kind = features // POSITION_KINDS
    groups = (
        _exponential(distance, kind, window_bins),
        _central_mask(distance, kind),
        _gamma(distance, kind, window_bins),
    )
    return np.concatenate(groups, axis=1)


def _exponential(distance: np.ndarray, features: int, window_bins: int) -> np.ndarray:
    """Return 2^(-distance / half-life), with half-lives from 8 bins to the window's, evenly spaced in log."""
    half_life = 2 ** np.linspace(_LEAST_HALF_LIFE, math.log2(window_bins), features)
    return np.exp(-math.log(2) / half_life * distance[:, None]).astype(np.float32)


def _central_mask(distance: np.ndarray, features: int) -> np.ndarray:
    """Return whether the distance is less than 1, 3, 7, …"""
    widths = 2.0 ** np.arange(1, features + 1) - 1
    return (widths > distance[:, None]).astype(np.float32)


def _gamma(distance: np.ndarray, features: int, window_bins: int) -> np.ndarray:
    """Return gamma densities with evenly spaced means, the last of which is the window, and one deviation.

    The logarithm of the density is (shape - 1) log x - (rate x + log Γ(shape) - shape log rate).
    """
    deviation = window_bins / (2 * features)
    mean = np.linspace(window_bins / features, window_bins, features).astype(np.float32)
    shape = (mean / np.float32(deviation)) ** 2
    rate = mean / np.float32(deviation**2)
    norm = _log_gamma(shape) - shape * _log(rate)
    positive = distance[1:, None]
    log_density = (shape - 1) * _log(positive) - (rate * positive + norm)
    density = np.zeros((len(distance), features), np.float32)  # the density at 0 is 0
    density[1:] = np.exp(log_density.astype(np.float64))
    density += _DENSITY_FLOOR
    return density / density.max(axis=0)


def _log(x: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Return the logarithm as Eigen rounds it, which TensorFlow uses."""
    fraction, exponent = np.frexp(x)
    is_low = fraction < np.float32(math.sqrt(0.5))
    exponent = (exponent - is_low).astype(np.float32)
    x = np.where(is_low, 2 * fraction, fraction) - 1
    first, second, third = (np.polyval(coefficients, x) for coefficients in _LOG_COEFFICIENTS)
    square = x * x
    cube = square * x
    tail = ((first * cube + second) * cube + third) * cube
    return exponent * np.float32(math.log(2)) + (x + (np.float32(-0.5) * square + tail))


def _log_gamma(x: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Return log Γ by Stirling's series, rounded as the C library's `lgammaf` rounds it."""
    series = 0.5 * math.log(2 * math.pi) - 0.5 + 1 / (12.0 * x) - 1 / (360.0 * x**3)
    return (x - np.float32(0.5)) * (np.log(x.astype(np.float64)).astype(np.float32) - 1) + series.astype(
        np.float32
    )
