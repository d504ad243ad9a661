"""A page store keeps arrays on the device, a page for each bin of a window, in the rows of a few large arrays."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, DTypeLike, Float, Int, Int32

ABSENT = np.int32(1 << 30)  # past the end of every store: reading it gives NaN, writing to it writes nothing

_GROWTH = 2  # factor by which a full store grows; functions that read it are compiled again then


class PageStore:
    """A store of pages; a page consists of one array of each shape.

    Args:
        shapes: of a page's arrays.
        dtype: of all its arrays.
        rows: number of pages to allocate at first.
        max_rows: number of pages that it may grow to hold; also an attribute.
        device: device to keep them on; None for JAX's default.

    Attributes:
        arrays: all pages, an array (rows, *shape) of each shape.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        dtype: DTypeLike,
        *,
        rows: int,
        max_rows: int,
        device: jax.Device | None = None,
    ) -> None:
        self.arrays = tuple(jnp.zeros((rows, *shape), dtype, device=device) for shape in shapes)
        self.max_rows = max_rows
        self._free = list(reversed(range(rows)))

    @property
    def free(self) -> int:
        """Number of pages that can be allocated, including growth."""
        return len(self._free) + self.max_rows - len(self.arrays[0])

    def allocate(self, count: int) -> Int32[np.ndarray, " rows"]:
        """Return the rows of `count` free pages.

        Raises:
            ValueError: there are fewer free pages; see `free`.
        """
        if count > self.free:
            raise ValueError(f"{count} pages requested, {self.free} free")
        while count > len(self._free):
            self._grow()
        return np.array([self._free.pop() for _ in range(count)], np.int32)

    def release(self, rows: Int32[np.ndarray, " rows"]) -> None:
        """Free the pages in these rows; rows that are ABSENT are ignored."""
        self._free.extend(int(row) for row in rows[rows != ABSENT][::-1])

    def write(self, rows: Int32[np.ndarray, " rows"], pages: Sequence[Array]) -> None:
        """Write pages, an array (rows, *shape) of each shape, to these rows."""
        self.arrays = _write(self.arrays, rows, tuple(pages))

    def _grow(self) -> None:
        held = len(self.arrays[0])
        rows = min(_GROWTH * held, self.max_rows)
        self._free[:0] = reversed(range(held, rows))
        self.arrays = tuple(_enlarge(array, rows=rows) for array in self.arrays)


def page_bytes(shapes: Sequence[tuple[int, ...]], dtype: DTypeLike) -> int:
    """Return the size of one page."""
    return sum(map(math.prod, shapes)) * jnp.dtype(dtype).itemsize


def read_pages(array: Float[Array, "rows ..."], *index: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return what one of a store's arrays has at `index`; NaN if ABSENT, so that no unplanned read becomes a score."""
    return array.at[index].get(mode="fill", fill_value=jnp.nan)


@functools.partial(jax.jit, donate_argnums=0)
def _write(
    arrays: tuple[Array, ...], rows: Int32[Array, " rows"], pages: tuple[Array, ...]
) -> tuple[Array, ...]:
    return tuple(array.at[rows].set(page, mode="drop") for array, page in zip(arrays, pages, strict=True))


@functools.partial(jax.jit, static_argnames="rows")
def _enlarge(array: Float[Array, "held ..."], *, rows: int) -> Float[Array, "{rows} ..."]:
    return jnp.pad(array, [(0, rows - len(array)), *[(0, 0)] * (array.ndim - 1)])
