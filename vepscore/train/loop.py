"""Training a network from sequence, annotation and coverage: batches in, a checkpoint out.

Axes: B windows, S bp, T tracks.
"""

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vepscore.model.config import ModelConfig
from vepscore.model.network import AlphaGenome, Embeddings, one_hot
from vepscore.outputs import Output
from vepscore.train.data import SpliceBatch, SpliceData
from vepscore.train.losses import junction_loss, scale_targets, splice_site_loss, track_loss, usage_loss
from vepscore.train.tracks import BIN_BP, TrackBatch, TrackData

_TRACK_WINDOW_BP = 65_536
_PREFETCHED_BATCHES = 4
_NO_SITE_LOGIT = 8.0  # a site is about one position in three thousand


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Steps with windows of one size."""

    steps: int
    window_bp: int
    splice_windows: int  # per step
    track_windows: int  # per step, of 65,536 bp


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained."""

    architecture: ModelConfig
    stages: tuple[Stage, ...]
    peak_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    usage_weight: float = 0.3
    junction_weight: float = 0.2
    track_weight: float = 0.1
    seed: int = 0

    @property
    def steps(self) -> int:
        """Over all stages."""
        return sum(stage.steps for stage in self.stages)


class TrainState(NamedTuple):
    """What a step changes."""

    params: nnx.State
    statistics: nnx.State
    optimizer: Any


def train(
    config: TrainConfig,
    splice: SpliceData,
    tracks: TrackData,
    report: Callable[[int, dict[str, float], Callable[[], AlphaGenome]], None],
) -> AlphaGenome:
    """Trains from scratch.

    Args:
        config: sizes, schedule and weights.
        splice: windows with splice labels, of the training split.
        tracks: regions with coverage.
        report: called after every step with its number, its losses and a function that gives the network as it is.
    """
    network = AlphaGenome(config.architecture, rngs=nnx.Rngs(config.seed))
    _set_no_site_bias(network)
    network.train()
    optimizer = _optimizer(config)
    graph, params, statistics, rest = nnx.split(network, nnx.Param, nnx.BatchStat, ...)
    state = TrainState(params, statistics, optimizer.init(params))
    means = {output: jnp.asarray(table.nonzero_mean) for output, table in tracks.tracks.items()}
    columns = {output: jnp.asarray(index) for output, index in tracks.columns.items()}

    def merged(params: nnx.State, statistics: nnx.State) -> AlphaGenome:
        return nnx.merge(graph, params, statistics, rest, copy=True)

    @jax.jit
    def step(
        state: TrainState, splice: dict[str, Any], tracks: dict[str, Any]
    ) -> tuple[TrainState, dict[str, Any]]:
        def loss(params: nnx.State) -> tuple[jax.Array, tuple[dict[str, jax.Array], nnx.State]]:
            network = merged(params, state.statistics)
            losses = _splice_losses(network, splice) | _track_losses(network, tracks, means, columns)
            return _total(config, losses), (losses, nnx.state(network, nnx.BatchStat))

        (total, (losses, statistics)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        updates, slots = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, statistics, slots), losses | {"total": total}

    def current() -> AlphaGenome:
        network = merged(state.params, state.statistics)
        network.eval()
        return network

    for number, (splice_batch, track_batch) in enumerate(_prefetched(_batches(config, splice, tracks))):
        state, losses = step(state, splice_batch, track_batch)
        report(number + 1, {name: float(value) for name, value in losses.items()}, current)
    return current()


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.peak_rate, config.warmup_steps, config.steps, end_value=config.peak_rate / 100
    )
    is_matrix = lambda params: jax.tree.map(lambda x: x.ndim > 1, params)  # noqa: E731
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(schedule, b2=0.99, weight_decay=config.weight_decay, mask=is_matrix),
    )


def _set_no_site_bias(network: AlphaGenome) -> None:
    """Starts from "no site here", which is right almost everywhere."""
    bias = network.heads[str(Output.SPLICE_SITES)].linear.bias
    bias[...] = bias[...].at[:, -1].set(_NO_SITE_LOGIT)
    usage = network.heads[str(Output.SPLICE_SITE_USAGE)].linear.bias
    usage[...] = usage[...] - _NO_SITE_LOGIT


