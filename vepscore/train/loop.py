"""Train one network on labels or on the predictions of teachers, and resume an interrupted training.

The batch of a step depends only on the seed and the number of the step.

Axes: B windows, L bins of 32 bp.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from vepscore.engine.settings import fixed_settings
from vepscore.genome.cache import published
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.heads import LinearHead
from vepscore.networks.alphagenome.layers import fold_convolutions, unfold_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.hard_negatives import HardNegatives
from vepscore.train.objective import Arrays, Objective, Targets
from vepscore.train.schedule import Schedule, Stage
from vepscore.train.step_loop import (
    Observe,
    StepRange,
    TrainState,
    create_optimizer,
    create_state,
    take_step,
    take_steps,
)
from vepscore.train.training_windows import Batch, TrainingWindows
from vepscore.train.tss import add_tss_head, remove_tss_head

_NO_SITE_LOGIT = 8.0  # about one position in three thousand is a site


class DistillationBatch(NamedTuple):
    """Windows and the targets of one step."""

    windows: Arrays
    targets: Targets
    measured: ArrayLike  # bool (B, L): bins whose coverage counts


_Step = Callable[[TrainState, DistillationBatch], tuple[TrainState, dict[str, jax.Array]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """The training of one network."""

    network: ModelConfig
    schedule: Schedule
    objective: Objective
    windows: TrainingWindows
    seed: int
    teachers: Sequence[AlphaGenome] = ()  # networks that predict the targets; empty: targets are labels
    start: AlphaGenome | None = None  # network to initialize from; None: random parameters


@fixed_settings()
def train(
    training: Training,
    log: Path,
    progress: Path,
    observe: Observe = lambda *_: None,
) -> AlphaGenome:
    """Train a network; resume if `progress` has the state of an interrupted run of the same training.

    Args:
        training: the network, its data and its schedule.
        log: file for the mean losses of every few steps, one JSON object per line.
        progress: directory for the state to resume from.
        observe: called after each step with its number and its losses.
    """
    network = _create(training)
    schedule = training.schedule
    if schedule.weights.tss:
        add_tss_head(network, seed=training.seed)
    optimizer = create_optimizer(
        peak_rate=schedule.peak_rate,
        warmup=schedule.warmup,
        weight_decay=schedule.weight_decay,
        steps=schedule.steps,
    )
    state, restore = create_state(network, optimizer)
    step, batches = _step(training, optimizer, restore), _Batches(training, restore, progress)
    ranges = [
        StepRange(steps=stage.steps, step=step, batches=functools.partial(batches.of_stage, stage))
        for stage in schedule.stages
    ]
    state = take_steps(state, ranges, log=log, progress=progress, observe=observe)
    network = restore(state)
    remove_tss_head(network)
    network.eval()
    return network


def averaged(networks: Sequence[AlphaGenome], weights: Sequence[float]) -> AlphaGenome:
    """Return a network, with folded convolutions, whose parameters and statistics are weighted means.

    Networks fine-tuned from the same parameters lie in one basin of the loss. Their mean is better than each of them:
    it overfits less, and forgets less of what the initial network could do.

    Args:
        networks: networks of one architecture.
        weights: weight of each network; their sum is 1.

    Source: Wortsman et al. 2022, "Model soups" (ICML) and "Robust fine-tuning of zero-shot models" (CVPR).
    """
    folded = [nnx.clone(network) for network in networks]
    for network in folded:
        fold_convolutions(network)
    states = [nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat)) for network in folded]

    def mean(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(np.average(np.stack(leaves), axis=0, weights=weights), leaves[0].dtype)

    nnx.update(folded[0], jax.tree.map(mean, *states))
    return folded[0]


def _create(training: Training) -> AlphaGenome:
    if training.start is not None:
        network = nnx.merge(*nnx.split(training.start), copy=True)
        unfold_convolutions(network)
        network.train()
        return network
    network = AlphaGenome(training.network, rngs=nnx.Rngs(training.seed))
    network.set_track_means(training.objective.coverage.tracks)
    # Initialize the biases so that sites are rare.
    bias = network.head(Output.SPLICE_SITES, LinearHead).linear.bias
    bias[...] = bias[...].at[:, -1].set(_NO_SITE_LOGIT)
    usage = network.head(Output.SPLICE_SITE_USAGE, LinearHead).linear.bias
    usage[...] = usage[...] - _NO_SITE_LOGIT
    network.train()
    return network


def _step(
    training: Training, optimizer: optax.GradientTransformation, restore: Callable[[TrainState], AlphaGenome]
) -> _Step:
    objective = training.objective

    def step(state: TrainState, batch: DistillationBatch) -> tuple[TrainState, dict[str, jax.Array]]:
        def losses_of(state: TrainState) -> tuple[dict[str, jax.Array], jax.Array]:
            network = restore(state)
            losses = objective.losses(network, *batch)
            statistics = ravel_pytree(nnx.state(network, nnx.BatchStat))[0]
            return losses | {"total": objective.total(losses)}, statistics

        return take_step(optimizer, state, losses_of)

    return jax.jit(step, donate_argnums=0)


class _Batches:
    """Samples the batches of each stage, with the hard negatives that were mined before it, if any."""

    def __init__(
        self, training: Training, restore: Callable[[TrainState], AlphaGenome], progress: Path
    ) -> None:
        self._training, self._restore, self._progress = training, restore, progress
        self._add_targets = _target_function(training)
        self._hard_negatives: HardNegatives | None = None

    def of_stage(
        self, stage: Stage, state: TrainState, start: int, numbers: Sequence[int]
    ) -> Iterator[DistillationBatch]:
        """Return the batches of some steps of a stage that begins with step `start`."""
        if stage.mine_hard_negatives:
            path = self._progress / f"hard-negatives-{start}.npz"
            self._hard_negatives = _mine_hard_negatives(
                lambda: self._restore(state), self._training.windows, path
            )
        return self._sample(stage, numbers, self._hard_negatives)

    def _sample(
        self, stage: Stage, numbers: Sequence[int], hard_negatives: HardNegatives | None
    ) -> Iterator[DistillationBatch]:
        training = self._training
        for number in numbers:
            rng = np.random.default_rng([training.seed, number])
            batch = training.windows.sample(
                rng, training.schedule.sampling_of(stage), stage.window_bp, stage.windows, hard_negatives
            )
            yield jax.block_until_ready(self._add_targets(rng, batch, stage))


def _mine_hard_negatives(
    create: Callable[[], AlphaGenome], windows: TrainingWindows, path: Path
) -> HardNegatives:
    """Return the hard negatives of a network; read those that an interrupted run has already found."""
    if not path.exists():
        network = create()
        network.eval()
        found = HardNegatives.mine(network, windows.splice)
        with published(path) as partial:
            np.savez(partial, **found._asdict())
    with np.load(path) as arrays:
        return HardNegatives(**arrays)


def _target_function(training: Training) -> Callable[[np.random.Generator, Batch, Stage], DistillationBatch]:
    """Return the function that adds targets to windows: from labels, or from teachers if there are any.

    With several teachers, one is sampled per step, which is cheap: the gradients of the losses are linear in the
    targets, except for the number of sites by which they are divided and the squashing of coverage, so that on average
    they are those of the teachers' mean.
    """
    objective = training.objective
    if not training.teachers:
        read = jax.jit(objective.read_labels)
        return lambda _, batch, __: DistillationBatch(batch, read(batch), batch["measured"])
    graph, arrays = nnx.split(training.teachers[0])
    unravel = ravel_pytree(arrays)[1]
    teachers = [ravel_pytree(nnx.split(teacher)[1])[0] for teacher in training.teachers]

    def predict_targets(teacher: jax.Array, batch: Arrays, teacher_bp: int | None) -> Targets:
        return objective.predict_targets(nnx.merge(graph, unravel(teacher)), batch, teacher_bp)

    compiled = jax.jit(predict_targets, static_argnums=2)

    def add_targets(rng: np.random.Generator, batch: Batch, stage: Stage) -> DistillationBatch:
        targets = compiled(teachers[rng.integers(len(teachers))], batch, stage.teacher_bp)
        if stage.measured:
            return DistillationBatch(batch, targets._replace(coverage=batch["coverage"]), batch["measured"])
        known = batch["valid"].reshape(*batch["measured"].shape, -1).all(axis=2)
        return DistillationBatch(batch, targets, known)

    return add_targets
