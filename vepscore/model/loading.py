"""Fill a network with the arrays of a checkpoint: all are checked, only those that a run needs are read."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.errors import CheckpointError
from vepscore.model.network import Network, OrganismParam

STORED = nnx.Any(nnx.Param, nnx.BatchStat)  # variables of a network that a checkpoint stores
_Leaf = TypeVar("_Leaf")
_NetworkT = TypeVar("_NetworkT", bound=Network)


@runtime_checkable
class ArraySource(Protocol):
    """Arrays on disk. Their names are paths in the network, "encoder.embedder.conv.kernel"."""

    def read(self, names: Collection[str], rows: Mapping[str, int]) -> Iterable[tuple[str, np.ndarray]]:
        """Yield the named arrays, each once, in any order; for names in `rows` only that row, with its axis kept."""
        ...


class _OneKey(nnx.Rngs):
    """One key for all parameters, if only shapes matter: tracing random streams takes seconds."""

    def __init__(self, key: jax.Array) -> None:
        self._key = key

    def params(self) -> jax.Array:
        return self._key


def abstract(create: Callable[[nnx.Rngs], _NetworkT]) -> _NetworkT:
    """Create a network of shapes without arrays."""
    key = jax.random.key(0)
    return nnx.eval_shape(lambda: create(_OneKey(key)))


def stored_variables(network: nnx.Module) -> dict[str, tuple[tuple[Any, ...], nnx.Variable]]:
    """Return path and variable, by name, of the arrays that a checkpoint stores."""
    return {
        ".".join(map(str, path)): (path, leaf) for path, leaf in nnx.to_flat_state(nnx.state(network, STORED))
    }


def compare_shapes(
    found: Mapping[_Leaf, tuple[int, ...]], expected: Mapping[_Leaf, tuple[int, ...]], *, where: object
) -> None:
    """Compare the shapes of arrays with those that a network expects.

    Raises:
        CheckpointError: arrays are missing, unexpected or misshapen; all of them are listed.
    """
    problems = [f"missing: {leaf}, expected {shape}" for leaf, shape in expected.items() if leaf not in found]
    problems += [
        f"unexpected: {leaf}, found {shape}" for leaf, shape in found.items() if leaf not in expected
    ]
    problems += [
        f"misshapen: {leaf}, found {found[leaf]}, expected {shape}"
        for leaf, shape in expected.items()
        if leaf in found and found[leaf] != shape
    ]
    if problems:
        raise CheckpointError(
            f"{where}: arrays do not fit the architecture\n" + "\n".join(problems),
            hint="copy or fetch the checkpoint again; a newer architecture needs a newer vepscore",
        )


def fill_network(network: Network, source: ArraySource, *, organism_index: int, dtype: str) -> None:
    """Fill `network` from `source`, with only the organism's row of organism-specific arrays.

    Parameters are cast to `dtype`; stored statistics stay float32.
    """
    variables = stored_variables(network)
    rows = {name: organism_index for name, (_, leaf) in variables.items() if isinstance(leaf, OrganismParam)}
    filled = []
    for name, array in source.read(variables.keys(), rows):
        path, variable = variables[name]
        wanted = dtype if isinstance(variable, nnx.Param) else jnp.float32
        filled.append((path, variable.replace(jax.device_put(array).astype(wanted))))
    nnx.update(network, nnx.from_flat_state(filled))
    network.config = dataclasses.replace(network.config, organisms=1)


def parameter_count(module: nnx.Module) -> int:
    """Count the trainable numbers in `module`, without stored statistics and track means."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))
