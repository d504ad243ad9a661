"""Train one network, and resume an interrupted training.

The batch of a step depends only on the seed and the number of the step, so that a resumed training takes the steps that
an uninterrupted one would have taken.

Axes: B windows, L bins of 32 bp.
"""

import collections
import concurrent.futures
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
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
from vepscore.train.recipe import Schedule, Stage
from vepscore.train.training_windows import Batch, TrainingWindows
from vepscore.train.tss import add_tss_head, remove_tss_head

_SAVED_STEPS = 100  # steps between saved states
_LOGGED_STEPS = 20  # steps that a line of the log averages
_PREFETCHED = 4  # batches prepared ahead
_NO_SITE_LOGIT = 8.0  # about one position in three thousand is a site


class TrainState(NamedTuple):
    """What a step changes, as few long vectors: hundreds of short ones cost as much time as half of the network."""

    matrices: jax.Array  # parameters with weight decay
    others: jax.Array  # parameters without
    statistics: jax.Array  # running statistics of normalization
    optimizer: Any


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
    observe: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> AlphaGenome:
    """Train a network; resume if `progress` has the state of an interrupted run of the same training.

    Args:
        training: the network, its data and its schedule.
        log: file for the mean losses of every few steps, one JSON object per line.
        progress: directory for the state to resume from.
        observe: called after each step with its number and its losses.
    """
    network = _create(training)
    if training.schedule.weights.tss:
        add_tss_head(network, seed=training.seed)
    optimizer = _optimizer(training.schedule)
    state, restore = _vectors(network, optimizer)
    step = _step(training, optimizer, restore)
    with ocp.CheckpointManager(
        progress.absolute(),
        options=ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False),
    ) as saved:
        first = saved.latest_step() or 0
        if first:
            state = saved.restore(first, args=ocp.args.StandardRestore(state))
        losses_log = _Log(log, first)
        taken = 0
        hard_negatives: HardNegatives | None = None
        for stage in training.schedule.stages:
            start, taken = taken, taken + stage.steps
            if stage.mine_hard_negatives:
                hard_negatives = _mine_hard_negatives(
                    restore(state), training.windows, progress / f"hard-negatives-{start}.npz"
                )
            numbers = range(max(start, first), taken)
            batches = _prefetched(_batches(training, stage, numbers, hard_negatives))
            for number, batch in zip(numbers, batches, strict=True):
                state, found = step(state, batch)
                losses = {name: float(value) for name, value in found.items()}
                losses_log.add(number + 1, losses)
                observe(number + 1, losses)
                if (number + 1) % _SAVED_STEPS == 0:
                    saved.save(number + 1, args=ocp.args.StandardSave(state))
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


def _vectors(
    network: AlphaGenome, optimizer: optax.GradientTransformation
) -> tuple[TrainState, Callable[[TrainState], AlphaGenome]]:
    """Return the initial state of a network, and the function that makes a network from a state."""
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    params, statistics, rest = states
    leaves, tree = jax.tree.flatten(params)
    is_matrix = [leaf.ndim > 1 for leaf in leaves]
    matrices, part_matrices = ravel_pytree([x for x, chosen in zip(leaves, is_matrix, strict=True) if chosen])
    others, part_others = ravel_pytree([x for x, chosen in zip(leaves, is_matrix, strict=True) if not chosen])
    measured, part_measured = ravel_pytree(statistics)

    def restore(state: TrainState) -> AlphaGenome:
        parts = iter(part_matrices(state.matrices)), iter(part_others(state.others))
        leaves = [next(parts[0] if chosen else parts[1]) for chosen in is_matrix]
        return nnx.merge(
            graph, jax.tree.unflatten(tree, leaves), part_measured(state.statistics), rest, copy=True
        )

    return TrainState(matrices, others, measured, optimizer.init((matrices, others))), restore


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
        def loss(params: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
            network = restore(TrainState(*params, state.statistics, None))
            losses = objective.losses(network, *batch)
            return objective.total(losses), (losses, ravel_pytree(nnx.state(network, nnx.BatchStat))[0])

        params = state.matrices, state.others
        (total, (losses, statistics)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, slots = optimizer.update(gradient, state.optimizer, params)
        matrices, others = optax.apply_updates(params, updates)
        return TrainState(matrices, others, statistics, slots), losses | {"total": total}

    return jax.jit(step, donate_argnums=0)


def _mine_hard_negatives(network: AlphaGenome, windows: TrainingWindows, path: Path) -> HardNegatives:
    """Return the hard negatives of a network; read those that an interrupted run has already found."""
    if not path.exists():
        network.eval()
        found = HardNegatives.mine(network, windows.splice)
        with published(path) as partial:
            np.savez(partial, **found._asdict())
    with np.load(path) as arrays:
        return HardNegatives(**arrays)


def _batches(
    training: Training, stage: Stage, numbers: Sequence[int], hard_negatives: HardNegatives | None
) -> Iterator[DistillationBatch]:
    """Yield the batches of some steps of a stage; steps are counted from 0 over all stages."""
    add_targets = _target_function(training)
    for number in numbers:
        rng = np.random.default_rng([training.seed, number])
        batch = training.windows.sample(
            rng, training.schedule.sampling_of(stage), stage.window_bp, stage.windows, hard_negatives
        )
        yield jax.block_until_ready(add_targets(rng, batch, stage))


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


def _optimizer(schedule: Schedule) -> optax.GradientTransformation:
    peak, steps = schedule.peak_rate, schedule.steps
    warmup = round(schedule.warmup * steps)
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, end_value=peak / 100)
    decayed = (True, False)  # matrices, others
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(rate, b2=0.99, weight_decay=schedule.weight_decay, mask=decayed),
    )


class _Log:
    """Writes the mean losses of every few steps, one JSON object per line."""

    def __init__(self, path: Path, first: int) -> None:
        """Drop what was logged after step `first`, which is where training resumes."""
        lines = path.read_text().splitlines() if path.exists() else []
        earlier = [line for line in lines if json.loads(line)["step"] <= first]
        path.write_text("".join(f"{line}\n" for line in earlier))
        self._path = path
        self._losses: list[dict[str, float]] = []

    def add(self, step: int, losses: dict[str, float]) -> None:
        self._losses.append(losses)
        if step % _LOGGED_STEPS == 0:
            means = {name: float(np.mean([each[name] for each in self._losses])) for name in losses}
            rounded = {name: float(f"{value:.4g}") for name, value in means.items()}
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step} | rounded) + "\n")
            self._losses.clear()


def _prefetched(batches: Iterator[DistillationBatch]) -> Iterator[DistillationBatch]:
    """Yield batches that a thread prepares, including the teachers' predictions; raise its exception here."""
    pool = concurrent.futures.ThreadPoolExecutor(1)

    @fixed_settings()
    def take() -> DistillationBatch | None:
        return next(batches, None)

    try:
        ahead = collections.deque(pool.submit(take) for _ in range(_PREFETCHED))
        while (batch := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(take))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
