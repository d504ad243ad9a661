"""Read arrays from the safetensors file of a checkpoint, each once, into memory that JAX can use without a copy.

The readers of the safetensors library hold both the file and a copy of it in memory.
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
_ALIGNMENT_BYTES = 64  # alignment at which JAX uses an array without a copy
_READERS = 4
_LENGTH_BYTES = 8  # size of the first field of the file, the length of the header


class _Stored(NamedTuple):
    """The description of an array in the file."""

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
        """Read the named arrays; for names in `rows` only that row.

        Raises:
            CheckpointError: the file ends within an array, because it was changed.
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
        unread = array.reshape(-1).view(np.uint8).data
        while unread:
            count = os.preadv(file, [unread], offset)
            if count == 0:
                raise CheckpointError(
                    f"{self.path}: the file ends within {name}",
                    hint="rerun once the file is no longer being modified",
                )
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
    buffer = np.empty(size + _ALIGNMENT_BYTES, np.uint8)
    first = -buffer.ctypes.data % _ALIGNMENT_BYTES
    return buffer[first : first + size].view(dtype).reshape(shape)
