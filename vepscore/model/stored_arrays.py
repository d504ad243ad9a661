"""The arrays file of a checkpoint: safetensors, of which only what is asked for is read, each array once.

The library's own readers hold the file and a copy of it in memory. Here arrays are read to where JAX can use them.
"""

import json
import math
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors

from vepscore.errors import CheckpointError

_DTYPES = {"F32": np.dtype(np.float32), "BF16": jnp.dtype(jnp.bfloat16)}
_ALIGNMENT_BYTES = 64  # from which on JAX takes an array without a copy
_READERS = 4
_LENGTH_BYTES = 8  # of the header's length, which is the first thing in the file


class _Stored(NamedTuple):
    """An array in the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int  # of its first byte in the file


class StoredArrays:
    """The arrays file of a checkpoint.

    Raises:
        CheckpointError: the file is missing, or is not a whole safetensors file of float32 and bfloat16 arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safetensors.safe_open(path, framework="numpy"):
                pass  # checks that the header fits the file
            self._arrays = _read_header(path)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: missing") from error
        except (safetensors.SafetensorError, OSError, KeyError) as error:
            raise CheckpointError(
                f"{path}: not a whole safetensors file of float32 and bfloat16 arrays ({error})",
                hint="copy or fetch the checkpoint again",
            ) from error
        self.shapes = {name: stored.shape for name, stored in self._arrays.items()}

    def read(self, names: Collection[str], rows: Mapping[str, int]) -> list[tuple[str, np.ndarray]]:
        """The named arrays; of those in `rows` one row.

        Raises:
            CheckpointError: the file ends before an array does, since it has changed.
        """
        with self.path.open("rb", buffering=0) as file, ThreadPoolExecutor(_READERS) as readers:
            return list(
                readers.map(lambda name: (name, self._read(file.fileno(), name, rows.get(name))), names)
            )

    def _read(self, file: int, name: str, row: int | None) -> np.ndarray:
        dtype, shape, offset = self._arrays[name]
        if row is not None:
            shape = (1, *shape[1:])
            offset += row * math.prod(shape) * dtype.itemsize
        array = _aligned(shape, dtype)
        unread = memoryview(array.reshape(-1).view(np.uint8))
        while unread:
            count = os.preadv(file, [unread], offset)
            if count == 0:
                raise CheckpointError(f"{self.path}: ends within {name}; was it changed just now?")
            unread, offset = unread[count:], offset + count
        return array


def _read_header(path: Path) -> dict[str, _Stored]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        entries = json.loads(file.read(length))
    start = _LENGTH_BYTES + length
    return {
        name: _Stored(_DTYPES[entry["dtype"]], tuple(entry["shape"]), start + entry["data_offsets"][0])
        for name, entry in entries.items()
        if name != "__metadata__"
    }


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNMENT_BYTES, np.uint8)
    first = -room.ctypes.data % _ALIGNMENT_BYTES
    return room[first : first + size].view(dtype).reshape(shape)
