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
from vepscore.outputs import SPLICE_CLASSES, Output
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

_TRAINED = (Output.SPLICE_SITE_USAGE, Output.SPLICE_JUNCTIONS)


class EmbeddedWindows(NamedTuple):
    """Labeled windows and the stack's embeddings of them."""

    embedded: jax.Array  # (B, S, channels of both strands)
    windows: Arrays  # of `TrainingWindows`


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
    heads = nnx.Dict({str(output): network.splice_heads[str(output)] for output in _TRAINED})
    state, restore = create_state(heads, optimizer)
    step = _create_step(schedule.weights, optimizer, restore)
    sample = _Sampler(network, schedule, windows, seed)
    ranges = [
        StepRange(steps=stage.steps, step=step, batches=functools.partial(sample.batches, stage))
        for stage in schedule.stages
    ]
    state = take_steps(state, ranges, log=log, progress=progress, observe=observe)
    nnx.update(heads, nnx.state(restore(state)))


def head_losses(heads: nnx.Dict, weights: Weights, batch: EmbeddedWindows) -> dict[str, jax.Array]:
    """Return the losses by name, not weighted, and their weighted total."""
    x, windows = batch
    logits = heads[str(Output.SPLICE_SITE_USAGE)].logits(x, LOADED_ORGANISM)[..., 0]
    sites = jax.nn.one_hot(windows["classes"], len(SPLICE_CLASSES) + 1)
    head = heads[str(Output.SPLICE_JUNCTIONS)]

    def count(embedding: jax.Array, positions: jax.Array) -> jax.Array:
        return head(embedding[jnp.maximum(positions, 0)], positions, LOADED_ORGANISM)

    counts = jax.vmap(count)(x, windows["sites"])
    losses = {
        "usage": usage_loss(logits, windows["usage"], sites, windows["valid"]),
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

        def embed(state: nnx.State, codes: jax.Array) -> jax.Array:
            dna = one_hot(codes, jnp.float32)
            embedded = nnx.merge(graph, state).embed(dna, LOADED_ORGANISM).splicing
            assert embedded is not None
            return embedded

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
            yield jax.block_until_ready(EmbeddedWindows(self._embed(self._state, batch["codes"]), read))


def _create_step(
    weights: Weights, optimizer: optax.GradientTransformation, restore: Callable[[TrainState], nnx.Dict]
) -> Callable[[TrainState, EmbeddedWindows], tuple[TrainState, dict[str, jax.Array]]]:
    def step(state: TrainState, batch: EmbeddedWindows) -> tuple[TrainState, dict[str, jax.Array]]:
        def losses_of(current: TrainState) -> tuple[dict[str, jax.Array], jax.Array]:
            return head_losses(restore(current), weights, batch), current.statistics

        return take_step(optimizer, state, losses_of)

    return jax.jit(step, donate_argnums=0)
