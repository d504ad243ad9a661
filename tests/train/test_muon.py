"""Muon: orthogonal updates of hidden kernels, whatever lies beside them, and NAdam for the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from vepscore.train.muon import create_muon
from vepscore.train.step_loop import TrainState, create_state

RATE, DECAY, STEPS = 0.01, 0.1, 4


class Layered(nnx.Module):
    """Kernels of three shapes in turns; the first and the last are no hidden ones."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.a = nnx.Linear(2, 6, rngs=rngs)
        self.b = nnx.Linear(6, 6, rngs=rngs)
        self.c = nnx.Conv(6, 6, 3, rngs=rngs)
        self.d = nnx.Linear(6, 6, rngs=rngs)
        self.e = nnx.Linear(6, 3, rngs=rngs)


def kernels(network: nnx.Module) -> dict[str, np.ndarray]:
    """Return the kernels of all layers, as matrices."""
    flat = nnx.to_flat_state(nnx.state(network, nnx.Param))
    return {
        str(path[0]): np.asarray(value[...]).reshape(-1, value.shape[-1])
        for path, value in flat
        if path[-1] == "kernel"
    }


def gradient_like(state: TrainState) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    return tuple(
        jnp.asarray(rng.normal(size=each.shape), jnp.float32) for each in (state.matrices, state.others)
    )


def updated(decay: float = 0.0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return kernels before the first step, their gradients, and their updates."""
    network = Layered()
    optimizer = create_muon(network, peak_rate=RATE, warmup=0.0, weight_decay=decay, steps=STEPS)
    state, restore = create_state(network, optimizer)
    gradient = gradient_like(state)
    updates, _ = optimizer.update(gradient, state.optimizer, (state.matrices, state.others))
    as_kernels = (
        kernels(restore(TrainState(*parts, state.statistics, None)))
        for parts in ((state.matrices, state.others), gradient, updates)
    )
    return tuple(as_kernels)


@pytest.mark.parametrize("name", ["b", "c", "d"])
def test_the_update_of_a_hidden_kernel_is_the_orthogonal_part_of_its_gradient(name: str) -> None:
    _, gradients, updates = updated()
    u, _, v = np.linalg.svd(gradients[name], full_matrices=False)
    found = -updates[name] / (RATE * 0.2 * np.sqrt(max(updates[name].shape)))
    # Five Newton-Schulz iterations bring singular values near 1, not to 1.
    assert np.linalg.svd(found, compute_uv=False) == pytest.approx(1, abs=0.35)
    assert np.sum(found * (u @ v)) / np.linalg.norm(found) / np.linalg.norm(u @ v) > 0.97


@pytest.mark.parametrize("name", ["a", "e"])
def test_other_kernels_are_updated_by_adam(name: str) -> None:
    _, gradients, updates = updated()
    adam = optax.nadam(RATE, b2=0.99)
    # The norm of all gradients is clipped to 1, which Adam's first step forgets but for its epsilon.
    expected, _ = adam.update(jnp.asarray(gradients[name]), adam.init(gradients[name]))
    np.testing.assert_allclose(updates[name], expected, rtol=1e-3)


def test_weight_decay_is_that_of_hidden_kernels() -> None:
    before, _, without = updated()
    _, _, decayed = updated(DECAY)
    for name in "bcd":
        np.testing.assert_allclose(decayed[name] - without[name], -RATE * DECAY * before[name], atol=1e-6)
    for name in "ae":
        np.testing.assert_array_equal(decayed[name], without[name])


def test_parameters_without_gradient_stay() -> None:
    network = Layered()
    optimizer = create_muon(network, peak_rate=RATE, warmup=0.0, weight_decay=0.0, steps=STEPS)
    state, _ = create_state(network, optimizer)
    params = state.matrices, state.others
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), state.optimizer, params)
    assert not any(np.any(each) for each in updates)
