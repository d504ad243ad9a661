"""The tower of one window sharded over devices by position, for windows that need more memory than one device has.

Each device holds its bins of the trunk and the corresponding rows of the pair representation, so that none holds a
whole pair representation or the attention logits of a whole window. Queries and biases stay on their device; keys and
values (one head) and the small column side of sequence-to-pair are sent to all devices.
"""

from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx
from jax.sharding import AbstractMesh, Mesh, PartitionSpec
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Shaped

from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.tower import PositionShard, TransformerTower
from vepscore.outputs import PAIR_BIN_BP

POSITIONS = "positions"
OVER_POSITIONS = PartitionSpec(None, POSITIONS)  # sharding of the tower's input and of both outputs


def position_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """Return the mesh over which a window is sharded; the first device holds its first bins."""
    return Mesh(np.asarray(devices), (POSITIONS,))


def run_tower_sharded(
    tower: TransformerTower,
    x: Float[Array, "batch bins channels"],
    *,
    rotary_dtype: DTypeLike,
    mesh: Mesh | AbstractMesh,
) -> tuple[Float[Array, "batch bins channels"], Float[Array, "batch bins//16 bins//16 pair_channels"]]:
    """Run `tower(x, rotary_dtype=rotary_dtype)` sharded over the mesh, for inference; to be jitted.

    Args:
        tower: its parameters are copied to every device.
        x: the trunk before the tower.
        rotary_dtype: dtype of the rotary table, as set by the checkpoint.
        mesh: has one axis, `POSITIONS`.

    Returns:
        The trunk and the pair representation, both sharded `OVER_POSITIONS`.

    Raises:
        ValueError: the window cannot be divided evenly over the devices.
    """
    window_bp, devices = x.shape[1] * TRUNK_BIN_BP, mesh.shape[POSITIONS]
    if window_bp % (devices * PAIR_BIN_BP):
        raise ValueError(
            f"a window of {window_bp:,} bp cannot be divided over {devices} devices: "
            f"each must hold the same number of {PAIR_BIN_BP:,} bp bins"
        )
    graph, state = nnx.split(tower)

    def run(state: nnx.State, x: Array) -> tuple[Array, Array]:
        return nnx.merge(graph, state)(x, rotary_dtype=rotary_dtype, shard=_DeviceShard())

    return jax.shard_map(
        run, mesh=mesh, in_specs=(PartitionSpec(), OVER_POSITIONS), out_specs=(OVER_POSITIONS, OVER_POSITIONS)
    )(state, x)


class _DeviceShard(PositionShard):
    """The bins of one device of the axis `POSITIONS`."""

    def first_bin(self, bins: int) -> Int[Array, ""]:
        return bins * jax.lax.axis_index(POSITIONS)

    def gather(self, x: Shaped[Array, "batch bins ..."]) -> Shaped[Array, "batch all_bins ..."]:
        return jax.lax.all_gather(x, POSITIONS, axis=1, tiled=True)

    def all_to_all(
        self, x: Float[Array, "batch heads rows pair_bins"]
    ) -> Float[Array, "batch heads pair_bins rows"]:
        return jax.lax.all_to_all(x, POSITIONS, split_axis=3, concat_axis=2, tiled=True)
