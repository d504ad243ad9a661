"""A window's tower divided over devices by position, where one device is too small for it.

Each device holds its bins of the trunk and the rows of the pair representation that belong to them, so none holds
a whole pair representation or the attention logits of a whole window. Queries and biases stay where they are; the
one head of keys and values, and the small column side of sequence-to-pair, are sent to all.
Axes: as in `vepscore.model.tower`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.tower import PositionShard, TransformerTower
from vepscore.outputs import PAIR_BIN_BP

POSITIONS = "positions"
OVER_POSITIONS = PartitionSpec(None, POSITIONS)  # of the tower's input and of both outputs


def position_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """The mesh over which a window is divided; the first device holds its first bins."""
    return Mesh(np.asarray(devices), (POSITIONS,))


def run_tower_sharded(
    tower: TransformerTower, x: jax.Array, *, rotary_dtype: jnp.dtype, mesh: Mesh
) -> tuple[jax.Array, jax.Array]:
    """What `tower(x, rotary_dtype=rotary_dtype)` gives, at inference, divided over the mesh; to be jitted.

    Args:
        tower: its parameters go to every device.
        x: (B, N, C).
        rotary_dtype: dtype of the rotary table; belongs to the checkpoint.
        mesh: one axis, `POSITIONS`.

    Returns:
        The trunk (B, N, C) and the pair representation (B, M, M, F), both `OVER_POSITIONS`.

    Raises:
        ValueError: the devices do not divide the window evenly.
    """
    _check_division(x.shape[1], mesh.shape[POSITIONS])
    graph, state = nnx.split(tower)

    def run(state: nnx.State, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return nnx.merge(graph, state)(x, rotary_dtype=rotary_dtype, shard=_DeviceShard())

    specs = {"in_specs": (PartitionSpec(), OVER_POSITIONS), "out_specs": (OVER_POSITIONS, OVER_POSITIONS)}
    return jax.shard_map(run, mesh=mesh, **specs)(state, x)


def _check_division(bins: int, devices: int) -> None:
    window_bp = bins * TRUNK_BIN_BP
    if window_bp % (devices * PAIR_BIN_BP):
        raise ValueError(
            f"a window of {window_bp:,} bp cannot be divided over {devices} devices: "
            f"each takes as many bins of {PAIR_BIN_BP:,} bp as the others"
        )


class _DeviceShard(PositionShard):
    """One device's bins; the other devices of the axis `POSITIONS` hold the others."""

    def first_bin(self, bins: int) -> jax.Array:
        return bins * jax.lax.axis_index(POSITIONS)

    def gather(self, x: jax.Array) -> jax.Array:
        return jax.lax.all_gather(x, POSITIONS, axis=1, tiled=True)

    def all_to_all(self, x: jax.Array) -> jax.Array:
        return jax.lax.all_to_all(x, POSITIONS, split_axis=3, concat_axis=2, tiled=True)
