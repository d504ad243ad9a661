"""A small network equals that of enformer-pytorch, some of whose predictions are kept here."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.enformer.enformer_cases import (
    SMALL_SETTINGS,
    TINY_SETTINGS,
    create_network,
    make_targets,
    published_columns,
    small_state,
    tiny_state,
)
from tests.networks.enformer.enformer_reference import input_codes
from vepscore.model.network import one_hot
from vepscore.networks.enformer.config import EnformerConfig
from vepscore.networks.enformer.family import FAMILY
from vepscore.networks.enformer.layers import AttentionPool
from vepscore.networks.enformer.network import Enformer
from vepscore.networks.enformer.positions import describe_distances
from vepscore.networks.state_dict_family import ORGANISMS
from vepscore.outputs import Output
from vepscore.schema import parse

# Written by `enformer_reference.py` with torch 2.13.0 and enformer-pytorch 0.8.12: all columns at three bins of the
# predicted part of the window. Their standard deviation over bins is 0.018 to 0.53.
BINS = [0, 700, 1471]
EXPECTED = {
    "human": [
        [0.569596, 7.056691, 0.055635, 0.073887, 0.545984],
        [0.425691, 6.234853, 0.056794, 0.020144, 0.551707],
        [0.256576, 7.646040, 0.107360, 0.028707, 0.157344],
    ],
    "mouse": [
        [2.485465, 3.016046, 1.863566],
        [2.574821, 3.328896, 0.772829],
        [2.472547, 2.938026, 1.531151],
    ],
}


embed = nnx.jit(Enformer.embed)


def window(network: Enformer, bins: int | None = None) -> jax.Array:
    """Return the DNA of one window, by default the largest."""
    width_bp = network.config.window_bp if bins is None else bins * network.config.bin_bp
    return one_hot(input_codes(width_bp)[None], network.dtype)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Enformer:
    targets = make_targets(tmp_path_factory.mktemp("targets"))
    return create_network(FAMILY.convert(tiny_state(), targets, settings=TINY_SETTINGS))


def test_equals_enformer_pytorch(tmp_path: Path) -> None:
    targets = make_targets(tmp_path)
    network = create_network(FAMILY.convert(small_state(), targets, settings=SMALL_SETTINGS))
    embeddings = embed(network, window(network), 0)[0]
    for row, organism in enumerate(ORGANISMS):
        predictions = {
            output: np.asarray(network.predict(output, embeddings[np.array(BINS)], row))
            for output in network.config.heads
        }
        found = published_columns(targets[organism], predictions)
        np.testing.assert_allclose(found, EXPECTED[organism], rtol=0, atol=1e-5)


def test_margins_are_not_predicted(tiny: Enformer) -> None:
    assert (tiny.config.bin_bp, tiny.config.window_bp, tiny.margin_bp) == (16, 192, 32)
    assert embed(tiny, window(tiny), 0).shape == (1, 8, 96)
    narrower = embed(tiny, window(tiny, bins=7), 0)
    assert narrower.shape == (1, 3, 96)
    assert narrower.dtype == tiny.dtype == jnp.float32


def test_windows_of_a_batch_are_independent(tiny: Enformer) -> None:
    one = window(tiny)
    both = embed(tiny, jnp.concatenate([one[:, ::-1], one]), 0)
    np.testing.assert_allclose(both[1:], embed(tiny, one, 0), atol=1e-5)


def test_bfloat16_predicts_float32(tiny: Enformer) -> None:
    rounded = nnx.clone(tiny)
    nnx.update(rounded, jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nnx.state(rounded, nnx.Param)))
    x = embed(rounded, window(rounded), 0)
    assert rounded.dtype == x.dtype == jnp.bfloat16
    found = rounded.predict(Output.CAGE, x, 1)
    expected = tiny.predict(Output.CAGE, embed(tiny, window(tiny), 0), 1)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_pooling_is_a_softmax_of_each_pair() -> None:
    pool = AttentionPool(3, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, 8, 3))
    weights = jax.nn.softmax((x @ pool.logits.kernel[...]).reshape(2, 4, 2, 3), axis=2)
    np.testing.assert_allclose(pool(x), (x.reshape(2, 4, 2, 3) * weights).sum(axis=2), atol=1e-6)


def test_position_features() -> None:
    features = describe_distances(EnformerConfig(), np.arange(-1535, 1536))
    assert features.shape == (3071, 192)
    unsigned, signed = features[:, :96], features[:, 96:]
    np.testing.assert_array_equal(unsigned, unsigned[::-1])
    np.testing.assert_array_equal(signed, unsigned * np.sign(np.arange(-1535, 1536))[:, None])
    exponential, mask, gamma = np.split(unsigned[1535:], 3, axis=1)
    np.testing.assert_allclose(exponential[8, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(exponential[[0, 1535], -1], [1, 2 ** (-1535 / 1536)], rtol=1e-6)
    assert [int(column.sum()) for column in mask.T[:4]] == [1, 3, 7, 15]
    np.testing.assert_array_equal(gamma.max(axis=0), 1)


def test_gamma_features_have_the_rounding_of_float32() -> None:
    # `tf_gammas.pt` of enformer-pytorch 0.8.12 at distances 100, 700 and 1400, in some of the features.
    expected = [
        [0.1034801, 0.1692266, 6.014023e-07, 6.0199e-07],
        [5.35614e-07, 5.945953e-07, 0.721329, 6.0199e-07],
        [5.35614e-07, 5.945953e-07, 6.014023e-07, 0.9394132],
    ]
    found = describe_distances(EnformerConfig(), np.array([100, 700, 1400]))[:, 64:96]
    np.testing.assert_allclose(found[:, [0, 2, 14, 28]], expected, rtol=3e-6)


def test_published_sizes() -> None:
    config = EnformerConfig()
    assert (config.window_bp, config.margin_bp, config.bin_bp) == (196_608, 40_960, 128)
    assert config.window_bins - 2 * config.crop_bins == 896
    network = nnx.eval_shape(lambda: Enformer(config, rngs=nnx.Rngs(0)))
    leaves = nnx.to_flat_state(nnx.state(network, nnx.Param))
    assert sum(leaf.size for path, leaf in leaves if path[0] != "heads") == 229_845_504  # as enformer-pytorch


def test_config_is_checked() -> None:
    values = {"tower_channels": [8, 16], "position_features": 12, "heads": {"CAGE": 3}}
    config = parse(EnformerConfig, values)
    assert (config.tower_channels, config.heads) == ((8, 16), {Output.CAGE: 3})
    with pytest.raises(ValueError, match="position_features: found 10, expected a multiple of 6"):
        parse(EnformerConfig, {"position_features": 10})
    with pytest.raises(ValueError, match=r"window_bins: found 640, expected more than 2·320"):
        parse(EnformerConfig, {"window_bins": 640})
