"""Run the transformer tower over encoded windows.

Axes in shapes: `window` bins of 128 bp, `pairs` bins of 2048 bp, `queries` bins whose trunk is read.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Int32

from vepscore.model.network import LOADED_ORGANISM
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.sharding import POSITIONS, position_mesh, run_tower_sharded

# The tower's last layer is compiled for these fractions of an alternate's bins, besides for all.
_QUERY_FRACTIONS = (1 / 4, 1 / 2)


class TowerInput(NamedTuple):
    """An encoded window; the trunk is read in `query_bins` only, which are ascending."""

    trunk: Float[Array, "window channels"]
    query_bins: Int[np.ndarray, " queries"]


class TowerOutput(NamedTuple):
    """A window's trunk after the tower, 0 in bins that are not read, and its pair representation."""

    trunk: Float[Array, "window channels"]
    pair: Float[Array, "pairs pairs features"]


class WindowTower:
    """A network's tower.

    Args:
        network: the network, with its parameters on the device.
        batch: number of alternate alleles that are run together; on a CPU, windows are run one by one.
        devices: devices over which each window is divided, by position; None to run it where the parameters are.
    """

    def __init__(
        self,
        network: AlphaGenome,
        *,
        batch: int,
        devices: Sequence[jax.Device] | None,
    ) -> None:
        self._device = network.device
        self._mesh = None if devices is None else position_mesh(devices)
        self._at_a_time = 1 if self._device.platform == "cpu" else batch
        graph, state = nnx.split((network.organism, network.tower))
        self._state = self._over_mesh(state, PartitionSpec())
        self._run = jax.jit(functools.partial(_run_tower, graph, jnp.dtype(network.rotary_dtype), self._mesh))

    def run_reference(self, trunk: Float[Array, "window channels"]) -> TowerOutput:
        """Run one window; all bins of its trunk are read.

        The reference is never run together with alternates: the number of windows in a call may change how sums are
        rounded, and results must not depend on what is cached.
        """
        (output,) = self._run_together([trunk], None)
        return output

    def run_alternates(self, windows: Sequence[TowerInput]) -> list[TowerOutput]:
        """Run windows in calls of a fixed size; the last call is filled up."""
        outputs: list[TowerOutput] = []
        for first in range(0, len(windows), self._at_a_time):
            chunk = windows[first : first + self._at_a_time]
            trunks = [window.trunk for window in chunk]
            trunks += trunks[-1:] * (self._at_a_time - len(chunk))
            query_bins = None
            if self._at_a_time == 1 and self._mesh is None:
                query_bins = _pad_query_bins(chunk[0].query_bins, len(chunk[0].trunk))
            outputs += self._run_together(trunks, query_bins)[: len(chunk)]
        return outputs

    def _run_together(
        self, trunks: list[Array], query_bins: Int32[np.ndarray, " queries"] | None
    ) -> list[TowerOutput]:
        trunks = self._over_mesh(trunks, PartitionSpec(POSITIONS))
        outputs = self._run(self._state, trunks, query_bins)
        return outputs if self._mesh is None else jax.device_put(outputs, self._device)

    def _over_mesh(self, tree: Any, spec: PartitionSpec) -> Any:
        """Return the same arrays, on the devices that share the tower, if there are several."""
        return tree if self._mesh is None else jax.device_put(tree, NamedSharding(self._mesh, spec))


def _pad_query_bins(
    query_bins: Int[np.ndarray, " queries"], window_bins: int
) -> Int32[np.ndarray, " padded"] | None:
    """Repeat the last bin up to a fraction of the window that is compiled; None if there are too many bins."""
    for fraction in _QUERY_FRACTIONS:
        count = int(window_bins * fraction)
        if len(query_bins) <= count:
            last = query_bins[-1:] if len(query_bins) else [0]
            return np.append(query_bins, np.repeat(last, count - len(query_bins))).astype(np.int32)
    return None


def _run_tower(
    graph: nnx.GraphDef,
    rotary_dtype: jnp.dtype,
    mesh: Mesh | None,
    state: nnx.State,
    trunks: Sequence[Float[Array, "window channels"]],
    query_bins: Int32[Array, " queries"] | None,
) -> list[TowerOutput]:
    """Run encoded windows; with `query_bins`, the trunk is 0 in all other bins."""
    organism, tower = nnx.merge(graph, state)
    x = jnp.stack(trunks) + organism(LOADED_ORGANISM)
    if mesh is not None:
        trunk, pair = run_tower_sharded(tower, x, rotary_dtype=rotary_dtype, mesh=mesh)
    else:
        trunk, pair = tower(x, rotary_dtype=rotary_dtype, query_bins=query_bins)
    if query_bins is not None:
        trunk = jnp.zeros_like(x).at[:, query_bins].set(trunk)
    return [TowerOutput(trunk[i], pair[i]) for i in range(len(trunks))]
