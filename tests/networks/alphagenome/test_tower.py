"""Test attention and the pair representation of the tower against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, Normal
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.tower import (
    RowAttention,
    SequenceToPair,
    _attend,
    _position_features,
    _read_diagonals,
)


def attend_plainly(query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Attend with all logits at once, in float64."""
    logits = np.einsum("bshc,btc->bhst", query, key, dtype=np.float64) / np.sqrt(query.shape[-1])
    logits += np.moveaxis(bias, 3, 1).repeat(16, axis=2).repeat(16, axis=3)
    weights = np.exp(5 * np.tanh(logits / 5))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("bhst,btv->bshv", weights, value)


@pytest.mark.parametrize(
    ("rows", "pair_bins"),
    [(8, 8), (32, 32), (33, 33), (37, 37), (4, 8), (1, 32), (17, 34), (32, 64)],
)
def test_attention_in_blocks_equals_plain_attention(normal: Normal, rows: int, pair_bins: int) -> None:
    queries, bins = 16 * rows, 16 * pair_bins
    query, key, value = normal(2, queries, 2, 8), normal(2, bins, 8), normal(2, bins, 4)
    bias = 3 * normal(2, rows, pair_bins, 2)
    found = jax.jit(_attend)(query, key, value, bias)
    rounding = 1e-5 if jax.default_backend() == "cpu" else 2e-2
    assert np.allclose(found, attend_plainly(query, key, value, bias), atol=rounding)


@pytest.mark.parametrize("pair_bins", [8, 32])
def test_last_layer_runs_at_the_query_bins_only(normal: Normal, network: AlphaGenome, pair_bins: int) -> None:
    x, query_bins = (
        jnp.asarray(normal(2, 16 * pair_bins, CONFIG.trunk_channels)),
        np.array([3, 40, 41, 99, 127, 127]),
    )
    run = nnx.jit(lambda tower, x, query_bins: tower(x, rotary_dtype=jnp.float32, query_bins=query_bins))
    trunk, pair = run(network.tower, x, None)
    found, same_pair = run(network.tower, x, jnp.asarray(query_bins))
    np.testing.assert_array_equal(same_pair, pair)
    np.testing.assert_allclose(found, trunk[:, query_bins], atol=1e-5)
    assert float(jnp.abs(found - x[:, query_bins]).max()) > 1e-2


def test_attention_logits_are_capped(normal: Normal) -> None:
    query, key, value = normal(1, 128, 1, 8), normal(1, 128, 8), np.zeros((1, 128, 1), np.float32)
    value[0, 16:32] = 1  # the second pair bin
    bias = np.zeros((1, 8, 8, 1), np.float32)
    bias[:, :, 1] = 1e6
    found = _attend(0 * query, key, jnp.asarray(value), jnp.asarray(bias))
    share = 16 * np.exp(5) / (16 * np.exp(5) + 112)
    assert np.allclose(found, share, atol=1e-2)


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (2, 6), (1, 4)])
def test_read_diagonals_equals_a_loop(normal: Normal, rows: int, columns: int) -> None:
    x = normal(2, 3, rows, rows + columns)
    expected = np.empty((2, 3, rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            expected[:, :, i, j] = x[:, :, i, rows + j - i]
    assert np.array_equal(_read_diagonals(jnp.asarray(x)), expected)


def test_position_features_by_hand() -> None:
    bins, count = 40, 4
    features = np.asarray(_position_features(jnp.arange(-bins, bins, dtype=jnp.float32), count))
    widths = np.arange(count) + np.geomspace(1, 512 - count + 1, count, endpoint=False)
    assert features.shape == (2 * bins, 2 * count)
    for row, distance in enumerate(range(-bins, bins)):
        masks = (widths > abs(distance)).astype(np.float32)
        assert np.array_equal(features[row], [*masks, *(np.sign(distance) * masks)])


def test_relative_term_by_explicit_loop(normal: Normal, network: AlphaGenome) -> None:
    block: SequenceToPair = network.tower.pair_updates[0].from_sequence
    x = normal(1, 3 * 16, CONFIG.trunk_channels)
    pooled = block.norm(jnp.asarray(x).reshape(1, 3, 16, -1).mean(axis=2))
    query, key = (np.asarray(project(pooled)).reshape(3, 2, 4) for project in (block.query, block.key))
    position = np.asarray(block.position(_position_features(jnp.arange(-3.0, 3.0), 4))).reshape(6, 2, 4)
    dots = np.empty((3, 3, 2), np.float32)
    for q in range(3):
        for k in range(3):
            by_query = ((query[q] + block.query_bias[...]) * position[3 + k - q]).sum(axis=-1)
            by_key = ((key[k] + block.key_bias[...]) * position[3 + q - k]).sum(axis=-1)
            dots[q, k] = (query[q] * key[k]).sum(axis=-1) + 0.5 * (by_query + by_key)
    activated = jax.nn.gelu(pooled)[0]
    expected = block.pair(dots) + block.row(activated)[:, None] + block.column(activated)[None]
    assert np.allclose(block(jnp.asarray(x))[0], expected, atol=1e-4)


@pytest.mark.parametrize("bins", [8, 34])
def test_row_attention_runs_along_rows_only(normal: Normal, bins: int) -> None:
    attention = RowAttention(8, rngs=nnx.Rngs(0))
    pair = normal(1, bins, bins, 8)
    changed = pair.at[0, 3, 5].add(1)
    rows = np.abs(attention(jnp.asarray(pair)) - attention(jnp.asarray(changed))).max(axis=(0, 2, 3))
    assert np.flatnonzero(rows).tolist() == [3]


def test_pair_representation_is_updated_before_every_second_layer() -> None:
    network = nnx.eval_shape(lambda: AlphaGenome(ModelConfig(), rngs=nnx.Rngs(0)))
    assert (len(network.tower.attentions), len(network.tower.pair_updates)) == (9, 5)
