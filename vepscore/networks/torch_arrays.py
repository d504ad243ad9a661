"""Read the arrays of a PyTorch file (a zip archive with a pickle) without PyTorch, and without running anything.

A pickle is a program that may call whatever it names. Here it can name five things: an ordered dictionary, the function
that views a storage as a tensor, and the types of storages. All are stand-ins of this module; any other name is refused
before it is imported.
Source: PyTorch, `torch/serialization.py` and `torch/_utils.py:_rebuild_tensor_v2` (the layout of the file).
"""

import functools
import io
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vepscore.errors import CheckpointError

_PICKLE = "data.pkl"
_LARGEST_PICKLE_BYTES = 1 << 24
_LARGEST_STORAGE_BYTES = 1 << 32
# Types of storages by their name in module `torch`; little-endian.
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "|u1",
}
_TYPE_OF_STORAGE = "storage"


def read_torch_arrays(data: bytes | Path, where: object) -> dict[str, np.ndarray]:
    """Return the arrays of a state dictionary by their names; some may share memory.

    Args:
        data: the content of the file, or its path.
        where: the file, for messages.

    Raises:
        CheckpointError: the file is damaged, or holds anything else than named arrays.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
            return _read_arrays(archive)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error.message}", hint=error.hint) from error
    except Exception as error:  # whatever a damaged archive or pickle causes
        raise CheckpointError(
            f"{where}: not a whole PyTorch file of named arrays ({error})",
            hint="files older than PyTorch 1.6 must be saved again with a newer version",
        ) from error


def _read_arrays(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    (pickled,) = (name for name in archive.namelist() if name.rpartition("/")[2] == _PICKLE)
    root = pickled.removesuffix(_PICKLE)
    _check_byte_order(archive, root)
    content = _ArrayUnpickler(
        io.BytesIO(_read_entry(archive, pickled, _LARGEST_PICKLE_BYTES)),
        lambda key: _read_entry(archive, f"{root}data/{key}", _LARGEST_STORAGE_BYTES),
    ).load()
    if not isinstance(content, dict):
        raise CheckpointError(f"found {type(content).__name__}, expected a dictionary of arrays")
    strangers = [
        name
        for name, array in content.items()
        if not (isinstance(name, str) and isinstance(array, np.ndarray))
    ]
    if strangers:
        raise CheckpointError(f"{strangers[0]!r} is not a named array")
    return dict(content)


def _check_byte_order(archive: zipfile.ZipFile, root: str) -> None:
    name = f"{root}byteorder"
    if name in archive.namelist() and _read_entry(archive, name, 16) != b"little":
        raise CheckpointError("found big-endian arrays, expected little-endian ones")


def _read_entry(archive: zipfile.ZipFile, name: str, largest_bytes: int) -> bytes:
    """Read an entry, which PyTorch never compresses: a small archive cannot become a large array."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > largest_bytes:
        raise CheckpointError(f"{name}: compressed, or more than {largest_bytes} bytes")
    return archive.read(entry)


class _StateDict(dict):
    """Stands for `collections.OrderedDict`; the attributes that a pickle gives it are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        del state


class _ViewTensor:
    """Stands for the function that views a storage as a tensor; has no attributes that a pickle could set."""

    __slots__ = ()

    def __call__(
        self, storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
    ) -> np.ndarray:
        """Return the elements from `offset` on, `strides` elements apart, each at most once."""
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, np.ndarray) or len(shape) != len(strides):
            raise CheckpointError("a tensor without a storage or strides")
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise CheckpointError(f"a tensor whose offset, shape or strides are {numbers}")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if not 0 < math.prod(shape) <= len(storage) or last >= len(storage):
            raise CheckpointError(f"a tensor of shape {shape} in a storage of {len(storage)} elements")
        steps = [stride * storage.itemsize for stride in strides]
        array = np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)
        return array if array.flags.c_contiguous else array.copy()


_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _StateDict,
    ("torch._utils", "_rebuild_tensor_v2"): _ViewTensor(),
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays, and dictionaries and tuples of them; refuses every other name."""

    def __init__(self, file: io.BytesIO, read_storage: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._read_storage = functools.cache(read_storage)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise CheckpointError(
                f"refused to load {module}.{name}: only arrays are read",
                hint="save the state dictionary of the network, not the network",
            ) from None

    def persistent_load(self, description: Any) -> np.ndarray:
        """Read a storage: ("storage", type, key, device, number of elements)."""
        kind, dtype, key, _, elements = description
        if kind != _TYPE_OF_STORAGE or dtype not in _STORAGES.values() or not isinstance(key, str):
            raise CheckpointError(f"an unknown storage {description!r}")
        storage = np.frombuffer(self._read_storage(key), dtype)
        if len(storage) != elements:
            raise CheckpointError(f"storage {key} has {len(storage)} elements, expected {elements}")
        return storage
