"""The losses of splice sites, beside plain sums; and the network of one strand, beside that of both."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import create_random
from tests.networks.compact.compact_objects import STACK, random_codes
from vepscore.genome.windows import reverse_complement
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.compact.compact_config import CompactConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.outputs import Output
from vepscore.train.splicing.splice_losses import change_loss, distillation_loss, site_probabilities
from vepscore.train.splicing.stack_training import SiteNetwork

WIDTH_BP = 40


def probabilities(rng: np.random.Generator) -> np.ndarray:
    """Return probabilities of no site, acceptor and donor, (1, P, 3)."""
    return rng.dirichlet((9, 1, 1), (1, WIDTH_BP)).astype(np.float32)


def as_sites(classes: np.ndarray) -> np.ndarray:
    return classes[..., [2, 1]]


def test_distillation_loss_is_the_divergence_per_expected_site() -> None:
    rng = np.random.default_rng(0)
    target, logits = probabilities(rng), rng.normal(size=(1, WIDTH_BP, 3)).astype(np.float32)
    valid = np.arange(WIDTH_BP)[None] < 30
    predicted = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = (target * np.log(target / predicted)).sum(axis=-1)[valid].sum()
    expected /= as_sites(target)[valid].sum() + 1
    found = distillation_loss(jnp.asarray(logits), jnp.asarray(as_sites(target)), jnp.asarray(valid))
    assert float(found) == pytest.approx(expected, rel=1e-4)
    best = distillation_loss(jnp.log(target), jnp.asarray(as_sites(target)), jnp.asarray(valid))
    assert float(best) == pytest.approx(0, abs=1e-5)


def test_change_loss_compares_differences_at_aligned_positions() -> None:
    rng = np.random.default_rng(1)
    student, teacher = ([as_sites(probabilities(rng)) for _ in range(2)] for _ in range(2))
    source = np.r_[np.arange(10), -1, -1, np.arange(12, WIDTH_BP)][None].astype(np.int32)
    valid = np.arange(WIDTH_BP)[None] != 3
    expected = 0.0
    for after, before in enumerate(source[0]):
        if before >= 0 and valid[0, before]:
            for kind in (0, 1):
                changes = [one[1][0, after, kind] - one[0][0, before, kind] for one in (student, teacher)]
                expected += (changes[0] - changes[1]) ** 2
    expected /= teacher[0][valid].sum() + 1
    arrays = [(jnp.asarray(before), jnp.asarray(after)) for before, after in (student, teacher)]
    found = change_loss(arrays[0], arrays[1], jnp.asarray(source), jnp.asarray(valid))
    assert float(found) == pytest.approx(expected, rel=1e-4)
    # An offset of the student that both sequences share does not count.
    offset = arrays[0][0] + 0.1, arrays[0][1] + 0.1
    assert float(change_loss(offset, arrays[1], jnp.asarray(source), jnp.asarray(valid))) == pytest.approx(
        expected, rel=1e-3
    )


def test_trained_network_predicts_a_strand_as_the_whole_network_does() -> None:
    config = CompactConfig(splicing=STACK, tracks=ModelConfig(organisms=1))
    network = create_random(lambda: CompactNetwork(config, rngs=nnx.Rngs(0)))
    assert network.stack is not None and network.splice_heads is not None
    of_strand = SiteNetwork(network.stack, network.splice_heads.sites)
    codes = random_codes(700)
    x = network.embed(one_hot(codes[None], jnp.float32), 0).splicing
    assert x is not None
    whole = network.predict(Output.SPLICE_SITES, x, 0)[0]
    inside = slice(network.stack.reach_bp, 700 - network.stack.reach_bp)
    plus = site_probabilities(of_strand(jnp.asarray(codes[None])))[0]
    minus = site_probabilities(of_strand(jnp.asarray(reverse_complement(codes)[None])))[0]
    np.testing.assert_allclose(plus, whole[inside, :2], atol=1e-5)
    np.testing.assert_allclose(minus[::-1], whole[inside, 2:], atol=1e-5)
    assert np.ptp(plus, axis=0).min() > 0.05
