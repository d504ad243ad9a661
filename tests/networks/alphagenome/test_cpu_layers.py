"""The fast convolution equals the direct one, at any length; only large convolutions are replaced."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, create_random
from vepscore.networks.alphagenome.cpu_layers import WinogradConv, use_winograd
from vepscore.networks.alphagenome.layers import StandardizedConv
from vepscore.networks.alphagenome.network import AlphaGenome


def folded_conv(in_channels: int, out_channels: int) -> StandardizedConv:
    conv = create_random(lambda: StandardizedConv(in_channels, out_channels, width=5, rngs=nnx.Rngs(0)))
    conv.fold()
    return conv


def normal(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(2).standard_normal(shape, np.float32))


@pytest.mark.parametrize(
    ("batch", "positions", "channels"),
    [
        (1, 1, (3, 5)),
        (2, 7, (16, 8)),
        (3, 20, (8, 16)),
        (1, 4096, (16, 16)),  # several chunks of 512 groups of four
        (2, 3001, (4, 8)),  # chunks that do not come out even
    ],
)
def test_equals_the_direct_convolution(batch: int, positions: int, channels: tuple[int, int]) -> None:
    conv = folded_conv(*channels)
    x = normal(batch, positions + 4, channels[0])
    expected = conv(x, padding="VALID")
    found = nnx.jit(lambda conv, x: conv(x, padding="VALID"))(WinogradConv(conv), x)
    assert found.shape == expected.shape == (batch, positions, channels[1])
    np.testing.assert_allclose(found, expected, atol=3e-5 * float(expected.std()) + 1e-6)


def test_error_is_that_of_float32() -> None:
    """Compare with float64, for a kernel with different taps, so that exchanged taps are found."""
    conv = folded_conv(64, 64)
    x = normal(1, 404, 64)
    taps, wide = np.asarray(conv.kernel[...], np.float64), np.asarray(x, np.float64)
    exact = sum(wide[0, i : i + 400] @ taps[i] for i in range(5)) + np.asarray(conv.bias[...])
    error = np.asarray(WinogradConv(conv)(x, padding="VALID"))[0] - exact
    assert np.sqrt(np.mean(error**2)) < 5e-6 * exact.std()


def test_tile_has_the_same_bytes_in_any_slot() -> None:
    """Scores must not depend on which tiles are decoded together."""
    conv = WinogradConv(folded_conv(256, 256))
    run = nnx.jit(lambda conv, x: conv(x, padding="VALID"))
    x = normal(8, 24, 256)
    expected = np.asarray(run(conv, x))
    np.testing.assert_array_equal(np.asarray(run(conv, x[::-1]))[::-1], expected)
    np.testing.assert_array_equal(np.asarray(run(conv, np.repeat(x[3:4], 8, axis=0)))[5], expected[3])


def test_only_large_convolutions_are_replaced() -> None:
    sizes = dataclasses.replace(CONFIG, channels=192, channel_step=64, tower_layers=1, heads={})
    network = create_random(lambda: AlphaGenome(sizes, rngs=nnx.Rngs(0)))
    for _, node in nnx.iter_graph(network):
        if isinstance(node, StandardizedConv):
            node.drop_scale()
    fast = use_winograd(network)
    assert isinstance(fast.encoder.embedder.block.conv, StandardizedConv)  # 192
    assert isinstance(fast.encoder.down[0].first.conv, StandardizedConv)  # 192 to 256
    assert isinstance(fast.encoder.down[0].second.conv, WinogradConv)  # 256
    assert isinstance(fast.decoder.up[0].skip.conv, nnx.Linear)
    assert isinstance(network.encoder.down[0].second.conv, StandardizedConv)
