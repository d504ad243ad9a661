"""Fill a network with the arrays of a checkpoint: all are checked, only those that a run needs are read."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.errors import CheckpointError
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.heads import TrackHead, TrackMean
from vepscore.networks.alphagenome.layers import OrganismParam, standardized_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output, Tracks

STORED = nnx.Any(nnx.Param, nnx.BatchStat)  # variables of a network that a checkpoint stores
_Leaf = TypeVar("_Leaf")


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


def abstract_network(architecture: ModelConfig, *, folded: bool) -> AlphaGenome:
    """Create a network of shapes without arrays.

    Args:
        architecture: the sizes of the network.
        folded: whether its convolutions have standardized kernels and no scale.
    """
    key = jax.random.key(0)
    network = nnx.eval_shape(lambda: AlphaGenome(architecture, rngs=_OneKey(key)))
    if folded:
        drop_scales(network)
    return network


def drop_scales(network: AlphaGenome) -> None:
    """Prepare a network that is not folded to be filled with standardized kernels."""
    for conv in standardized_convolutions(network):
        conv.drop_scale()


def keep_outputs(network: AlphaGenome, outputs: Collection[Output]) -> None:
    """Keep only the heads of these outputs, and of them the resolution at which variants are scored."""
    for name in list(network.heads):
        output = Output(name)
        if output not in outputs:
            del network.heads[name]
            continue
        head = network.heads[name]
        if isinstance(head, TrackHead):
            head.resolutions = nnx.Dict(
                {str(output.resolution_bp): head.resolutions[str(output.resolution_bp)]}
            )


def stored_variables(network: AlphaGenome) -> dict[str, tuple[tuple[Any, ...], nnx.Variable]]:
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


def fill_network(network: AlphaGenome, source: ArraySource, *, organism_index: int, dtype: str) -> None:
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


def set_track_means(network: AlphaGenome, tracks: Mapping[Output, Tracks]) -> None:
    """Set the track means by which the heads scale predictions; 1 for padding."""
    for name, head in network.heads.items():
        if isinstance(head, TrackHead):
            means = np.ones((1, network.config.heads[Output(name)]), np.float32)
            table = tracks.get(Output(name))
            if table is not None:
                means[0, table.channel] = table.nonzero_mean
            head.means = TrackMean(jnp.asarray(means))
