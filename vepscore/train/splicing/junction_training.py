"""Train the heads of usage and junctions on annotated transcripts, from embeddings of a finished stack.

Axes: B windows, S bp, K junction sites per class.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.model.network import LOADED_ORGANISM, one_hot
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.networks.compact.splice_heads import JunctionHead, UsageHead
from vepscore.outputs import SPLICE_CLASSES
from vepscore.train.losses import junction_loss, usage_loss
from vepscore.train.objective import Arrays, junction_fractions
from vepscore.train.schedule import Schedule, Stage, Weights
from vepscore.train.step_loop import (
    Observe,
    StepRange,
    TrainState,
    create_optimizer,
    create_state,
    take_step,
    take_steps,
)
from vepscore.train.training_windows import TrainingWindows

_ALMOST_ONE = -1e-6  # logarithm of the largest usage that the loss tells from 1


class EmbeddedWindows(NamedTuple):
    """Labeled windows, the stack's embeddings of them, and what its head of splice sites predicts."""

    embedded: jax.Array  # (B, S, channels of both strands)
    log_sites: jax.Array  # (B, S, 2, 3), logarithms of probabilities
    windows: Arrays  # of `TrainingWindows`


class TrainedHeads(nnx.Module):
    """The heads that are trained."""

    def __init__(self, usage: UsageHead, junctions: JunctionHead) -> None:
        self.usage, self.junctions = usage, junctions


@fixed_settings()
def train_junctions(
    network: CompactNetwork,
    schedule: Schedule,
    windows: TrainingWindows,
    *,
    seed: int,
    log: Path,
    progress: Path,
    observe: Observe = lambda *_: None,
) -> None:
    """Train the heads of usage and junctions of a network, in place; see `take_steps` for the rest."""
    optimizer = create_optimizer(
        peak_rate=schedule.peak_rate,
        warmup=schedule.warmup,
        weight_decay=schedule.weight_decay,
        steps=schedule.steps,
    )
    assert network.splice_heads is not None
    heads = TrainedHeads(network.splice_heads.usage, network.splice_heads.junctions)
    state, restore = create_state(heads, optimizer)
    step = _create_step(schedule.weights, optimizer, restore)
    sample = _Sampler(network, schedule, windows, seed)
    ranges = [
        StepRange(steps=stage.steps, step=step, batches=functools.partial(sample.batches, stage))
        for stage in schedule.stages
    ]
    state = take_steps(state, ranges, log=log, progress=progress, observe=observe)
    nnx.update(heads, nnx.state(restore(state)))


def head_losses(heads: TrainedHeads, weights: Weights, batch: EmbeddedWindows) -> dict[str, jax.Array]:
    """Return the losses by name, not weighted, and their weighted total."""
    x, log_sites, windows = batch
    log_usage = jnp.minimum(heads.usage.log_usage(x, log_sites, LOADED_ORGANISM), _ALMOST_ONE)
    logits = log_usage - jnp.log(-jnp.expm1(log_usage))
    classes = jax.nn.one_hot(windows["classes"], len(SPLICE_CLASSES) + 1)

    def count(embedded: jax.Array, sites: jax.Array, positions: jax.Array) -> jax.Array:
        index = jnp.maximum(positions, 0)
        return heads.junctions(embedded[index], sites[index], positions, LOADED_ORGANISM)

    counts = jax.vmap(count)(x, log_sites, windows["sites"])
    losses = {
        "usage": usage_loss(logits, windows["usage"], classes, windows["valid"]),
        "junctions": junction_loss(counts, junction_fractions(windows), windows["sites"]),
    }
    total = weights.usage * losses["usage"] + weights.junctions * losses["junctions"]
    return losses | {"total": total}


class _Sampler:
    """Samples windows and embeds them, without gradients."""

    def __init__(
        self, network: CompactNetwork, schedule: Schedule, windows: TrainingWindows, seed: int
    ) -> None:
        graph, self._state = nnx.split(network)
        self._schedule, self._windows, self._seed = schedule, windows, seed

        def embed(state: nnx.State, codes: jax.Array) -> tuple[jax.Array, jax.Array]:
            network = nnx.merge(graph, state)
            embedded = network.embed(one_hot(codes, jnp.float32), LOADED_ORGANISM).splicing
            assert embedded is not None and network.splice_heads is not None
            return embedded, network.splice_heads.sites.log_probabilities(embedded, LOADED_ORGANISM)

        self._embed = jax.jit(embed)

    def batches(
        self, stage: Stage, state: TrainState, start: int, numbers: Sequence[int]
    ) -> Iterator[EmbeddedWindows]:
        """Yield the batches of some steps of a stage."""
        del state, start
        sampling = self._schedule.sampling_of(stage)
        for number in numbers:
            rng = np.random.default_rng([self._seed, number])
            batch = self._windows.sample(rng, sampling, stage.window_bp, stage.windows)
            read = {
                name: batch[name] for name in ("classes", "valid", "usage", "sites", "junctions", "fractions")
            }
            embedded, log_sites = self._embed(self._state, batch["codes"])
            yield jax.block_until_ready(EmbeddedWindows(embedded, log_sites, read))


def _create_step(
    weights: Weights, optimizer: optax.GradientTransformation, restore: Callable[[TrainState], TrainedHeads]
) -> Callable[[TrainState, EmbeddedWindows], tuple[TrainState, dict[str, jax.Array]]]:
    def step(state: TrainState, batch: EmbeddedWindows) -> tuple[TrainState, dict[str, jax.Array]]:
        def losses_of(current: TrainState) -> tuple[dict[str, jax.Array], jax.Array]:
            return head_losses(restore(current), weights, batch), current.statistics

        return take_step(optimizer, state, losses_of)

    return jax.jit(step, donate_argnums=0)