def _total(config: TrainConfig, losses: dict[str, jax.Array]) -> jax.Array:
    weights = {"sites": 1.0, "usage": config.usage_weight, "junctions": config.junction_weight}
    return sum(weights.get(name, config.track_weight) * value for name, value in losses.items())


def _embed(network: AlphaGenome, codes: jax.Array) -> Embeddings:
    return network(one_hot(codes, jnp.float32), jnp.int32(0), rotary_dtype=jnp.float32)


def _splice_losses(network: AlphaGenome, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    embedding = _embed(network, batch["codes"]).bp1
    heads, organism = network.heads, jnp.int32(0)
    logits = heads[str(Output.SPLICE_SITES)].logits(embedding, organism)
    usage = heads[str(Output.SPLICE_SITE_USAGE)].logits(embedding, organism)

    def count(embedding: jax.Array, sites: jax.Array) -> jax.Array:
        return heads[str(Output.SPLICE_JUNCTIONS)](embedding[jnp.maximum(sites, 0)], sites, organism)

    counts = jax.vmap(count)(embedding, batch["sites"])
    return {
        "sites": splice_site_loss(logits, batch["classes"], batch["valid"]),
        "usage": usage_loss(usage, batch["usage"], batch["classes"], batch["valid"]),
        "junctions": junction_loss(counts, _junction_target(batch, counts), batch["sites"]),
    }


def _junction_target(batch: dict[str, jax.Array], counts: jax.Array) -> jax.Array:
    """(B, K, K, 2, 1) from the sparse list."""
    donor, acceptor, strand = jnp.moveaxis(batch["junctions"], -1, 0)
    window = jnp.arange(counts.shape[0])[:, None]
    return jnp.zeros_like(counts).at[window, donor, acceptor, strand, 0].add(batch["shares"])


def _track_losses(
    network: AlphaGenome,
    batch: dict[str, jax.Array],
    means: dict[Output, jax.Array],
    columns: dict[Output, jax.Array],
) -> dict[str, jax.Array]:
    embeddings, organism = _embed(network, batch["codes"]), jnp.int32(0)
    losses = {}
    for output, index in columns.items():
        head, target = network.heads[str(output)], batch["targets"][..., index]
        head.means = head.means.replace(means[output][None])
        fine = head(embeddings.bp1, organism, resolution_bp=1)
        fine = fine.reshape(*fine.shape[:1], -1, BIN_BP, fine.shape[-1]).sum(axis=2)
        scale = {"means": means[output], "squash": head.squash}
        losses[f"{output}_1bp"] = track_loss(
            scale_targets(fine, resolution_bp=BIN_BP, **scale),
            scale_targets(target, resolution_bp=BIN_BP, **scale),
            batch["measured"],
        )
        fold = 128 // BIN_BP
        coarse_target = target.reshape(target.shape[0], -1, fold, target.shape[-1]).sum(axis=2)
        losses[f"{output}_128bp"] = track_loss(
            head.scaled(embeddings.bp128, organism, resolution_bp=128),
            scale_targets(coarse_target, resolution_bp=128, **scale),
            batch["measured"].reshape(target.shape[0], -1, fold).all(axis=2),
        )
    return losses


def _batches(
    config: TrainConfig, splice: SpliceData, tracks: TrackData
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    rng = np.random.default_rng(config.seed)
    for stage in config.stages:
        for _ in range(stage.steps):
            splice_batch = splice.sample_windows(rng, stage.window_bp, stage.splice_windows)
            track_batch = tracks.sample_tracks(rng, stage.track_windows, _TRACK_WINDOW_BP)
            yield _arrays(splice_batch), _arrays(track_batch)


def _arrays(batch: SpliceBatch | TrackBatch) -> dict[str, np.ndarray]:
    names = [field.name for field in dataclasses.fields(batch) if field.name != "origins"]
    return {name: getattr(batch, name) for name in names}


def _prefetched(batches: Iterator[Any]) -> Iterator[Any]:
    """The same items, made by a thread while the device works; its exception is raised here."""
    ready: queue.Queue[Any] = queue.Queue(_PREFETCHED_BATCHES)
    done = object()

    def fill() -> None:
        try:
            for batch in batches:
                ready.put(batch)
            ready.put(done)
        except BaseException as error:  # handed over, so that training stops with the real traceback
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    while (item := ready.get()) is not done:
        if isinstance(item, BaseException):
            raise item
        yield item
