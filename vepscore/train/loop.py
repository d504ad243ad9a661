"""Training one network: batches in, a network out; killed, it goes on from where it was.

A step's batch hangs on the seed and the step's number alone, so that a run that was stopped and goes on takes the steps
that it would have taken.

Axes: B windows, L bins of 32 bp.
"""

import dataclasses
import json
import queue
import threading
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

from vepscore.engine.settings import fixed_settings
from vepscore.genome.cache import published
from vepscore.model.config import ModelConfig
from vepscore.model.layers import fold_convolutions, unfold_convolutions
from vepscore.model.loading import set_track_means
from vepscore.model.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.hard_negatives import HardNegatives
from vepscore.train.objective import Arrays, Objective, Targets
from vepscore.train.recipe import Schedule, Stage
from vepscore.train.training_windows import Batch, TrainingWindows
from vepscore.train.tss import add_tss_head, remove_tss_head

_SAVED_STEPS = 100  # between two states that are kept
_LOGGED_STEPS = 20  # whose mean losses are a line of the log
_PREFETCHED = 4
_NO_SITE_LOGIT = 8.0  # a site is about one position in three thousand


class TrainState(NamedTuple):
    """What a step changes, in few long vectors: hundreds of short ones cost as much as half of the network."""

    matrices: jax.Array  # parameters that weight decay is for
    others: jax.Array  # the other parameters
    statistics: jax.Array
    optimizer: Any


class DistillationBatch(NamedTuple):
    """What one step learns."""

    batch: Arrays
    targets: Targets
    measured: jax.Array  # bool (B, L): the bins whose coverage counts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What one network is trained with."""

    network: ModelConfig
    schedule: Schedule
    objective: Objective
    windows: TrainingWindows
    seed: int
    teachers: Sequence[AlphaGenome] = ()  # whose predictions are the targets; none: the labels are
    start: AlphaGenome | None = None  # whose parameters it begins with; none: random ones


@fixed_settings()
def train(
    training: Training,
    log: Path,
    progress: Path,
    observe: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> AlphaGenome:
    """Trains from scratch, or goes on from what a killed run of the same training has left.

    Args:
        training: what with.
        log: a file that gets the mean losses of every few steps, a JSON object per line.
        progress: a folder for what a killed run goes on from.
        observe: called after each step with its number and its losses.
    """
    network = _create(training)
    if training.schedule.weights.tss:
        add_tss_head(network, training.network, seed=training.seed)
    optimizer = _optimizer(training.schedule)
    state, restore = _vectors(network, optimizer)
    step = _step(training, optimizer, restore)
    with ocp.CheckpointManager(
        progress.absolute(),
        options=ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False),
    ) as kept:
        first = kept.latest_step() or 0
        if first:
            state = kept.restore(first, args=ocp.args.StandardRestore(state))
        losses_log = _Log(log, first)
        taken = 0
        hard_negatives = None
        for stage in training.schedule.stages:
            start, taken = taken, taken + stage.steps
            if stage.mine_hard_negatives:
                hard_negatives = _mine_hard_negatives(
                    restore(state), training.windows, progress / f"hard_negatives-{start}.npz"
                )
            numbers = range(max(start, first), taken)
            lessons = _prefetched(_lessons(training, stage, numbers, hard_negatives))
            for number, lesson in zip(numbers, lessons, strict=True):
                state, found = step(state, lesson)
                losses = {name: float(value) for name, value in found.items()}
                losses_log.add(number + 1, losses)
                observe(number + 1, losses)
                if (number + 1) % _SAVED_STEPS == 0:
                    kept.save(number + 1, args=ocp.args.StandardSave(state))
    network = restore(state)
    remove_tss_head(network)
    network.eval()
    return network


def averaged(networks: Sequence[AlphaGenome], shares: Sequence[float]) -> AlphaGenome:
    """A network, with folded convolutions, whose parameters and statistics are means of those of others.

    Networks that were trained from the same start lie in one basin, where their mean is better than each: less bent
    towards the windows that it was trained on, and nearer to what the start could do.

    Args:
        networks: of one architecture.
        shares: of each in the mean; their sum is 1.

    Source: Wortsman et al. 2022, "Model soups" (ICML) and "Robust fine-tuning of zero-shot models" (CVPR).
    """
    folded = [nnx.clone(network) for network in networks]
    for network in folded:
        fold_convolutions(network)
    states = [nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat)) for network in folded]

    def mean(*leaves: jax.Array) -> jax.Array:
        return jnp.asarray(np.average(np.stack(leaves), axis=0, weights=shares), leaves[0].dtype)

    nnx.update(folded[0], jax.tree.map(mean, *states))
    return folded[0]


