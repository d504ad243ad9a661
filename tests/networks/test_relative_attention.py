"""Attention computes its formula, in blocks of queries, by features or by keys of distances."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vepscore.networks import relative_attention
from vepscore.networks.relative_attention import RelativeAttention, TransformerSizes, read_diagonals

CHANNELS, HEADS, KEY, VALUE = 6, 2, 3, 4


def describe(distances: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(distances * 0.1 * k) for k in range(1, 9)], axis=-1).astype(np.float32)


def make_attention(features: int) -> RelativeAttention:
    """Return a layer whose features are the first ones of `describe`, with random parameters."""
    sizes = TransformerSizes(
        channels=CHANNELS,
        heads=HEADS,
        key_channels=KEY,
        value_channels=VALUE,
        features=features,
        describe=lambda distances: describe(distances)[..., :features],
        epsilon=1e-3,
    )
    layer = RelativeAttention(sizes, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(1)
    for bias in (layer.content_bias, layer.position_bias):
        bias[...] = jnp.asarray(rng.normal(size=bias.shape), jnp.float32)
    return layer


def plain_attention(layer: RelativeAttention, x: np.ndarray) -> np.ndarray:
    """Return what the formula in the class says, for one window, in float64."""
    bins = np.arange(len(x))

    def per_head(weight: nnx.Linear, of: np.ndarray) -> np.ndarray:
        return (of @ np.asarray(weight.kernel[...], np.float64)).reshape(*of.shape[:-1], HEADS, -1)

    query = per_head(layer.query, x) / np.sqrt(KEY)
    position = per_head(layer.position, layer.sizes.describe(bins - bins[:, None]))
    logits = np.einsum("ihc,jhc->hij", query + np.asarray(layer.content_bias[...]), per_head(layer.key, x))
    logits += np.einsum("ihc,ijhc->hij", query + np.asarray(layer.position_bias[...]), position)
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    attended = np.einsum("hij,jhc->ihc", weights, per_head(layer.value, x)).reshape(len(x), -1)
    return attended @ np.asarray(layer.out.kernel[...], np.float64) + np.asarray(layer.out.bias[...])


@pytest.mark.parametrize("features", [2, 8])
@pytest.mark.parametrize("block", [512, 5, 1])  # with 5, the last block has two queries
def test_attention_is_its_formula(features: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relative_attention, "_BLOCK_QUERIES", block)
    layer = make_attention(features)
    x = np.random.default_rng(3).normal(size=(2, 12, CHANNELS)).astype(np.float32)
    found = layer(jnp.asarray(x))
    for window, of_window in zip(x, found, strict=True):
        np.testing.assert_allclose(of_window, plain_attention(layer, window), rtol=1e-4, atol=1e-5)


def test_read_diagonals() -> None:
    x = np.arange(2 * 3 * 7).reshape(2, 3, 7)
    found = read_diagonals(jnp.asarray(x, jnp.float32))
    expected = [[[x[b, i, 2 + j - i] for j in range(5)] for i in range(3)] for b in range(2)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(read_diagonals(jnp.asarray(x[:, :1], jnp.float32)), x[:, :1])
