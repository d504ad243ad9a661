"""Train the stack of convolutions and its head of splice sites on teachers' predictions for transcribed sequence.

A batch is either of windows with the stored mean of all teachers' networks, or of pairs of a sequence and the same with
changes, both of which one network has read, so that the pair's difference is that network's.

The result is a moving average of the parameters. Axes as in `splice_windows`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.genome.windows import UNKNOWN
from vepscore.model.network import one_hot
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.networks.compact.splice_heads import SiteHead
from vepscore.networks.compact.splice_stack import SpliceStack
from vepscore.train.muon import create_muon
from vepscore.train.splicing.splice_losses import change_loss, distillation_loss, site_probabilities
from vepscore.train.splicing.splice_teachers import SpliceTeachers
from vepscore.train.splicing.splice_windows import SpliceWindows
from vepscore.train.splicing.splicing_recipe import SpliceStage, SpliceWeights, Splicing
from vepscore.train.step_loop import (
    Observe,
    StepRange,
    TrainState,
    create_state,
    take_step,
    take_steps,
)


class SiteNetwork(nnx.Module):
    """The parts of a compact network that are trained: it classifies the positions of one strand."""

    def __init__(self, stack: SpliceStack, head: SiteHead) -> None:
        self.stack, self.head = stack, head

    def __call__(self, codes: jax.Array, groups: int | None = None) -> jax.Array:
        """Return logits (B, S - 2 · reach, 3) of transcribed sequence, uint8 (B, S), by the first groups or all."""
        return self.head.linear(self.stack.embed_strand(one_hot(codes, jnp.float32), groups), 0)


class AveragedState(NamedTuple):
    """The state of the training, and the moving average of its parameters."""

    current: TrainState
    matrices: jax.Array
    others: jax.Array
    steps: jax.Array  # int32, those taken


class SpliceBatch(NamedTuple):
    """Windows with targets; the last three are those of the windows with changes, None without."""

    codes: Any  # uint8 (B, P + 2 · F)
    sites: Any  # float32 (B, P, 2)
    changed: Any = None
    changed_sites: Any = None
    source: Any = None  # int32 (B, P)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackTraining:
    """The training of the stack."""

    splicing: Splicing
    windows: SpliceWindows
    teachers: SpliceTeachers
    seed: int


@fixed_settings()
def train_stack(
    network: CompactNetwork,
    training: StackTraining,
    *,
    log: Path,
    progress: Path,
    observe: Observe = lambda *_: None,
) -> None:
    """Train the stack and the head of splice sites of a network, in place; see `take_steps` for the rest."""
    splicing = training.splicing
    assert network.stack is not None and network.splice_heads is not None
    trained = SiteNetwork(network.stack, network.splice_heads.sites)
    optimizer = create_muon(
        trained,
        peak_rate=splicing.peak_rate,
        warmup=splicing.warmup,
        weight_decay=splicing.weight_decay,
        steps=splicing.steps,
    )
    current, restore = create_state(trained, optimizer)
    ranges = [
        StepRange(
            steps=stage.steps,
            step=_create_step(splicing.weights, splicing.average_decay, stage.groups, optimizer, restore),
            batches=functools.partial(_sample_batches, training, stage),
        )
        for stage in splicing.stages
    ]
    initial = AveragedState(current, jnp.copy(current.matrices), jnp.copy(current.others), jnp.zeros((), int))
    state = take_steps(initial, ranges, log=log, progress=progress, observe=observe)
    averaged = restore(TrainState(state.matrices, state.others, state.current.statistics, None))
    nnx.update(trained, nnx.state(averaged))


def batch_losses(
    network: SiteNetwork, weights: SpliceWeights, batch: SpliceBatch, groups: int | None = None
) -> dict[str, jax.Array]:
    """Return the losses of the first groups, or all, by name, not weighted, and their weighted total."""
    logits, valid = _predict(network, batch.codes, batch.sites, groups)
    losses = {"sites": distillation_loss(logits, batch.sites, valid)}
    if batch.changed is not None:
        changed, changed_valid = _predict(network, batch.changed, batch.changed_sites, groups)
        of_changed = distillation_loss(changed, batch.changed_sites, changed_valid)
        losses = {
            "sites": (losses["sites"] + of_changed) / 2,
            "changes": change_loss(
                (site_probabilities(logits), site_probabilities(changed)),
                (batch.sites, batch.changed_sites),
                batch.source,
                valid,
            ),
        }
    total = sum((getattr(weights, name) * value for name, value in losses.items()), start=jnp.zeros(()))
    return losses | {"total": total}


def _predict(
    network: SiteNetwork, codes: jax.Array, sites: jax.Array, groups: int | None
) -> tuple[jax.Array, jax.Array]:
    """Return the logits at the positions of `sites`, and which of them have a known base."""
    count = sites.shape[1]
    flank_bp, reach_bp = (codes.shape[1] - count) // 2, network.stack.reach_of(groups)
    read = codes[:, flank_bp - reach_bp : flank_bp + count + reach_bp]
    return network(read, groups), codes[:, flank_bp : flank_bp + count] != UNKNOWN


def _create_step(
    weights: SpliceWeights,
    average_decay: float,
    groups: int | None,
    optimizer: optax.GradientTransformation,
    restore: Callable[[TrainState], SiteNetwork],
) -> Callable[[AveragedState, SpliceBatch], tuple[AveragedState, dict[str, jax.Array]]]:
    def step(state: AveragedState, batch: SpliceBatch) -> tuple[AveragedState, dict[str, jax.Array]]:
        def losses_of(current: TrainState) -> tuple[dict[str, jax.Array], jax.Array]:
            return batch_losses(restore(current), weights, batch, groups), current.statistics

        current, losses = take_step(optimizer, state.current, losses_of)
        # The first steps count less, so that the initial parameters are soon forgotten.
        decay = jnp.minimum(average_decay, (1 + state.steps) / (10 + state.steps))
        matrices, others = (
            decay * average + (1 - decay) * new
            for average, new in zip((state.matrices, state.others), current[:2], strict=True)
        )
        return AveragedState(current, matrices, others, state.steps + 1), losses

    return jax.jit(step, donate_argnums=0)


def _sample_batches(
    training: StackTraining, stage: SpliceStage, state: AveragedState, start: int, numbers: Sequence[int]
) -> Iterator[SpliceBatch]:
    """Yield the batches of some steps of a stage."""
    del state, start
    splicing, windows = training.splicing, training.windows
    size = stage.window_bp, stage.windows
    for number in numbers:
        rng = np.random.default_rng([training.seed, number])
        if rng.random() >= stage.changed:
            yield SpliceBatch(*windows.sample(rng, splicing.sampling, *size))
            continue
        pairs = windows.sample_changed(rng, splicing.sampling, splicing.changes, *size)
        both = training.teachers.predict_one(rng, np.concatenate([pairs.codes, pairs.changed]))
        sites, changed_sites = np.split(both, 2)
        yield SpliceBatch(pairs.codes, sites, pairs.changed, changed_sites, pairs.source)
