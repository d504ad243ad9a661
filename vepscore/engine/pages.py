"""Blocks kept on the device: rows of a few large arrays, taken and given back one by one."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ABSENT = np.int32(1 << 30)  # past the end of every store: reading it gives NaN, writing to it writes nothing

_GROWTH = 2  # of a store that is full; what reads it is compiled anew then


class BlockStore:
    """Rows of blocks; a block is one array of each of the shapes.

    Args:
        shapes: of the arrays of a block.
        dtype: of all of them.
        rows: how many blocks it holds at first.
        max_rows: how many it may grow to hold.
        device: that keeps them; None for JAX's default.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        dtype: Any,
        *,
        rows: int,
        max_rows: int,
        device: jax.Device | None = None,
    ) -> None:
        self.arrays = tuple(jnp.zeros((rows, *shape), dtype, device=device) for shape in shapes)
        self.max_rows = max_rows
        self._free = list(reversed(range(rows)))

    @property
    def rows(self) -> int:
        """Blocks that it holds, taken or free."""
        return len(self.arrays[0])

    @property
    def free(self) -> int:
        """Rows that can be taken, growth included."""
        return len(self._free) + self.max_rows - self.rows

    def take(self, count: int) -> np.ndarray:
        """Rows for `count` blocks: int32 (count,).

        Raises:
            ValueError: there are not as many; see `free`.
        """
        if count > self.free:
            raise ValueError(f"{count} rows asked for, {self.free} free")
        while count > len(self._free):
            self._grow()
        return np.array([self._free.pop() for _ in range(count)], np.int32)

    def give_back(self, rows: np.ndarray) -> None:
        """Rows that `take` gave; ABSENT ones are passed over."""
        self._free.extend(int(row) for row in rows[rows != ABSENT][::-1])

    def write(self, rows: np.ndarray, blocks: Sequence[jax.Array]) -> None:
        """Blocks (K, …), by shape, into rows (K,)."""
        self.arrays = _write(self.arrays, rows, tuple(blocks))

    def _grow(self) -> None:
        rows = min(_GROWTH * self.rows, self.max_rows)
        self._free[:0] = reversed(range(self.rows, rows))
        self.arrays = tuple(_enlarge(array, rows=rows) for array in self.arrays)


def block_bytes(shapes: Sequence[tuple[int, ...]], dtype: Any) -> int:
    """What one block takes."""
    return sum(map(math.prod, shapes)) * jnp.dtype(dtype).itemsize


@functools.partial(jax.jit, donate_argnums=0)
def _write(arrays: tuple[jax.Array, ...], rows: jax.Array, blocks: tuple[jax.Array, ...]) -> Any:
    return tuple(array.at[rows].set(block, mode="drop") for array, block in zip(arrays, blocks, strict=True))


@functools.partial(jax.jit, static_argnames="rows")
def _enlarge(array: jax.Array, *, rows: int) -> jax.Array:
    return jnp.pad(array, [(0, rows - len(array)), *[(0, 0)] * (array.ndim - 1)])


def read_blocks(array: jax.Array, *index: jax.Array) -> jax.Array:
    """What a store's array has at `index`; NaN where the row is ABSENT, so that a gap in a plan is no silent score."""
    return array.at[index].get(mode="fill", fill_value=jnp.nan)
