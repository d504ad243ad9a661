"""Test each layer against a computation by hand, and the folding of convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import Normal, embed, random_codes, tiny_network
from vepscore.networks.alphagenome.layers import (
    ConvBlock,
    LayerNorm,
    OrganismEmbedding,
    OrganismLinear,
    RMSBatchNorm,
    StandardizedConv,
    einsum_bfloat16,
    fold_convolutions,
    gelu,
    max_pool,
    mean_pool,
    rotate,
)


def test_gelu_is_the_sigmoid_approximation(normal: Normal) -> None:
    x = normal(100)
    assert np.allclose(gelu(x), x / (1 + np.exp(-1.702 * x)), atol=1e-6)


def test_pooling_by_hand() -> None:
    x = jnp.array([[[1.0, 8.0], [3.0, 2.0], [5.0, 4.0], [7.0, 6.0]]])
    assert max_pool(x).tolist() == [[[3.0, 8.0], [7.0, 6.0]]]
    assert mean_pool(x, 4).tolist() == [[[4.0, 5.0]]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_einsum_returns_float32(normal: Normal, dtype: str) -> None:
    a, b = jnp.asarray(normal(3, 8), dtype), jnp.asarray(normal(5, 8), dtype)
    product = einsum_bfloat16("ac,bc->ab", a, b)
    assert product.dtype == jnp.float32
    rounding = 0.0 if jax.default_backend() == "cpu" else 0.1
    expected = np.asarray(a, np.float32) @ np.asarray(b, np.float32).T
    assert np.allclose(product, expected, atol=1e-5 + rounding)


def random_norm(normal: Normal, channels: int) -> RMSBatchNorm:
    norm = RMSBatchNorm(channels)
    norm.scale[...], norm.offset[...] = normal(channels), normal(channels)
    norm.variance[...] = np.abs(normal(channels))
    return norm


def test_batch_norm_at_inference_is_pointwise_and_by_hand(normal: Normal) -> None:
    norm, x = random_norm(normal, 6), normal(2, 5, 6)
    scale, offset, variance = (np.asarray(leaf[...]) for leaf in (norm.scale, norm.offset, norm.variance))
    assert np.allclose(norm(x), x * scale / np.sqrt(variance + 1e-5) + offset, atol=1e-6)
    assert np.array_equal(norm(x[1:, 3:4]), norm(x)[1:, 3:4])
    assert np.array_equal(variance, norm.variance[...])


def test_batch_norm_in_training_measures_and_remembers(normal: Normal) -> None:
    norm, x = RMSBatchNorm(4), 3 * normal(2, 50, 4)
    norm.use_running_average = False
    mean_square = np.square(x).mean(axis=(0, 1))
    assert np.allclose(norm(x), x / np.sqrt(mean_square + 1e-5), atol=1e-5)
    assert np.allclose(norm.variance[...], 0.97 + 0.03 * mean_square, rtol=1e-5)


@pytest.mark.parametrize("centered", [True, False])
def test_layer_norm_by_hand(normal: Normal, centered: bool) -> None:
    norm, x = LayerNorm(16, centered=centered), normal(3, 16) + 2
    norm.scale[...], norm.offset[...] = normal(16), normal(16)
    shifted = x - x.mean(axis=-1, keepdims=True) if centered else x
    unit = shifted / np.sqrt(np.square(shifted).mean(axis=-1, keepdims=True) + 1e-5)
    assert np.allclose(norm(x), unit * norm.scale[...] + norm.offset[...], atol=1e-5)


def test_statistics_are_taken_in_float32(normal: Normal) -> None:
    x = jnp.asarray(normal(2, 4096) + 100, jnp.bfloat16)
    norm = LayerNorm(4096, centered=False)
    nnx.update(norm, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(norm)))
    assert norm(x).dtype == jnp.bfloat16
    assert np.abs(np.asarray(norm(x), np.float32).mean() - 1) < 0.01


def random_conv(normal: Normal, width: int = 5) -> StandardizedConv:
    conv = StandardizedConv(3, 4, width=width, rngs=nnx.Rngs(0))
    conv.kernel[...] = normal(width, 3, 4) + 1
    conv.scale[...], conv.bias[...] = normal(4), normal(4)
    return conv


def test_convolution_by_hand_with_zeros_past_the_ends(normal: Normal) -> None:
    conv, x = random_conv(normal), normal(1, 7, 3)
    kernel = np.asarray(conv.kernel[...])
    kernel = kernel - kernel.mean(axis=(0, 1))
    kernel = kernel / np.sqrt(15 * np.square(kernel).mean(axis=(0, 1))) * np.asarray(conv.scale[...])
    padded = np.pad(x[0], ((2, 2), (0, 0)))
    expected = [np.einsum("wi,wio->o", padded[i : i + 5], kernel) for i in range(7)]
    assert np.allclose(conv(x)[0], expected + np.asarray(conv.bias[...]), atol=1e-5)


def test_kernel_without_variance_is_not_blown_up(normal: Normal) -> None:
    conv = random_conv(normal)
    conv.kernel[...] = jnp.full((5, 3, 4), 0.3)
    assert np.allclose(conv(normal(1, 9, 3)), conv.bias[...], atol=1e-4)


def test_folding_changes_nothing_and_twice_is_once(normal: Normal) -> None:
    conv, x = random_conv(normal), normal(2, 20, 3)
    before = conv(x)
    for _ in range(2):
        conv.fold()
        assert np.allclose(conv(x), before, atol=1e-6)


def test_unfolding_is_the_inverse_of_folding(normal: Normal) -> None:
    conv, x = random_conv(normal), normal(2, 20, 3)
    before = conv(x)
    conv.fold()
    for _ in range(2):
        conv.unfold()
        assert not conv.folded and np.allclose(conv(x), before, atol=1e-6)
    fan_in = conv.kernel.shape[0] * conv.kernel.shape[1]
    assert np.allclose(fan_in * jnp.var(conv.kernel[...], axis=(0, 1)), 1, atol=1e-4)


def test_folding_a_network_reaches_every_convolution() -> None:
    network, codes = tiny_network(), random_codes()
    before = embed(network, codes)
    fold_convolutions(network)
    convolutions = [node for _, node in nnx.iter_graph(network) if isinstance(node, StandardizedConv)]
    assert len(convolutions) == 1 + 2 * 6 + 2 * 7
    assert all(conv.folded for conv in convolutions)
    for a, b in zip(before, embed(network, codes), strict=True):
        assert np.allclose(a, b, atol=1e-4)


def test_conv_block_of_width_one_is_pointwise(normal: Normal) -> None:
    block, x = ConvBlock(3, 4, width=1, rngs=nnx.Rngs(0)), normal(1, 6, 3)
    assert isinstance(block.conv, nnx.Linear)
    assert np.allclose(block(x)[:, 2:3], block(x[:, 2:3]), atol=1e-6)


def test_organism_linear_by_hand(normal: Normal) -> None:
    layer, x = OrganismLinear(2, 3, 4, rngs=nnx.Rngs(0)), normal(5, 3)
    layer.bias[...] = normal(2, 4)
    for organism in (0, 1):
        expected = x @ np.asarray(layer.weight[organism]) + np.asarray(layer.bias[organism])
        assert np.allclose(layer(x, jnp.int32(organism)), expected, atol=1e-5)


def test_organism_linear_accumulates_bfloat16_in_float32() -> None:
    layer = OrganismLinear(1, 4096, 1, rngs=nnx.Rngs(0))
    layer.weight[...], layer.bias[...] = jnp.ones((1, 4096, 1)), jnp.zeros((1, 1))
    nnx.update(layer, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(layer)))
    product = layer(jnp.ones((1, 4096), jnp.bfloat16), jnp.int32(0))
    assert (product.dtype, float(product[0, 0])) == (jnp.float32, 4096.0)


def test_organism_embedding_takes_its_row() -> None:
    layer = OrganismEmbedding(2, 3, rngs=nnx.Rngs(0))
    assert np.array_equal(layer(jnp.int32(1)), layer.embedding[1])


def rotate_vector(
    x: np.ndarray, position: int, table_dtype: str = "float32", max_position: int = 8192
) -> np.ndarray:
    """Rotate one vector (C,) at one position."""
    rotated = rotate(
        jnp.asarray(x)[None, None],
        jnp.array([position]),
        max_position=max_position,
        table_dtype=jnp.dtype(table_dtype),
    )
    return np.asarray(rotated[0, 0])


def test_rotary_by_hand(normal: Normal) -> None:
    x, position = normal(8), 5
    spread = np.arange(4) + np.geomspace(1, 8192 - 4 + 1, 4)
    pairs = (x[::2] + 1j * x[1::2]) * np.exp(1j * position / spread)
    assert np.allclose(rotate_vector(x, position)[::2], pairs.real, atol=1e-5)
    assert np.allclose(rotate_vector(x, position)[1::2], pairs.imag, atol=1e-5)


def test_rotary_dot_products_depend_on_the_distance_only(normal: Normal) -> None:
    a, b = normal(64), normal(64)
    assert np.isclose(
        rotate_vector(a, 40) @ rotate_vector(b, 25),
        rotate_vector(a, 1015) @ rotate_vector(b, 1000),
        atol=1e-3,
    )


def test_rotary_in_bfloat16_cannot_tell_neighbours_past_256(normal: Normal) -> None:
    x = normal(16)
    assert np.array_equal(rotate_vector(x, 256, "bfloat16"), rotate_vector(x, 257, "bfloat16"))
    assert not np.array_equal(rotate_vector(x, 255, "bfloat16"), rotate_vector(x, 256, "bfloat16"))
    assert not np.allclose(rotate_vector(x, 256), rotate_vector(x, 257), atol=1e-3)


def test_rotary_rounds_alike_compiled_and_not(normal: Normal) -> None:
    x, positions = jnp.asarray(normal(300, 1, 16)), jnp.arange(300)

    def run(x: jax.Array) -> jax.Array:
        return rotate(x, positions, max_position=8192, table_dtype=jnp.bfloat16)

    assert np.allclose(run(x), jax.jit(run)(x), atol=1e-5)
