"""Observe an engine at work: calls of its compiled functions by stage, with their time and operations."""

import collections
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from examples.benchmarks.counts import Counts
from examples.benchmarks.inputs import Inputs
from vepscore.engine import scoring
from vepscore.engine.dense import DenseEngine
from vepscore.engine.scoring import Engine
from vepscore.genome.alignment import AlignedPositions
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.networks.alphagenome.tiles import SKIP_MARGIN_BINS
from vepscore.outputs import Output

_COMPILING = "/jax/core/compile/"
_Flop = Callable[..., float]


@dataclasses.dataclass
class Stages:
    """The work done so far."""

    seconds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    flop: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


class CompileClock:
    """Records when JAX traced and compiled, which is excluded from a variant's cost."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        jax.monitoring.register_event_time_span_listener(self._add)

    def seconds_of_work(self, start: float, end: float) -> float:
        """Return the seconds of an interval, by `time.time`, without compilation; nested spans count once."""
        rest, done = end - start, start
        for first, last in sorted(self._spans):
            first, last = max(first, done), min(last, end)
            rest -= max(0.0, last - first)
            done = max(done, last)
        return rest

    def _add(self, event: str, start: float, end: float, **_: Any) -> None:
        if event.startswith(_COMPILING):
            self._spans.append((start, end))


compile_clock = functools.cache(CompileClock)


@contextlib.contextmanager
def watched(engine: Engine, inputs: Inputs, *, timed: bool = False) -> Iterator[Stages]:
    """Count the work of an engine that has already scored a variant; `timed` waits for the device at each call."""
    stages = Stages()
    counts = Counts(inputs.data.checkpoint.config.architecture, engine.tracks)
    with contextlib.ExitStack() as stack:
        for owner, name, stage, flop in _calls(engine, counts, inputs.window_bp):
            stack.enter_context(
                _replaced(owner, name, _watch(getattr(owner, name), stages, stage, flop, timed))
            )
        yield stages


def _watch(function: Callable, stages: Stages, stage: str, flop: _Flop, timed: bool) -> Callable:
    clock = compile_clock()

    def call(*args: Any, **options: Any) -> Any:
        stages.flop[stage] += flop(*args, **options)
        started = time.time()
        result = function(*args, **options)
        if timed:
            jax.block_until_ready(result)
        stages.seconds[stage] += clock.seconds_of_work(started, time.time())
        return result

    return call


@contextlib.contextmanager
def _replaced(owner: Any, name: str, function: Callable) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _calls(engine: Engine, counts: Counts, width_bp: int) -> list[tuple[Any, str, str, _Flop]]:
    """Yield the functions of an engine: owner, name, stage, and operations by the arguments."""
    is_dense = isinstance(engine, DenseEngine)
    predict = functools.partial(_predict_flop, counts, width_bp, is_dense)
    count = functools.partial(_count_flop, counts, is_dense)
    shared = [
        (engine._scoring, "_predict", "heads", predict),
        (engine._scoring, "_choose", "heads", _nothing),
        (engine._scoring, "_count", "heads", count),
        (scoring, "_score", "scorers", _nothing),
    ]
    if is_dense:
        windows = functools.partial(_dense_flop, counts)
        return [(engine.predictor, "_embed", "whole passes", windows), *shared]
    predictor = engine.predictor
    return [
        (predictor._encoder, "_encode", "encoder", functools.partial(_encoder_flop, counts)),
        (predictor._tower, "_run", "tower", functools.partial(_tower_flop, counts, width_bp)),
        (predictor._decoder, "_decode", "decoder", functools.partial(_decoder_flop, counts)),
        (predictor._decoder.store, "write", "decoder", _nothing),
        *shared,
    ]


def _nothing(*args: Any, **options: Any) -> float:
    return 0.0


def _dense_flop(counts: Counts, state: Any, codes: Any) -> float:
    return len(codes) * counts.window(codes.shape[1])


def _encoder_flop(
    counts: Counts, state: Any, stored: Any, codes: Any, first: Any, kept: Any, rows: Any, of_bands: Any
) -> float:
    fine = int(of_bands[0])  # the coarse levels add only a few percent
    return counts.encoder(kept.shape[1], alone=True) + counts.skips(fine)


def _tower_flop(counts: Counts, width_bp: int, state: Any, trunks: Any, asked: Any) -> float:
    return len(trunks) * counts.tower(width_bp, asked=None if asked is None else len(asked))


def _decoder_flop(
    counts: Counts, state: Any, trunk: Any, stored: Any, first_bins: np.ndarray, rows: np.ndarray
) -> float:
    """Return the operations of the decoded tiles; a call may be padded with copies of one."""
    bins = rows.shape[-1] - 2 * max(SKIP_MARGIN_BINS)
    tiles = len(np.unique(first_bins))
    return tiles * (counts.decoder(bins, alone=True) + counts.coarse(bins))


def _predict_flop(
    counts: Counts,
    width_bp: int,
    is_dense: bool,
    state: Any,
    reader: Any,
    positions: AlignedPositions,
    *,
    outputs: tuple[Output, ...],
) -> float:
    count = int((np.asarray(positions.alternate) >= 0).sum() + (np.asarray(positions.span) >= 0).sum())
    flop = sum(counts.head(output, count, width_bp=width_bp) for output in outputs)
    embeddings = {1: counts.embedding_1, 128: counts.embedding_128}
    embedding = embeddings.get(scored_resolution_bp(outputs[0]), _nothing)
    return flop if is_dense else flop + embedding(count)


def _count_flop(
    counts: Counts,
    is_dense: bool,
    state: Any,
    classes: Any,
    sites: Any,
    positions: AlignedPositions,
    *readers: Any,
) -> float:
    real = np.asarray(sites) >= 0
    strands = sum(bool(real[donor].any() and real[donor + 1].any()) for donor in (0, 2))
    embeddings = 0.0 if is_dense else counts.embedding_1(real.size)
    return len(readers) * (counts.junctions(real.shape[1], strands) + embeddings)
