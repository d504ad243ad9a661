"""Where a network sees splice sites that are none, and that training windows are drawn there."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vepscore.model.network import AlphaGenome, one_hot
from vepscore.outputs import Output
from vepscore.train.hard_negatives import HardNegatives
from vepscore.train.recipe import Sampling, read_recipe
from vepscore.train.training_data import TrainingData

WIDTH_BP = 2048
CHROM_BP = 20_480


@pytest.fixture(scope="module")
def network(folder: Path) -> AlphaGenome:
    sizes = dataclasses.replace(read_recipe(folder / "recipe.toml").network, heads={Output.SPLICE_SITES: 5})
    network = AlphaGenome(sizes, rngs=nnx.Rngs(0))
    bias = network.heads[str(Output.SPLICE_SITES)].linear.bias
    bias[...] = bias[...].at[:, -1].set(5.0)  # so that most positions are none, and a few are hard_negatives
    network.eval()
    return network


@pytest.mark.slow
def test_mistakes_are_the_positions_that_the_network_takes_for_another_class(
    data: TrainingData, network: AlphaGenome
) -> None:
    splice = data.splice_on(["chr1", "chr3"])
    hard_negatives = HardNegatives.of(network, splice)
    weights = np.diff(hard_negatives.cumulative, prepend=0)
    found = {
        tuple(place): weight for place, weight in zip(hard_negatives.places.tolist(), weights, strict=True)
    }
    assert 100 < len(found) == len(hard_negatives.places) < 2 * CHROM_BP
    for index, segment in enumerate(splice.segments):
        # The whole chromosome in one window, in place of the tiles: away from their borders the same.
        codes = jnp.asarray(segment.codes[None])
        sites = network.heads[str(Output.SPLICE_SITES)](
            network(one_hot(codes, jnp.float32), jnp.int32(0), rotary_dtype=jnp.float32).bp1, jnp.int32(0)
        )
        probability = np.array(sites[0, :, :4])
        labels = splice.labels[index]
        probability[labels.position, labels.site_class] = 0
        taken = probability.sum(axis=1)
        for at in range(4_000, 10_000):
            if abs(taken[at] - 0.02) > 0.01:
                assert ((index, at) in found) == (taken[at] > 0.02)


def test_the_surest_mistakes_are_drawn_most_often() -> None:
    hard_negatives = HardNegatives(np.array([[0, 10], [1, 20], [1, 30]]), np.cumsum([0.1, 0.7, 0.2]))
    rng = np.random.default_rng(0)
    drawn = [hard_negatives.draw(rng) for _ in range(4000)]
    for place, share in (((0, 10), 0.1), ((1, 20), 0.7), ((1, 30), 0.2)):
        assert drawn.count(place) / len(drawn) == pytest.approx(share, abs=0.03)


def test_a_share_of_the_windows_holds_a_mistake(data: TrainingData) -> None:
    windows = data.windows(["chr2"])
    sampling = Sampling(hard_negatives=0.5, sites=1.0)
    index = next(i for i, segment in enumerate(windows.splice.segments) if segment.chrom == "chr3")
    hard_negatives = HardNegatives(np.array([[index, 13_000]]), np.ones(1))  # between two genes
    place = windows.splice.segments[index].window(13_000 - 8, 17)

    def share_there(hard_negatives: HardNegatives | None) -> float:
        batch = windows.sample(np.random.default_rng(0), sampling, WIDTH_BP, 200, hard_negatives)
        either = (place.tobytes(), (3 - place[::-1]).tobytes())
        return np.mean([any(each in codes.tobytes() for each in either) for codes in batch["codes"]])

    assert share_there(hard_negatives) == pytest.approx(0.5, abs=0.08)
    none = HardNegatives(np.zeros((0, 2), np.int64), np.zeros(0))
    assert share_there(None) == share_there(none) < 0.2