def _vectors(
    network: AlphaGenome, optimizer: optax.GradientTransformation
) -> tuple[TrainState, Callable[[TrainState], AlphaGenome]]:
    """The state in which a network starts, and what makes a network of a state."""
    graph, params, statistics, rest = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
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
    set_track_means(network, training.objective.tracks)
    # Starts from "no site here", which is right almost everywhere.
    bias = network.heads[str(Output.SPLICE_SITES)].linear.bias
    bias[...] = bias[...].at[:, -1].set(_NO_SITE_LOGIT)
    usage = network.heads[str(Output.SPLICE_SITE_USAGE)].linear.bias
    usage[...] = usage[...] - _NO_SITE_LOGIT
    network.train()
    return network


def _step(
    training: Training, optimizer: optax.GradientTransformation, restore: Callable[[TrainState], AlphaGenome]
) -> Callable[[TrainState, DistillationBatch], tuple[TrainState, dict[str, jax.Array]]]:
    objective = training.objective

    def step(state: TrainState, lesson: DistillationBatch) -> tuple[TrainState, dict[str, jax.Array]]:
        def loss(params: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
            network = restore(TrainState(*params, state.statistics, None))
            losses = objective.losses(network, *lesson)
            return objective.total(losses), (losses, ravel_pytree(nnx.state(network, nnx.BatchStat))[0])

        params = state.matrices, state.others
        (total, (losses, statistics)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, slots = optimizer.update(gradient, state.optimizer, params)
        changed = optax.apply_updates(params, updates)
        return TrainState(*changed, statistics, slots), losses | {"total": total}

    return jax.jit(step, donate_argnums=0)


def _mine_hard_negatives(network: AlphaGenome, windows: TrainingWindows, path: Path) -> HardNegatives:
    """Those that a network makes, or that it made before the run was killed."""
    if not path.exists():
        network.eval()
        found = HardNegatives.of(network, windows.splice)
        with published(path) as partial:
            np.savez(partial, **found._asdict())
    with np.load(path) as arrays:
        return HardNegatives(**arrays)


def _lessons(
    training: Training, stage: Stage, numbers: Sequence[int], hard_negatives: HardNegatives | None
) -> Iterator[DistillationBatch]:
    """Of some steps of a stage, which are counted from 0 over all stages."""
    teach = _teach(training)
    for number in numbers:
        rng = np.random.default_rng([training.seed, number])
        batch = training.windows.sample(
            rng, training.schedule.sampling_of(stage), stage.window_bp, stage.windows, hard_negatives
        )
        yield jax.block_until_ready(teach(rng, batch, stage))


def _teach(training: Training) -> Callable[[np.random.Generator, Batch, Stage], DistillationBatch]:
    """What is to be learnt of a batch, from the teachers if there are any.

    One of them speaks at a time, which is cheap: the gradients of the losses are linear in the targets, but for the
    number of sites by which they are divided and the squashing of coverage, and so on average those of their mean.
    """
    objective = training.objective
    if not training.teachers:
        read = jax.jit(objective.read_labels)
        return lambda _, batch, __: DistillationBatch(batch, read(batch), batch["measured"])
    graph, arrays = nnx.split(training.teachers[0])
    part = ravel_pytree(arrays)[1]
    teachers = [ravel_pytree(nnx.split(teacher)[1])[0] for teacher in training.teachers]

    def say(teacher: jax.Array, batch: Arrays, teacher_bp: int | None) -> Targets:
        return objective.teach(nnx.merge(graph, part(teacher)), batch, teacher_bp)

    compiled = jax.jit(say, static_argnums=2)

    def teach(rng: np.random.Generator, batch: Batch, stage: Stage) -> DistillationBatch:
        targets = compiled(teachers[rng.integers(len(teachers))], batch, stage.teacher_bp)
        if stage.measured:
            return DistillationBatch(batch, targets._replace(coverage=batch["coverage"]), batch["measured"])
        known = batch["valid"].reshape(*batch["measured"].shape, -1).all(axis=2)
        return DistillationBatch(batch, targets, known)

    return teach


def _optimizer(schedule: Schedule) -> optax.GradientTransformation:
    peak, steps = schedule.peak_rate, schedule.steps
    warmup = round(schedule.warmup * steps)
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, steps, end_value=peak / 100)
    decayed = (True, False)  # of matrices and others
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(rate, b2=0.99, weight_decay=schedule.weight_decay, mask=decayed),
    )


class _Log:
    """The mean losses of every few steps, a JSON object per line."""

    def __init__(self, path: Path, first: int) -> None:
        """Forgets what was logged after step `first`."""
        kept = []
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= first]
        path.write_text("".join(f"{line}\n" for line in kept))
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


def _prefetched(lessons: Iterator[DistillationBatch]) -> Iterator[DistillationBatch]:
    """The same, made by a thread, teachers' predictions and all; its exception is raised here."""
    ready: queue.Queue[Any] = queue.Queue(_PREFETCHED)
    done = object()

    @fixed_settings()
    def fill() -> None:
        try:
            for lesson in lessons:
                ready.put(lesson)
            ready.put(done)
        except BaseException as error:  # handed over, so that training stops with the real traceback
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    while (item := ready.get()) is not done:
        if isinstance(item, BaseException):
            raise item
        yield item
