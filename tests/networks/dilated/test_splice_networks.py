"""The dilated families against the same layers in numpy."""

from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from tests.networks.dilated import plain
from tests.networks.dilated.small import (
    MARGIN_BP,
    OPENSPLICEAI,
    PANGOLIN,
    SPLICEAI,
    arrays_of,
    encode,
    random_codes,
    randomize,
)
from vepscore.networks.dilated.dilated_config import PangolinConfig, SpliceAIConfig
from vepscore.networks.dilated.splice_networks import DilatedNetwork, Pangolin, SpliceAI
from vepscore.outputs import Output
from vepscore.schema import parse

WIDTH_BP = 2 * MARGIN_BP + 41


def plain_logits(network: DilatedNetwork, dna: np.ndarray) -> np.ndarray:
    """Return the logits of every network at the predicted positions of a sequence: (networks, positions, classes)."""
    arrays, config = arrays_of(network), network.config
    logits = [
        plain.classify(
            arrays,
            index,
            plain.embed(arrays, index, dna, dilations=config.dilations, negative_slope=config.negative_slope),
        )
        for index in range(config.networks)
    ]
    return np.stack(logits)[:, MARGIN_BP:-MARGIN_BP]


@pytest.mark.parametrize("config", [SPLICEAI, OPENSPLICEAI], ids=["relu", "leaky_relu"])
def test_spliceai_averages_the_probabilities_of_its_networks_on_both_strands(config: SpliceAIConfig) -> None:
    network = randomize(SpliceAI(config, rngs=nnx.Rngs(0)))
    dna = encode(random_codes(WIDTH_BP))
    predicted = network.predict(Output.SPLICE_SITES, network.embed(dna[None], 0)[0], 0)
    plus = plain.softmax(plain_logits(network, np.asarray(dna))).mean(axis=0)
    minus = plain.softmax(plain_logits(network, plain.reverse_complement(np.asarray(dna)))).mean(axis=0)[::-1]
    expected = np.stack([plus[:, 2], plus[:, 1], minus[:, 2], minus[:, 1]], axis=-1)
    assert predicted.shape == (41, 4)
    np.testing.assert_allclose(predicted, expected, atol=2e-5)
    assert np.ptp(expected, axis=0).min() > 0.05  # the comparison means something


def test_pangolin_averages_replicates_by_strand_quantity_and_tissue() -> None:
    network = randomize(Pangolin(PANGOLIN, rngs=nnx.Rngs(0)))
    dna = encode(random_codes(WIDTH_BP))
    predicted = network.predict(Output.SPLICE_SITE_USAGE, network.embed(dna[None], 0)[0], 0)
    strands = [
        plain_logits(network, np.asarray(dna)),
        plain_logits(network, plain.reverse_complement(np.asarray(dna)))[:, ::-1],
    ]
    averages = [
        (1 / (1 + np.exp(-logits[first : first + 2, :, 0]))).mean(axis=0)
        for logits in strands
        for first in (0, 2, 4, 6)
    ]
    assert predicted.shape == (41, 8)
    np.testing.assert_allclose(predicted, np.stack(averages, axis=-1), atol=2e-5)


def test_one_strand_is_half_of_the_embedding_of_both() -> None:
    network = randomize(SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)))
    dna = encode(random_codes(WIDTH_BP))[None]
    both = jax.jit(network.embed)(dna)
    minus = jax.jit(partial(network.embed, strands="-"))(dna)
    np.testing.assert_allclose(minus, both[..., both.shape[-1] // 2 :], atol=1e-5)
    predicted = network.predict(Output.SPLICE_SITES, minus)
    np.testing.assert_allclose(predicted, network.predict(Output.SPLICE_SITES, both)[..., 2:], atol=1e-6)


def test_predicts_chosen_tracks_in_the_given_order() -> None:
    network = randomize(SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)))
    x = jax.random.normal(jax.random.key(0), (7, 2 * 2 * 5))
    chosen = network.with_tracks({Output.SPLICE_SITES: np.array([3, 0])})
    expected = network.predict(Output.SPLICE_SITES, x)[..., [3, 0]]
    np.testing.assert_array_equal(chosen.predict(Output.SPLICE_SITES, x), expected)


def test_published_networks_read_5000_bp_on_either_side() -> None:
    assert SpliceAIConfig().margin_bp == PangolinConfig().margin_bp == 5_000
    assert PangolinConfig().networks == 12
    assert PangolinConfig(quantities=2).heads == {Output.SPLICE_SITE_USAGE: 16}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"widths": [10] * 16}, "odd"),
        ({"widths": [11] * 15, "dilations": [1] * 15}, "multiple of 4"),
        ({"dilations": [1] * 4}, "one for each"),
        ({"replicates": 1000}, "from 1 to 64"),
        ({"negative_slope": 2.0}, "not above 1"),
    ],
)
def test_impossible_sizes_are_refused(fields: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(SpliceAIConfig, fields)
