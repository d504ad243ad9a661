"""Measure the speed of the dense engine's passes, beside the machine's own speed at the same time."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from examples.benchmarks.counts import Counts
from examples.benchmarks.inputs import Inputs
from examples.benchmarks.report import Row
from vepscore.networks.alphagenome.layers import convolve

_MATRIX = 4_096
_CHANNELS, _POSITIONS, _WIDTH = 768, 16_384, 5


def measure_machine(inputs: Inputs, window_bp: int, repeats: int) -> Iterator[Row]:
    """Return GFLOP/s of the dense engine's pass over one window, of a matrix product and of a convolution."""
    for name, flop, call in (_matrix_product(), _convolution()):
        yield _row(name, "exact", flop, _time(call, repeats))
    engine = inputs.open_engine("dense")
    dense = engine.predictor
    codes = np.random.default_rng(0).integers(0, 4, (1, window_bp), np.uint8)
    compiled = dense._embed.lower(dense._state, codes).compile()
    ours = Counts(inputs.data.checkpoint.config.architecture, engine.tracks).window(window_bp)
    seconds = _time(lambda: compiled(dense._state, codes), repeats)
    name = f"dense pass, {window_bp} bp"
    yield _row(name, "compiler's", compiled.cost_analysis()["flops"], seconds)
    yield _row(name, "direct convolutions", ours, seconds)


def _row(name: str, count: str, flop: float, seconds: Sequence[float]) -> Row:
    middle = seconds[len(seconds) // 2]
    return {
        "work": name,
        "count": count,
        "TFLOP": flop / 1e12,
        "seconds": middle,
        "GFLOP/s": flop / middle / 1e9,
        "slowest": flop / seconds[-1] / 1e9,
        "fastest": flop / seconds[0] / 1e9,
    }


def _time(call: Callable[[], Any], repeats: int) -> list[float]:
    """Return the seconds of several calls, ascending, after one that is not timed."""
    jax.block_until_ready(call())
    return sorted(_seconds(call) for _ in range(repeats))


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def _matrix_product() -> tuple[str, float, Callable[[], Any]]:
    x = jax.random.normal(jax.random.key(0), (_MATRIX, _MATRIX))
    product = jax.jit(jnp.matmul)
    return f"float32 matrix product, {_MATRIX}", 2.0 * _MATRIX**3, lambda: product(x, x)


def _convolution() -> tuple[str, float, Callable[[], Any]]:
    x = jax.random.normal(jax.random.key(0), (1, _POSITIONS, _CHANNELS))
    kernel = jax.random.normal(jax.random.key(1), (_WIDTH, _CHANNELS, _CHANNELS))
    call = jax.jit(lambda x, kernel: convolve(x, kernel, padding="SAME"))
    flop = 2.0 * _WIDTH * _CHANNELS**2 * _POSITIONS
    return f"float32 convolution, width {_WIDTH}, {_CHANNELS} channels", flop, lambda: call(x, kernel)
