"""Hard-negative mining: the positions found, and the windows sampled around them."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.hard_negatives import HardNegatives
from vepscore.train.recipe import read_recipe
from vepscore.train.schedule import Sampling
from vepscore.train.training_data import TrainingData

WIDTH_BP = 2048
CHROM_BP = 20_480


@pytest.fixture(scope="module")
def network(folder: Path) -> AlphaGenome:
    sizes = dataclasses.replace(read_recipe(folder / "recipe.toml").network, heads={Output.SPLICE_SITES: 5})
    network = AlphaGenome(sizes, rngs=nnx.Rngs(0))
    bias = network.heads[str(Output.SPLICE_SITES)].linear.bias
    bias[...] = (
        bias[...].at[:, -1].set(5.0)
    )  # so that most positions are no site, and a few are hard negatives
    network.eval()
    return network


@pytest.mark.slow
def test_hard_negatives_are_positions_with_wrong_predictions(
    data: TrainingData, network: AlphaGenome
) -> None:
    splice = data.splice_on(["chr1", "chr3"])
    hard_negatives = HardNegatives.mine(network, splice)
    weights = np.diff(hard_negatives.cumulative, prepend=0)
    found = {
        tuple(place): weight for place, weight in zip(hard_negatives.positions.tolist(), weights, strict=True)
    }
    assert 100 < len(found) == len(hard_negatives.positions) < 2 * CHROM_BP
    for index, segment in enumerate(splice.segments):
        # Away from the borders of tiles, one window of the whole chromosome gives the same predictions.
        codes = jnp.asarray(segment.codes[None])
        sites = network.heads[str(Output.SPLICE_SITES)](
            network(one_hot(codes, jnp.float32), jnp.int32(0), rotary_dtype=jnp.float32).bp1, jnp.int32(0)
        )
        probability = np.array(sites[0, :, :4])
        labels = splice.labels[index]
        probability[labels.position, labels.site_class] = 0
        wrong = probability.sum(axis=1)
        for at in range(4_000, 10_000):
            if abs(wrong[at] - 0.02) > 0.01:
                assert ((index, at) in found) == (wrong[at] > 0.02)


def test_confident_hard_negatives_are_drawn_most_often() -> None:
    hard_negatives = HardNegatives(np.array([[0, 10], [1, 20], [1, 30]]), np.cumsum([0.1, 0.7, 0.2]))
    rng = np.random.default_rng(0)
    drawn = [hard_negatives.draw(rng) for _ in range(4000)]
    for position, fraction in (((0, 10), 0.1), ((1, 20), 0.7), ((1, 30), 0.2)):
        assert drawn.count(position) / len(drawn) == pytest.approx(fraction, abs=0.03)


def test_a_fraction_of_the_windows_contains_a_hard_negative(data: TrainingData) -> None:
    windows = data.windows(["chr2"])
    sampling = Sampling(hard_negatives=0.5, sites=1.0)
    index = next(i for i, segment in enumerate(windows.splice.segments) if segment.chrom == "chr3")
    hard_negatives = HardNegatives(np.array([[index, 13_000]]), np.ones(1))  # between two genes
    place = windows.splice.segments[index].window(13_000 - 8, 17)

    def fraction_with(hard_negatives: HardNegatives | None) -> float:
        batch = windows.sample(np.random.default_rng(0), sampling, WIDTH_BP, 200, hard_negatives)
        either = (place.tobytes(), (3 - place[::-1]).tobytes())
        return np.mean([any(each in codes.tobytes() for each in either) for codes in batch["codes"]])

    assert fraction_with(hard_negatives) == pytest.approx(0.5, abs=0.08)
    none = HardNegatives(np.zeros((0, 2), np.int64), np.zeros(0))
    assert fraction_with(None) == fraction_with(none) < 0.2
