"""TSSs: labels of windows, windows that contain one, and the loss of the auxiliary head."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import create_random
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output
from vepscore.train.recipe import read_recipe
from vepscore.train.schedule import Sampling
from vepscore.train.training_data import TrainingData
from vepscore.train.tss import TssData, add_tss_head, remove_tss_head, tss_loss

FIRST_BASES = {1_000: 0, 9_319: 1, 15_000: 0}  # of the toy's transcripts, on each chromosome: strand
WIDTH_BP = 2048


@pytest.fixture(scope="module")
def tss(data: TrainingData) -> TssData:
    return TssData(data.segments, data.annotation)


def test_a_transcript_starts_at_its_first_base_on_its_strand(data: TrainingData, tss: TssData) -> None:
    expected = [[index, position] for index in range(len(data.segments)) for position in FIRST_BASES]
    assert tss.positions.tolist() == expected


@pytest.mark.parametrize(("position", "strand"), FIRST_BASES.items())
def test_the_bin_of_a_tss_is_labeled(tss: TssData, position: int, strand: int) -> None:
    start0 = position - 300
    expected = np.zeros((WIDTH_BP // 128, 2), bool)
    expected[2, strand] = True  # 300 bp lie in the third bin
    np.testing.assert_array_equal(tss.window(1, start0, WIDTH_BP), expected)
    np.testing.assert_array_equal(tss.window(1, start0, WIDTH_BP, reverse=True), expected[::-1, ::-1])
    assert not tss.window(1, position + 1, WIDTH_BP).any()


def test_windows_at_tss_contain_one_and_exclude_held_out_chromosomes(data: TrainingData) -> None:
    windows = data.windows(["chr2"])
    assert [windows.splice.segments[index].chrom for index, _ in windows._tss.positions] == ["chr1"] * 3 + [
        "chr3"
    ] * 3
    batch = windows.sample(np.random.default_rng(0), Sampling(sites=0.0, regions=0.0, tss=1.0), WIDTH_BP, 30)
    assert batch["tss"].any(axis=1).sum() == 30
    assert batch["tss"].any(axis=(0, 1)).all()


@pytest.fixture(scope="module")
def network(folder: Path) -> AlphaGenome:
    sizes = dataclasses.replace(read_recipe(folder / "recipe.toml").network, heads={Output.SPLICE_SITES: 5})
    return create_random(lambda: AlphaGenome(sizes, rngs=nnx.Rngs(0)))


def test_the_loss_is_the_cross_entropy_per_tss(network: AlphaGenome) -> None:
    channels = 2 * network.config.channels
    add_tss_head(network, seed=0)
    head = network.heads["TRANSCRIPT_STARTS"]
    rng = np.random.default_rng(1)
    bases = rng.normal(size=(2, 512, channels)).astype(np.float32)
    labels = np.zeros((2, 4, 2), bool)
    labels[0, 1, 0] = labels[1, 3, 1] = labels[1, 0, 1] = True
    valid = np.ones((2, 512), bool)
    valid[1, 5] = False  # so that the first bin and its TSS do not count
    found = tss_loss(
        network, Embeddings(bp1=jnp.asarray(bases), bp128=None, pair=None), jnp.asarray(labels), valid
    )
    bins = bases.astype(np.float64).reshape(2, 4, 128, channels).mean(axis=2)
    logits = bins @ np.asarray(head.kernel[...], np.float64) + np.asarray(head.bias[...], np.float64)
    probability = 1 / (1 + np.exp(-logits))
    entropy = -np.where(labels, np.log(probability), np.log(1 - probability))
    entropy[1, 0] = 0
    assert float(found) == pytest.approx(entropy.sum() / 2, rel=1e-4)
    remove_tss_head(network)


def test_the_head_is_gone_once_it_is_removed(network: AlphaGenome) -> None:
    before = list(network.heads)
    add_tss_head(network, seed=0)
    assert list(network.heads) != before
    remove_tss_head(network)
    remove_tss_head(network)
    assert list(network.heads) == before
