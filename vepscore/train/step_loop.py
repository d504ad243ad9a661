"""The loop of every training: steps, their log, and a state on disk from which an interrupted training resumes.

The batch of a step must depend on the number of the step alone, so that a resumed training takes the steps that an
uninterrupted one would have taken.
"""

import collections
import concurrent.futures
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from jax.flatten_util import ravel_pytree

from vepscore.engine.settings import fixed_settings

_SAVED_STEPS = 100  # steps between saved states
_LOGGED_STEPS = 20  # steps that a line of the log averages
_PREFETCHED = 4  # batches prepared ahead

NetworkT = TypeVar("NetworkT", bound=nnx.Module)
StateT = TypeVar("StateT")
BatchT = TypeVar("BatchT")

Observe = Callable[[int, dict[str, float]], None]  # number of a step, and its losses


class TrainState(NamedTuple):
    """What a step changes, as few long vectors: hundreds of short ones cost as much time as half of the network."""

    matrices: jax.Array  # parameters with weight decay
    others: jax.Array  # parameters without
    statistics: jax.Array  # running statistics of normalization
    optimizer: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRange(Generic[StateT, BatchT]):
    """Consecutive steps of one kind.

    Attributes:
        steps: their number.
        step: takes a step: state and batch to state and losses.
        batches: yields the batches of some of these steps, from the state before the first of them, the number of the
            first step of the range, and the numbers of the steps, all counted from 0 over the whole training.
    """

    steps: int
    step: Callable[[StateT, BatchT], tuple[StateT, dict[str, jax.Array]]]
    batches: Callable[[StateT, int, Sequence[int]], Iterator[BatchT]]


def take_steps(
    state: StateT,
    ranges: Sequence[StepRange[StateT, Any]],
    *,
    log: Path,
    progress: Path,
    observe: Observe = lambda *_: None,
) -> StateT:
    """Take the steps of all ranges; resume if `progress` has the state of an interrupted training.

    Args:
        state: the initial state, a tree of arrays.
        ranges: the steps, in order.
        log: file for the mean losses of every few steps, one JSON object per line.
        progress: directory for the state to resume from.
        observe: called after each step.

    Returns:
        The state after the last step.
    """
    with ocp.CheckpointManager(
        progress.absolute(),
        options=ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False),
    ) as saved:
        first = saved.latest_step() or 0
        if first:
            state = saved.restore(first, args=ocp.args.StandardRestore(state))
        losses_log = _Log(log, first)
        last, taken = sum(each.steps for each in ranges), 0
        for each in ranges:
            start, taken = taken, taken + each.steps
            numbers = range(max(start, first), taken)
            batches = _prefetched(each.batches(state, start, numbers))
            for number, batch in zip(numbers, batches, strict=True):
                state, found = each.step(state, batch)
                losses = {name: float(value) for name, value in found.items()}
                losses_log.add(number + 1, losses)
                observe(number + 1, losses)
                if (number + 1) % _SAVED_STEPS == 0 or number + 1 == last:
                    saved.save(number + 1, args=ocp.args.StandardSave(state))
    return state


def create_state(
    network: NetworkT, optimizer: optax.GradientTransformation
) -> tuple[TrainState, Callable[[TrainState], NetworkT]]:
    """Return the initial state of a network, and the function that makes a network from a state."""
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    params, statistics, rest = states
    leaves, tree = jax.tree.flatten(params)
    matrices, part_matrices = _ravel([leaf for leaf in leaves if is_matrix(leaf)])
    others, part_others = _ravel([leaf for leaf in leaves if not is_matrix(leaf)])
    measured, part_measured = _ravel(statistics)

    def restore(state: TrainState) -> NetworkT:
        parts = iter(part_matrices(state.matrices)), iter(part_others(state.others))
        filled = [next(parts[0] if is_matrix(leaf) else parts[1]) for leaf in leaves]
        return nnx.merge(
            graph, jax.tree.unflatten(tree, filled), part_measured(state.statistics), rest, copy=True
        )

    return TrainState(matrices, others, measured, optimizer.init((matrices, others))), restore


def take_step(
    optimizer: optax.GradientTransformation,
    state: TrainState,
    losses_of: Callable[[TrainState], tuple[dict[str, jax.Array], jax.Array]],
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Take one step; return the next state and the losses.

    Args:
        optimizer: that of the state.
        state: the state before the step.
        losses_of: returns the losses of a state without optimizer, of which "total" is minimized, and the statistics
            after the step.
    """

    def loss(params: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[dict[str, jax.Array], jax.Array]]:
        losses, statistics = losses_of(TrainState(*params, state.statistics, None))
        return losses["total"], (losses, statistics)

    params = state.matrices, state.others
    (_, (losses, statistics)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, slots = optimizer.update(gradient, state.optimizer, params)
    matrices, others = optax.apply_updates(params, updates)
    return TrainState(matrices, others, statistics, slots), losses


def create_optimizer(
    *, peak_rate: float, warmup: float, weight_decay: float, steps: int
) -> optax.GradientTransformation:
    """Return AdamW for the matrices and the other parameters of a `TrainState`.

    Args:
        peak_rate: learning rate after warm-up and before cosine decay.
        warmup: fraction of the steps.
        weight_decay: of matrices.
        steps: number of steps.
    """
    rate = cosine_schedule(peak_rate, warmup, steps)
    decayed = (True, False)  # matrices, others
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(rate, b2=0.99, weight_decay=weight_decay, mask=decayed),
    )


def cosine_schedule(peak_rate: float, warmup: float, steps: int) -> optax.Schedule:
    """Return learning rates by step: from 0 to `peak_rate` in a fraction `warmup` of the steps, then cosine decay."""
    return optax.warmup_cosine_decay_schedule(
        0.0, peak_rate, round(warmup * steps), steps, end_value=peak_rate / 100
    )


def is_matrix(parameter: jax.Array) -> bool:
    """Return whether an array of parameters belongs to `TrainState.matrices`."""
    return parameter.ndim > 1


def _ravel(tree: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """Return the arrays of a tree as one vector, and the inverse. None makes a zero: Orbax saves no empty vectors."""
    vector, unravel = ravel_pytree(tree)
    size = vector.size
    return vector if size else jnp.zeros(1), lambda filled: unravel(filled[:size])


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
            names = dict.fromkeys(name for each in self._losses for name in each)
            means = {name: np.mean([each[name] for each in self._losses if name in each]) for name in names}
            rounded = {name: float(f"{value:.4g}") for name, value in means.items()}
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step} | rounded) + "\n")
            self._losses.clear()


def _prefetched(batches: Iterator[BatchT]) -> Iterator[BatchT]:
    """Yield batches that a thread prepares, including the teachers' predictions; raise its exception here."""
    pool = concurrent.futures.ThreadPoolExecutor(1)

    @fixed_settings()
    def take() -> BatchT | None:
        return next(batches, None)

    try:
        ahead = collections.deque(pool.submit(take) for _ in range(_PREFETCHED))
        while (batch := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(take))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
