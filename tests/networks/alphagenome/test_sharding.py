"""The tower sharded over simulated devices. XLA reads their number at its start, so this file is also a program."""

import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AbstractMesh

from tests.networks.alphagenome.tiny import CONFIG
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.sharding import POSITIONS, position_mesh, run_tower_sharded
from vepscore.networks.alphagenome.tower import TransformerTower

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROUNDING = 2e-5  # of float32, in standard deviations of what is compared
PAIR_BINS = {"one block": 8, "several blocks": 64}
CASES = list(itertools.product(PAIR_BINS, (2, 4, 8), ("float32", "bfloat16")))
LARGE_PAIR_BINS = 512  # 1 Mb

Report = dict[str, Any]


@pytest.fixture(scope="module")
def report() -> Report:
    """Return the measurements of `main`, by label."""
    quickly_compiled = "--xla_backend_optimization_level=0"
    flags = f"--xla_force_host_platform_device_count=8 {quickly_compiled}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.networks.alphagenome.test_sharding"],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "devices", "rotary"), CASES)
def test_sharded_tower_equals_the_unsharded_one(
    report: Report, window: str, devices: int, rotary: str
) -> None:
    assert max(report[f"{window} {devices} {rotary}"]["errors"]) < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("window", PAIR_BINS)
def test_the_rotary_dtype_is_more_than_rounding(report: Report, window: str) -> None:
    assert report[f"{window} rotary"]["difference"] > 10 * ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize(("window", "devices", "rotary"), CASES)
def test_each_device_holds_its_rows(report: Report, window: str, devices: int, rotary: str) -> None:
    trunk, pair = report[f"{window} {devices} {rotary}"]["held"]
    rows, columns = PAIR_BINS[window] // devices, PAIR_BINS[window]
    assert trunk == devices * [[2, 16 * rows, CONFIG.trunk_channels]]
    assert pair == devices * [[2, rows, columns, CONFIG.pair_channels]]


@pytest.mark.slow
def test_no_device_holds_a_whole_pair_representation(report: Report) -> None:
    one, eight = report["memory"]["1"], report["memory"]["8"]
    assert eight < one / 6
    assert eight < report["memory"]["pair"] < one


@pytest.mark.parametrize(("pair_bins", "devices"), [(8, 3), (8, 16), (33, 2)])
def test_devices_that_do_not_divide_the_window_are_an_error(pair_bins: int, devices: int) -> None:
    tower = nnx.eval_shape(lambda: TransformerTower(CONFIG, rngs=nnx.Rngs(0)))
    x = jnp.zeros((1, 16 * pair_bins, CONFIG.trunk_channels))
    mesh = AbstractMesh((devices,), (POSITIONS,))
    with pytest.raises(ValueError, match=f"a window of {2048 * pair_bins:,} bp .* over {devices} devices"):
        run_tower_sharded(tower, x, rotary_dtype=jnp.float32, mesh=mesh)


def main() -> None:
    """Measure on eight devices and print a `Report` as JSON."""
    report: Report = {"memory": measure_memory()}
    tower = random_tower(dataclasses.replace(CONFIG, tower_layers=3))  # with a second update of the pairs
    graph, state = nnx.split(tower)
    whole = {}
    for window, devices, rotary in CASES:
        x = random_trunk(PAIR_BINS[window])
        if (window, rotary) not in whole:
            whole[window, rotary] = jax.jit(tower_runner(graph, rotary))(state, x)
        found = jax.jit(tower_runner(graph, rotary, devices))(state, x)
        errors = [distance(*both) for both in zip(found, whole[window, rotary], strict=True)]
        held = [[shard.data.shape for shard in array.addressable_shards] for array in found]
        report[f"{window} {devices} {rotary}"] = {"errors": errors, "held": held}
    for window in PAIR_BINS:
        trunks = (whole[window, rotary][0] for rotary in ("bfloat16", "float32"))
        report[f"{window} rotary"] = {"difference": distance(*trunks)}
    print(json.dumps(report))


def tower_runner(graph: nnx.GraphDef, rotary: str, devices: int = 0) -> Callable[..., Any]:
    """Return the tower as a function of its state and the trunk: unsharded, or sharded over `devices`."""
    dtype = jnp.dtype(rotary)
    if not devices:
        return lambda state, x: nnx.merge(graph, state)(x, rotary_dtype=dtype)
    mesh = position_mesh(jax.devices()[:devices])
    return lambda state, x: run_tower_sharded(nnx.merge(graph, state), x, rotary_dtype=dtype, mesh=mesh)


def measure_memory() -> dict[str, int]:
    """Return the bytes of temporary memory per device for a 1 Mb window, and of its pair representation."""
    config = dataclasses.replace(CONFIG, pair_channels=128)
    graph, state = nnx.split(nnx.eval_shape(lambda: TransformerTower(config, rngs=nnx.Rngs(0))))
    x = jax.ShapeDtypeStruct((1, 16 * LARGE_PAIR_BINS, config.trunk_channels), jnp.float32)
    memory = {"pair": 4 * LARGE_PAIR_BINS**2 * config.pair_channels}
    for devices in (0, 8):
        compiled = jax.jit(tower_runner(graph, "float32", devices)).lower(state, x).compile()
        memory[str(devices or 1)] = compiled.memory_analysis().temp_size_in_bytes
    return memory


def random_tower(config: ModelConfig) -> TransformerTower:
    """Return a tower with noise on every array, so that no zero bias hides a mistake."""
    rng = np.random.default_rng(0)
    tower = nnx.eval_shape(lambda: TransformerTower(config, rngs=nnx.Rngs(0)))
    leaves = []
    for path, leaf in nnx.to_flat_state(nnx.state(tower)):
        centre = np.float32(path[-1] in ("scale", "variance"))
        noise = 0.2 * rng.standard_normal(leaf.shape, np.float32)
        leaves.append((path, leaf.replace(jnp.asarray(centre + noise))))
    nnx.update(tower, nnx.from_flat_state(leaves))
    return tower


def random_trunk(pair_bins: int) -> np.ndarray:
    shape = (2, 16 * pair_bins, CONFIG.trunk_channels)
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def distance(found: jax.Array, expected: jax.Array) -> float:
    """Return the largest difference, in standard deviations of the expected values."""
    expected = np.asarray(expected)
    return float(np.abs(np.asarray(found) - expected).max() / expected.std())


if __name__ == "__main__":
    main()
