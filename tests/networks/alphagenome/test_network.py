"""Test the shapes, dtypes and repeatability of the network, and how far a substitution reaches."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, WINDOW_BP, embed, random_codes, tiny_network
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output


def test_shapes(embeddings: Embeddings) -> None:
    assert embeddings.bp1.shape == (1, WINDOW_BP, 16)
    assert embeddings.bp128.shape == (1, WINDOW_BP // 128, 112)
    assert embeddings.pair.shape == (1, WINDOW_BP // 2048, WINDOW_BP // 2048, 8)


def test_a_window_need_only_be_a_multiple_of_a_pair_bin(network: AlphaGenome) -> None:
    width_bp = 33 * 2048
    shapes = nnx.eval_shape(
        lambda network: network(jnp.zeros((1, width_bp, 4)), jnp.int32(0), rotary_dtype=jnp.dtype("float32")),
        network,
    )
    assert shapes.pair.shape == (1, 33, 33, 8)


def test_each_output_reads_its_embedding(embeddings: Embeddings) -> None:
    assert embeddings.of(Output.RNA_SEQ) is embeddings.bp1
    assert embeddings.of(Output.CHIP_HISTONE) is embeddings.bp128
    assert embeddings.of(Output.CONTACT_MAPS) is embeddings.pair


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_hot_writes_n_as_zeros(dtype: str) -> None:
    rows = one_hot(jnp.array([0, 1, 2, 3, 4, 255], jnp.uint8), jnp.dtype(dtype))
    assert rows.dtype == dtype
    assert rows.tolist() == [*np.eye(4).tolist(), [0] * 4, [0] * 4]


def test_same_bytes_twice(network: AlphaGenome, codes: np.ndarray, embeddings: Embeddings) -> None:
    for a, b in zip(embeddings, embed(network, codes), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_windows_of_a_batch_do_not_touch_each_other(
    network: AlphaGenome, codes: np.ndarray, embeddings: Embeddings
) -> None:
    beside = embed(network, codes, beside=random_codes(seed=1))
    for a, b in zip(embeddings, beside, strict=True):
        assert np.array_equal(a, b)


def test_organism_changes_every_embedding(
    network: AlphaGenome, codes: np.ndarray, embeddings: Embeddings
) -> None:
    for human, mouse in zip(embeddings, embed(network, codes, organism=1), strict=True):
        assert not np.allclose(human, mouse, atol=1e-2)


def test_pair_embedding_is_symmetric(embeddings: Embeddings) -> None:
    assert np.allclose(embeddings.pair, np.swapaxes(embeddings.pair, 1, 2), atol=1e-5)


@pytest.mark.parametrize("pos0", [0, 7_000, 8_191, WINDOW_BP - 1])
def test_a_substitution_changes_few_positions_before_the_tower(
    encode: Callable[[np.ndarray], list[np.ndarray]], pos0: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (1, WINDOW_BP), np.uint8)
    changed = codes.copy()
    changed[0, pos0] = (codes[0, pos0] + 1) % 4
    for level, (before, after) in enumerate(zip(encode(codes), encode(changed), strict=True)):
        differs = np.flatnonzero((before != after).any(axis=(0, 2)))
        bin_ = pos0 >> level
        assert bin_ in differs
        assert np.abs(differs - bin_).max() <= 9
        assert len(differs) <= (10 if level == 7 else 19)


@pytest.fixture(scope="module")
def encode(network: AlphaGenome) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Encode codes (B, S): the skips at 1, 2, 4 … 64 bp, then the trunk at 128 bp."""
    graph, state = nnx.split(network.encoder)
    run = jax.jit(lambda state, codes: nnx.merge(graph, state)(one_hot(codes, jnp.float32)))

    def encode(codes: np.ndarray) -> list[np.ndarray]:
        trunk, skips = run(state, codes)
        return [np.asarray(x) for x in (*skips, trunk)]

    return encode


def test_runs_in_bfloat16(codes: np.ndarray, embeddings: Embeddings) -> None:
    network = tiny_network()
    parameters = nnx.state(network, nnx.Param)
    nnx.update(network, jax.tree.map(lambda x: jnp.asarray(np.asarray(x, jnp.bfloat16)), parameters))
    for exact, rounded in zip(embeddings, embed(network, codes), strict=True):
        assert rounded.dtype == jnp.bfloat16
        rounded = np.asarray(rounded, np.float32).ravel()
        assert np.corrcoef(np.asarray(exact).ravel(), rounded)[0, 1] > 0.99


def test_heads_are_as_configured(network: AlphaGenome) -> None:
    assert set(network.heads) == {str(output) for output in CONFIG.heads}
