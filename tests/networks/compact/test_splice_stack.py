"""The stack and its heads: the same at any place, and on both strands."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import create_random
from tests.networks.compact.compact_objects import REACH_BP, STACK, random_codes
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.compact.compact_config import CompactConfig, SpliceStackConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.outputs import Output
from vepscore.schema import parse

SPLICING_ALONE = CompactConfig(splicing=STACK, tracks=ModelConfig(organisms=1))
WIDTH_BP = 1_024


@pytest.fixture(scope="module")
def network() -> CompactNetwork:
    return create_random(lambda: CompactNetwork(SPLICING_ALONE, rngs=nnx.Rngs(0)))


def embed(network: CompactNetwork, codes: np.ndarray) -> jax.Array:
    """Return the embeddings of one window."""
    return _compiled(network)(one_hot(codes, jnp.float32)[None])[0]


@functools.cache
def _compiled(network: CompactNetwork) -> jax.stages.Wrapped:
    return jax.jit(lambda dna: network.embed(dna, 0).splicing)


def sites_of(network: CompactNetwork, codes: np.ndarray) -> np.ndarray:
    """Return the probability of each class at each position of a window."""
    return np.asarray(network.predict(Output.SPLICE_SITES, embed(network, codes), 0))


def convolve_plainly(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dilation: int) -> np.ndarray:
    """Convolve x (positions, channels), which loses (width - 1) · dilation positions."""
    size = len(x) - (len(kernel) - 1) * dilation
    taps = [x[tap * dilation :][:size] @ weights for tap, weights in enumerate(kernel)]
    return np.sum(taps, axis=0) + bias


def embed_plainly(network: CompactNetwork, dna: np.ndarray) -> np.ndarray:
    """Return the embedding of one strand, in numpy."""
    stack = network.stack
    assert stack is not None
    weights = [np.asarray(array[...]) for array in (stack.stem.kernel, stack.stem.bias)]
    x = convolve_plainly(dna, *weights, dilation=1)
    skipped = [x]
    for group, dilation in zip(stack.groups, STACK.dilations, strict=True):
        (block,) = group.blocks
        y = np.maximum(x * np.asarray(block.affine.scale[...]) + np.asarray(block.affine.offset[...]), 0)
        y = convolve_plainly(y, *_weights(block.first), dilation=dilation)
        y = convolve_plainly(np.maximum(y, 0), *_weights(block.second), dilation=dilation)
        margin = (len(x) - len(y)) // 2
        x = x[margin : margin + len(y)] + y
        skipped.append(x @ np.asarray(group.skip.kernel[...]))
    size = len(x)
    total = np.sum([each[(len(each) - size) // 2 :][:size] for each in skipped], axis=0)
    return np.maximum(total, 0)


def _weights(conv: nnx.Module) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(conv.kernel[...]), np.asarray(conv.bias[...])


def test_each_strand_is_embedded_as_plain_layers_embed_it(network: CompactNetwork) -> None:
    dna = np.pad(np.eye(4, dtype=np.float32)[random_codes(WIDTH_BP)], ((REACH_BP, REACH_BP), (0, 0)))
    found = np.asarray(embed(network, random_codes(WIDTH_BP)))
    expected = np.concatenate(
        [embed_plainly(network, dna), embed_plainly(network, dna[::-1, ::-1])[::-1]], axis=-1
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.std(expected) > 0.1


def test_sites_do_not_depend_on_where_the_window_lies_or_ends(network: CompactNetwork) -> None:
    codes = random_codes(WIDTH_BP + 512)
    whole = sites_of(network, codes)
    for shift in (1, 2, 5, 63, 64, 127):
        part = sites_of(network, codes[shift : shift + WIDTH_BP])
        inside = slice(REACH_BP, WIDTH_BP - REACH_BP)
        expected = whole[shift : shift + WIDTH_BP]
        np.testing.assert_allclose(part[inside], expected[inside], atol=1e-6)
        assert np.abs(part - expected).max() > 1e-3  # nearer to the ends they differ


def test_reverse_complement_has_the_mirrored_predictions(network: CompactNetwork) -> None:
    codes = random_codes(WIDTH_BP)
    codes[:40] = 4
    mirrored = np.where(codes < 4, 3 - codes, codes)[::-1].astype(np.uint8)
    found, expected = (embed(network, each) for each in (mirrored, codes))
    for output, other in ((Output.SPLICE_SITES, [2, 3, 0, 1]), (Output.SPLICE_SITE_USAGE, [1, 0])):
        predicted = [np.asarray(network.predict(output, x, 0)) for x in (found, expected)]
        np.testing.assert_array_equal(predicted[0], predicted[1][::-1, other])
        assert np.ptp(predicted[0]) > 0.1
    sites = np.array([[300, 500], [400, -1], [350, 600], [200, 700]], np.int32)
    seen = np.where(sites >= 0, WIDTH_BP - 1 - sites, -1)[[2, 3, 0, 1]]
    counts = np.asarray(network.count_junctions(expected[sites], jnp.asarray(sites), 0))
    turned = np.asarray(network.count_junctions(found[seen], jnp.asarray(seen), 0))
    np.testing.assert_array_equal(turned, counts[:, :, ::-1])
    assert counts[0, 0].min() > 0 and not counts[:, 1, 0].any()


def test_junctions_depend_on_the_distance_of_their_sites_alone(network: CompactNetwork) -> None:
    x = jax.random.normal(jax.random.key(0), (4, 2, 2 * STACK.channels))
    sites = jnp.array([[300, 900], [500, 950], [350, 600], [200, 700]], jnp.int32)
    counts = network.count_junctions(x, sites, 0)
    np.testing.assert_array_equal(network.count_junctions(x, sites + 900_001, 0), counts)
    assert np.abs(network.count_junctions(x, sites.at[1].add(7), 0) - counts).max() > 1e-4


def test_ratio_of_junctions_of_two_alleles_is_that_of_their_sites(network: CompactNetwork) -> None:
    sites = jnp.array([[300, 310, 320], [400, 900, 9000], [800, 900, 9000], [100, 110, 120]], jnp.int32)
    reference = jax.random.normal(jax.random.key(0), (4, 3, 2 * STACK.channels))
    alternate = reference.at[::2, 1].multiply(-1)  # another donor 1 on both strands
    ratios = np.asarray(
        network.count_junctions(alternate, sites, 0) / network.count_junctions(reference, sites, 0)
    )
    np.testing.assert_array_equal(ratios[[0, 2]], 1)
    np.testing.assert_allclose(ratios[1], np.broadcast_to(ratios[1, :1], ratios[1].shape), rtol=1e-5)
    assert np.abs(np.log(ratios[1])).min() > 0.01


def test_acceptor_before_the_donor_has_no_junction(network: CompactNetwork) -> None:
    x = jax.random.normal(jax.random.key(0), (4, 2, 2 * STACK.channels))
    sites = jnp.array([[300, 900], [300, 950], [300, 900], [300, 800]], jnp.int32)
    counts = np.asarray(network.count_junctions(x, sites, 0)).any(axis=-1)
    np.testing.assert_array_equal(counts[..., 0], [[False, True], [False, True]])
    np.testing.assert_array_equal(counts[..., 1], [[False, False], [True, True]])


def test_junctions_of_deleted_bases_are_the_weakest(network: CompactNetwork) -> None:
    sites = jnp.tile(jnp.array([[300], [500], [500], [300]], jnp.int32), 50)
    x = jax.random.normal(jax.random.key(0), (4, 50, 2 * STACK.channels))
    counts = np.asarray(network.count_junctions(x.at[::2, 0].set(0), sites, 0))  # without the first donor
    assert np.all(counts[:1] < counts[1:])


def test_usage_and_junctions_vanish_where_there_is_no_site(network: CompactNetwork) -> None:
    x = jax.random.normal(jax.random.key(0), (4, 2, 2 * STACK.channels))
    positions = jnp.array([[300, 310], [500, 510], [500, 510], [300, 310]], jnp.int32)
    sites = np.asarray(network.predict(Output.SPLICE_SITES, x, 0))
    usage = np.asarray(network.predict(Output.SPLICE_SITE_USAGE, x, 0))
    by_strand = sites.reshape(4, 2, 2, 2).sum(axis=-1)
    assert (usage < by_strand).all() and np.ptp(usage / by_strand) > 0.1
    without = nnx.clone(network)
    assert without.splice_heads is not None
    bias = without.splice_heads.sites.linear.bias
    bias[...] = bias[...].at[:, 0].add(20)
    assert np.asarray(without.predict(Output.SPLICE_SITE_USAGE, x, 0)).max() < 1e-6
    ratios = without.count_junctions(x, positions, 0) / network.count_junctions(
        jnp.zeros_like(x), positions, 0
    )
    real = np.asarray(network.count_junctions(x, positions, 0)) > 0
    np.testing.assert_allclose(np.asarray(ratios)[real], 1, rtol=1e-3)


def test_counts_junctions_of_chosen_tissues_in_the_given_order(network: CompactNetwork) -> None:
    sites = jnp.array([[300, 900], [500, 950], [350, 600], [200, 700]], jnp.int32)
    x = jax.random.normal(jax.random.key(0), (4, 2, 2 * STACK.channels))
    chosen = network.with_tracks({Output.SPLICE_JUNCTIONS: np.array([3, 0])})
    counts = network.count_junctions(x, sites, 0)
    np.testing.assert_allclose(chosen.count_junctions(x, sites, 0), counts[..., [3, 0]], rtol=1e-6)
    assert np.ptp(counts[0, 0, 0]) > 1e-4


def test_predicts_chosen_tracks_in_the_given_order(network: CompactNetwork) -> None:
    x = jax.random.normal(jax.random.key(0), (7, 2 * STACK.channels))
    chosen = network.with_tracks({Output.SPLICE_SITES: np.array([3, 0])})
    expected = network.predict(Output.SPLICE_SITES, x, 0)[..., [3, 0]]
    np.testing.assert_array_equal(chosen.predict(Output.SPLICE_SITES, x, 0), expected)


def test_reach_is_what_the_blocks_read() -> None:
    assert STACK.reach_bp == REACH_BP
    assert SpliceStackConfig().reach_bp == 4 + 8 * (4 + 16 + 64 + 3 * 64 + 2 * 128)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"splicing": {"widths": [8] * 17}}, "odd"),
        ({"splicing": {"stem_width": 4}}, "stem_width: found 4, expected an odd number"),
        ({"splicing": {"dilations": [1]}}, "one for each of 17"),
        ({"splicing": {"channels": 0}}, "from 1 to 65536"),
        ({"organisms": 2}, "from 1 to 1"),
        ({"tracks": {"organisms": 2}}, "tracks.organisms: found 2, expected 1"),
        (
            {"tracks": {"organisms": 1, "heads": {"SPLICE_SITES": 5}}},
            'found "SPLICE_SITES", expected no splicing',
        ),
    ],
)
def test_impossible_sizes_are_refused(fields: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(CompactConfig, fields)
