"""Targets that a teacher predicts, for both strands and for windows cut into shorter ones; the loss of log coverage."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vepscore.genome.windows import reverse_complement
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.loop import Training, _target_function
from vepscore.train.objective import Objective, Targets
from vepscore.train.recipe import read_recipe
from vepscore.train.schedule import Sampling, Schedule, Stage, Weights
from vepscore.train.training_data import TrainingData

WINDOW_BP = 4096
OTHER_STRAND = [2, 3, 0, 1]  # of splice-site classes


@pytest.fixture(scope="module")
def objective(data: TrainingData) -> Objective:
    return Objective(weights=Weights(log_coverage=0.5), coverage=data.tracks)


@pytest.fixture(scope="module")
def network(folder: Path, data: TrainingData) -> AlphaGenome:
    heads = {output: len(table.channel) for output, table in data.tables.items()}
    heads[Output.SPLICE_SITES] += 1
    heads[Output.CONTACT_MAPS] = 1
    sizes = dataclasses.replace(read_recipe(folder / "recipe.toml").network, heads=heads)
    network = AlphaGenome(sizes, rngs=nnx.Rngs(0))
    network.eval()
    return network


def predict_targets(
    objective: Objective, network: AlphaGenome, batch: dict[str, jax.Array], part_bp: int | None = None
) -> Targets:
    return nnx.jit(lambda network, batch: objective.predict_targets(network, batch, part_bp))(network, batch)


@pytest.fixture(scope="module")
def batch(data: TrainingData) -> dict[str, jax.Array]:
    """Windows around splice sites."""
    rng = np.random.default_rng(0)
    batch = data.windows([]).sample(rng, Sampling(sites=1.0), WINDOW_BP, 2)
    assert (batch["sites"] >= 0).any(axis=(0, 2)).all() and batch["fractions"].any()
    return {name: jnp.asarray(value) for name, value in batch.items()}


@pytest.mark.slow
def test_targets_of_both_strands_agree(
    objective: Objective, network: AlphaGenome, batch: dict[str, jax.Array]
) -> None:
    codes = np.stack([reverse_complement(window) for window in np.asarray(batch["codes"])])
    sites = batch["sites"][:, jnp.array(OTHER_STRAND)]
    mirrored = batch | {"codes": codes, "sites": jnp.where(sites < 0, sites, WINDOW_BP - 1 - sites)}
    one, other = predict_targets(objective, network, batch), predict_targets(objective, network, mirrored)
    back = (
        other.sites[:, ::-1][..., jnp.array([*OTHER_STRAND, 4])],
        other.usage[:, ::-1, ::-1],
        other.junctions[..., ::-1, :],
        other.coverage[:, ::-1][..., jnp.array([1, 0, 2])],  # CAGE of both strands, and DNase
        other.contacts[:, ::-1, ::-1],
    )
    for found, expected in zip(one, back, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)
    alone = nnx.jit(objective.predict)(network, batch)
    for found, single in zip(one, alone, strict=True):
        assert np.abs(np.asarray(found - single)).max() > 1e-3 * np.abs(np.asarray(single)).max()


@pytest.mark.slow
def test_targets_of_windows_cut_into_shorter_ones_are_those_of_each_alone(
    objective: Objective, network: AlphaGenome, batch: dict[str, jax.Array]
) -> None:
    whole = predict_targets(objective, network, batch, WINDOW_BP // 2)
    parts = predict_targets(objective, network, {"codes": batch["codes"].reshape(4, -1)})
    for name in ("sites", "usage", "coverage"):
        found, expected = getattr(whole, name), getattr(parts, name)
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-7)
    junctions, sites = np.asarray(objective.read_labels(batch).junctions), np.asarray(batch["sites"])
    for window, donor, acceptor, strand, _ in np.argwhere(junctions > 0):
        rows = [(2 * strand, donor), (2 * strand + 1, acceptor)]
        both = np.prod([whole.sites[window, sites[window, row, k], row] for row, k in rows])
        place = window, donor, acceptor, strand, 0
        np.testing.assert_allclose(whole.junctions[place], junctions[place] * both, rtol=1e-5)
    assert ((np.asarray(whole.junctions) > 0) == (junctions > 0)).all() and junctions.any()


@pytest.mark.slow
@pytest.mark.parametrize("measured", [False, True])
def test_a_measured_stage_takes_only_coverage_from_the_labels(
    objective: Objective, network: AlphaGenome, data: TrainingData, measured: bool
) -> None:
    stage = Stage(steps=1, window_bp=WINDOW_BP, windows=2, measured=measured)
    training = Training(
        network=network.config,
        schedule=Schedule(stages=(stage,), peak_rate=0.1),
        objective=objective,
        windows=data.windows([]),
        seed=0,
        teachers=[network],
    )
    rng = np.random.default_rng(1)
    batch = training.windows.sample(rng, Sampling(sites=0, regions=1), WINDOW_BP, 2)
    made = _target_function(training)(rng, batch, stage)
    predicted = predict_targets(
        objective, network, {name: jnp.asarray(value) for name, value in batch.items()}
    )
    np.testing.assert_allclose(made.targets.sites, predicted.sites, rtol=1e-5)
    coverage, counted = (batch["coverage"], batch["measured"]) if measured else (predicted.coverage, np.True_)
    np.testing.assert_allclose(made.targets.coverage, coverage, rtol=1e-5)
    assert (np.asarray(made.measured) == counted).all() and batch["measured"].any()


@pytest.mark.slow
def test_the_loss_of_log_coverage_is_the_squared_error_at_both_resolutions(
    objective: Objective, network: AlphaGenome, data: TrainingData
) -> None:
    region = data.tracks.regions[0]
    codes = data.segments[0].window(region.start0, WINDOW_BP)
    coverage, measured = data.tracks.window(region.chrom, region.start0, WINDOW_BP)
    measured[:6] = False  # a bin of 128 bp and a half
    splice = data.splice_on([region.chrom]).window(0, region.start0, WINDOW_BP)
    batch = splice._asdict() | {
        "codes": codes[None],
        "coverage": coverage[None],
        "measured": measured[None],
    }
    targets = objective.read_labels(batch)
    losses = nnx.jit(lambda network: objective.losses(network, batch, targets, batch["measured"]))
    found = losses(network)
    predicted = nnx.jit(objective.predict)(network, {"codes": batch["codes"]}).coverage[0]
    dnase = np.asarray(predicted)[:, 2].reshape(-1, 4).sum(axis=1)
    head = network.heads["DNASE"]
    embeddings = nnx.jit(
        lambda network: network(one_hot(batch["codes"], jnp.float32), 0, rotary_dtype=jnp.float32)
    )
    coarse = np.asarray(head(embeddings(network).bp128, jnp.int32(0), resolution_bp=128))[0, :, 0]
    target = np.log1p(coverage[:, 2].reshape(-1, 4).sum(axis=1))
    errors = [((np.log1p(each) - target) / data.tracks.log_spread[2])[2:] ** 2 for each in (dnase, coarse)]
    assert float(found["DNASE_log"]) == pytest.approx(np.mean(errors), rel=1e-4)
    without = {name: value for name, value in found.items() if not name.endswith("_log")}
    counted = float(objective.total(found)) - float(objective.total(without))
    assert counted == pytest.approx(0.5 * float(found["DNASE_log"] + found["CAGE_log"]), rel=1e-3)
