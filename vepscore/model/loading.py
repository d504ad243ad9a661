"""Filling a network with the arrays of a checkpoint: all are checked, only those that a run needs are read."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.errors import CheckpointError
from vepscore.model.config import ModelConfig
from vepscore.model.heads import TrackHead, TrackMean
from vepscore.model.layers import OrganismParam, standardized_convolutions
from vepscore.model.network import AlphaGenome
from vepscore.outputs import Output, Tracks

STORED = nnx.Any(nnx.Param, nnx.BatchStat)  # what a checkpoint holds of a network
_Leaf = TypeVar("_Leaf")


class ArraySource(Protocol):
    """Arrays on disk. Their names are paths in the network, "encoder.embedder.conv.kernel"."""

    def read(self, names: Collection[str], rows: Mapping[str, int]) -> Iterable[tuple[str, np.ndarray]]:
        """The named arrays, each once, in any order; of those in `rows` one row, as an array of one."""


class _OneKey:
    """Stands in for random streams where shapes are all that is wanted; tracing real ones takes seconds."""

    def __init__(self, key: jax.Array) -> None:
        self._key = key

    def params(self) -> jax.Array:
        return self._key


def abstract_network(architecture: ModelConfig, *, folded: bool) -> AlphaGenome:
    """A network of shapes without arrays.

    Args:
        architecture: its sizes.
        folded: its convolutions have standardised kernels, and no scale.
    """
    key = jax.random.key(0)
    network = nnx.eval_shape(lambda: AlphaGenome(architecture, rngs=_OneKey(key)))
    if folded:
        drop_scales(network)
    return network


def drop_scales(network: AlphaGenome) -> None:
    """Makes a network that is not folded one that is to be filled with standardised kernels."""
    for conv in standardized_convolutions(network):
        conv.drop_scale()


def keep_outputs(network: AlphaGenome, outputs: Collection[Output]) -> None:
    """Leaves out the heads of other outputs, and the resolutions at which variants are not scored."""
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
    """Name to path and variable, of what a checkpoint holds."""
    return {
        ".".join(map(str, path)): (path, leaf) for path, leaf in nnx.to_flat_state(nnx.state(network, STORED))
    }


def compare_shapes(
    found: Mapping[_Leaf, tuple[int, ...]], expected: Mapping[_Leaf, tuple[int, ...]], *, where: object
) -> None:
    """Reports missing, unexpected and misshapen arrays together.

    Raises:
        CheckpointError: there are some.
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
            hint="copy or fetch the checkpoint again; another architecture needs a version of vepscore that knows it",
        )


def fill_network(network: AlphaGenome, source: ArraySource, *, organism_index: int, dtype: str) -> None:
    """Puts the arrays that `network` has into it, of organism-specific ones only the organism's row.

    Parameters become `dtype`; stored statistics stay float32.
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
    """Puts the means of the organism's tracks into the heads, which scale predictions by them; 1 for padding."""
    for name, head in network.heads.items():
        if isinstance(head, TrackHead):
            means = np.ones((1, network.config.heads[Output(name)]), np.float32)
            table = tracks.get(Output(name))
            if table is not None:
                means[0, table.channel] = table.nonzero_mean
            head.means = TrackMean(jnp.asarray(means))
