"""The features of relative positions that the attention layers read, in bins.

The gamma densities have shapes of up to 4,096, whose logarithms are differences of numbers near 30,000, so float32
rounds them by up to 0.2%. The weights were trained with that rounding. It is reproduced here: each operation is rounded
to float32, and logarithms and exponentials are computed in float64 first, so that the result is the same everywhere.

Source: google-deepmind/deepmind-research, `enformer/attention_module.py:positional_features_all`.
"""

import functools
import math

import numpy as np
from jaxtyping import Float32, Int

from vepscore.networks.enformer.config import POSITION_KINDS, EnformerConfig, GammaScale

_LEAST_HALF_LIFE = 3  # log2 of the first half-life, in bins
_DENSITY_FLOOR = np.float32(1e-8)


def describe_distances(
    config: EnformerConfig, distances: Int[np.ndarray, " distances"]
) -> Float32[np.ndarray, "distances features"]:
    """Return the features of distances in bins; those of the largest window's width for distances beyond it.

    The first half of the features depends on the absolute distance; the second half is the first, times its sign.
    """
    table = _describe_absolute(config.window_bins, config.position_features, config.gamma_scale)
    unsigned = table[np.minimum(np.abs(distances), config.window_bins - 1)]
    sign = np.sign(distances).astype(np.float32)
    return np.concatenate([unsigned, sign[:, None] * unsigned], axis=1)


@functools.cache
def _describe_absolute(
    window_bins: int, features: int, gamma_scale: GammaScale
) -> Float32[np.ndarray, "{window_bins} {features}//2"]:
    """Return the features of the absolute distances 0, 1, …, window_bins - 1."""
    distance = np.arange(window_bins, dtype=np.float32)
    kind = features // POSITION_KINDS
    groups = (
        _exponential(distance, kind, window_bins),
        _central_mask(distance, kind),
        _gamma(distance, kind, window_bins, gamma_scale),
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


def _gamma(distance: np.ndarray, features: int, window_bins: int, scale: GammaScale) -> np.ndarray:
    """Return gamma densities with evenly spaced means, the last of which is the window, and one deviation."""
    deviation = window_bins / (2 * features)
    mean = np.linspace(window_bins / features, window_bins, features).astype(np.float32)
    shape = (mean / np.float32(deviation)) ** 2
    rate = mean / np.float32(deviation**2)
    norm = np.array([math.lgamma(value) for value in shape.tolist()], np.float32) - shape * _log(rate)
    with np.errstate(divide="ignore"):  # the density at 0 is 0
        log_density = (shape - 1) * _log(distance)[:, None] - rate * distance[:, None] - norm
    density = np.exp(log_density.astype(np.float64)).astype(np.float32) + _DENSITY_FLOOR
    return density / density.max(axis=0 if scale == "distances" else 1, keepdims=True)


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(x.astype(np.float64)).astype(np.float32)
