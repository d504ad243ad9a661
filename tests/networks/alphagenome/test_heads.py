"""Test the predictions of each head by hand, and the choice of splice sites."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG
from vepscore.engine.signal_reading import choose_sites
from vepscore.networks.alphagenome.heads import JunctionHead, TrackHead, TrackMean, create_head
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output

HUMAN, MOUSE = jnp.int32(0), jnp.int32(1)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(np.asarray(x, np.float64)))


@pytest.mark.parametrize(
    ("output", "bp", "scaled", "expected"),
    [
        (Output.ATAC, 1, 4.0, 4.0 * 3),
        (Output.ATAC, 1, 10.0, 10.0 * 3),
        (Output.ATAC, 1, 30.0, 40.0 * 3),
        (Output.ATAC, 128, 4.0, 4.0 * 3 * 128),
        (Output.CHIP_TF, 128, 30.0, 40.0 * 3 * 128),
        (Output.RNA_SEQ, 1, 8.0, 16.0 * 3),
        (Output.RNA_SEQ, 128, 30.0, 40.0 ** (4 / 3) * 3 * 128),
    ],
)
def test_unscaling_by_hand(output: Output, bp: int, scaled: float, expected: float) -> None:
    head = nnx.eval_shape(lambda: TrackHead(CONFIG, output, rngs=nnx.Rngs(0)))
    head.means = TrackMean(jnp.full((2, CONFIG.heads[output]), 7.0).at[1].set(3.0))
    x = jnp.full((2, CONFIG.heads[output]), scaled)
    assert np.allclose(head.unscale(x, MOUSE, resolution_bp=bp), expected, rtol=1e-5)


def test_scaled_prediction_by_hand(network: AlphaGenome, embeddings: Embeddings) -> None:
    head, x = network.heads[Output.ATAC], np.asarray(embeddings.bp128[0])
    layer = head.resolutions["128"]
    linear = x @ np.asarray(layer.linear.weight[1]) + np.asarray(layer.linear.bias[1])
    expected = softplus(linear) * softplus(layer.learnt_scale[1])
    assert np.allclose(head.scaled(jnp.asarray(x), MOUSE, resolution_bp=128), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "output", [output for output in CONFIG.heads if output is not Output.SPLICE_JUNCTIONS]
)
def test_heads_are_pointwise_and_float32(
    network: AlphaGenome, embeddings: Embeddings, output: Output
) -> None:
    x = embeddings.of(output)[0]
    whole, part = network.predict(output, x, HUMAN), network.predict(output, x[3:5], HUMAN)
    assert whole.dtype == jnp.float32
    assert whole.shape == (*x.shape[:-1], CONFIG.heads[output])
    assert np.allclose(whole[3:5], part, rtol=1e-4, atol=1e-6)
    assert not np.allclose(whole, network.predict(output, x, MOUSE))


def test_splice_site_classes_are_probabilities(network: AlphaGenome, embeddings: Embeddings) -> None:
    probabilities = network.heads[Output.SPLICE_SITES](embeddings.bp1[0], HUMAN)
    assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


def test_usage_is_a_sigmoid_rounded_to_float16(network: AlphaGenome, embeddings: Embeddings) -> None:
    head, x = network.heads[Output.SPLICE_SITE_USAGE], embeddings.bp1[0, :500]
    usage, logits = np.asarray(head(x, HUMAN)), np.asarray(head.linear(x, HUMAN))
    assert np.array_equal(usage, usage.astype(np.float16).astype(np.float32))
    assert np.allclose(usage, 1 / (1 + np.exp(-logits)), atol=5e-4)


def test_contact_maps_are_linear_and_symmetric(network: AlphaGenome, embeddings: Embeddings) -> None:
    head = network.heads[Output.CONTACT_MAPS]
    contacts = head(embeddings.pair[0], HUMAN)
    assert np.array_equal(contacts, head.linear(embeddings.pair[0], HUMAN))
    assert np.allclose(contacts, np.swapaxes(contacts, 0, 1), atol=1e-5)


SITES = np.array([[100, 9000, -1], [250, 8000, 16_000], [-1, -1, -1], [40, -1, -1]], np.int32)


def junctions(network: AlphaGenome, embeddings: Embeddings) -> np.ndarray:
    head = network.heads[Output.SPLICE_JUNCTIONS]
    return np.asarray(head(embeddings.bp1[0, SITES], jnp.asarray(SITES), MOUSE))


def test_junctions_of_padding_are_zero_and_others_are_not(
    network: AlphaGenome, embeddings: Embeddings
) -> None:
    counts = junctions(network, embeddings)
    assert counts.shape == (3, 3, 2, CONFIG.heads[Output.SPLICE_JUNCTIONS])
    assert (counts[:2, :, 0] > 0).all()
    assert (counts[2, :, 0] == 0).all() and (counts[:, :, 1] == 0).all()


def test_junction_count_by_hand(network: AlphaGenome, embeddings: Embeddings) -> None:
    head = network.head(Output.SPLICE_JUNCTIONS, JunctionHead)

    def embed(row: int, position: int) -> np.ndarray:
        hidden = np.asarray(head.linear(embeddings.bp1[0, position], MOUSE))
        scale, offset = np.asarray(head.tissue_embeddings[row][1])
        x = scale * hidden + offset
        spread = np.arange(4) + np.geomspace(1, 2**20 - 4 + 1, 4)
        return (x[:, ::2] + 1j * x[:, 1::2]) * np.exp(1j * position / spread)

    donor, acceptor = embed(0, 9000), embed(1, 250)
    expected = softplus((donor * acceptor.conj()).real.sum(axis=-1))
    assert np.allclose(junctions(network, embeddings)[1, 0, 0], expected, rtol=2e-2)


def choose(probabilities: list[list[float]], positions: list[int], **options: float) -> list[list[int]]:
    """Choose from `probabilities` by class, then position; of four classes, those not given are empty."""
    rows = probabilities + [[0.0] * len(positions)] * (5 - len(probabilities))
    options = {"count": 3, "threshold": 0.1} | options
    return choose_sites(jnp.array(rows).T, jnp.array(positions, jnp.int32), **options).tolist()


EMPTY = [-1, -1, -1]


def test_sites_are_those_above_the_threshold_in_ascending_order() -> None:
    sites = choose([[0.2, 0.0, 0.9, 0.05], [0.0, 0.5, 0.0, 0.0]], [70, 30, 10, 50])
    assert sites == [[10, 70, -1], [30, -1, -1], EMPTY, EMPTY]


def test_the_most_probable_sites_stay() -> None:
    assert choose([[0.2, 0.3, 0.9, 0.5, 0.4]], [1, 2, 3, 4, 5])[0] == [3, 4, 5]


def test_the_threshold_itself_is_a_site() -> None:
    assert choose([[0.25, 0.24999]], [4, 7], threshold=0.25)[0] == [4, -1, -1]


def test_fewer_positions_than_sites_are_padded() -> None:
    assert choose([[0.5, 0.6]], [8, 0])[0] == [0, 8, -1]


def test_the_class_of_no_site_is_not_read() -> None:
    assert choose([[0.0]] * 4 + [[1.0]], [5]) == [EMPTY] * 4


def test_sites_are_int32() -> None:
    assert choose_sites(jnp.ones((4, 4)), jnp.arange(4), count=2, threshold=0.1).dtype == jnp.int32


@pytest.mark.parametrize("output", CONFIG.heads)
def test_every_head_has_its_channels(output: Output) -> None:
    head = nnx.eval_shape(lambda: create_head(CONFIG, output, rngs=nnx.Rngs(0)))
    shapes = [leaf.shape for _, leaf in nnx.to_flat_state(nnx.state(head, nnx.Param))]
    assert any(CONFIG.heads[output] in shape for shape in shapes)
