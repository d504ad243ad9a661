"""The optimizer Muon: the updates of hidden layers are orthogonal matrices.

Sources: K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; size of the updates: Liu et al. 2025,
https://arxiv.org/abs/2502.16982.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from optax.contrib import MuonDimensionNumbers

from vepscore.train.step_loop import cosine_schedule, is_matrix

_UPDATE_RMS = 0.2  # root mean square of an update, per learning rate; about that of AdamW


class _Parts(NamedTuple):
    """Parameters, or something for each of them."""

    # Kernels of one shape are one array, (layers, ..., inputs, outputs): hundreds of short ones cost much time.
    hidden: list[Any]
    matrices: Any
    others: Any


def create_muon(
    network: nnx.Module, *, peak_rate: float, warmup: float, weight_decay: float, steps: int
) -> optax.GradientTransformation:
    """Return Muon for the `TrainState` of a network: for kernels with as many inputs as outputs; NAdam for the rest.

    Args:
        network: its parameters are not changed.
        peak_rate: learning rate after warm-up and before cosine decay.
        warmup: fraction of the steps.
        weight_decay: of the kernels that Muon updates.
        steps: number of steps.
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)) if is_matrix(leaf)]
    muon = optax.contrib.muon(
        cosine_schedule(peak_rate, warmup, steps),
        weight_decay=weight_decay,
        adam_b2=0.99,
        consistent_rms=_UPDATE_RMS,
        muon_weight_dimension_numbers=lambda parts: _Parts(
            [MuonDimensionNumbers(tuple(range(1, each.ndim - 1)), each.ndim - 1) for each in parts.hidden],
            None,
            None,
        ),
    )

    def start(params: tuple[jax.Array, jax.Array]) -> Any:
        return muon.init(_split(params, shapes))

    def update(
        gradient: tuple[jax.Array, jax.Array], slots: Any, params: tuple[jax.Array, jax.Array] | None
    ) -> tuple[tuple[jax.Array, jax.Array], Any]:
        assert params is not None
        updates, slots = muon.update(_split(gradient, shapes), slots, _split(params, shapes))
        return _join(updates, shapes), slots

    return optax.chain(optax.clip_by_global_norm(1.0), optax.GradientTransformation(start, update))


def _split(params: tuple[jax.Array, jax.Array], shapes: Sequence[tuple[int, ...]]) -> _Parts:
    """Split the vector of matrices of the given shapes into kernels of hidden layers and one vector of the rest."""
    matrices, others = params
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    kernels = jnp.split(matrices, ends[:-1])
    hidden = [
        jnp.stack(
            [kernel.reshape(each) for kernel, each in zip(kernels, shapes, strict=True) if each == shape]
        )
        for shape in _hidden_shapes(shapes)
    ]
    rest = [kernel for kernel, shape in zip(kernels, shapes, strict=True) if not _is_hidden(shape)]
    return _Parts(hidden, jnp.concatenate([*rest, jnp.zeros(0)]), others)


def _join(parts: _Parts, shapes: Sequence[tuple[int, ...]]) -> tuple[jax.Array, jax.Array]:
    """Return the inverse of `_split`."""
    of_shape = dict(zip(_hidden_shapes(shapes), map(iter, parts.hidden), strict=True))
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes if not _is_hidden(shape)))
    rest = iter(jnp.split(parts.matrices, ends[:-1]))
    kernels = [next(of_shape[shape]).ravel() if shape in of_shape else next(rest) for shape in shapes]
    return jnp.concatenate(kernels), parts.others


def _hidden_shapes(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return list(dict.fromkeys(shape for shape in shapes if _is_hidden(shape)))


def _is_hidden(shape: tuple[int, ...]) -> bool:
    *_, inputs, outputs = shape
    return inputs == outputs
