"""Write files as PyTorch does, without PyTorch: a zip archive with a pickle and one entry for each storage."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

_STORAGES = {"float32": "FloatStorage", "int64": "LongStorage"}


class _Rebuilt:
    """Pickled as a call of PyTorch's function that views a storage as a tensor."""

    def __init__(self, array: np.ndarray, offset: int = 0) -> None:
        self.storage = array if array.flags.c_contiguous else array.T
        self.shape, self.offset = array.shape, offset
        self.strides = tuple(stride // array.itemsize for stride in array.strides)

    def __reduce__(self) -> tuple[Any, ...]:
        function = sys.modules["torch._utils"]._rebuild_tensor_v2
        return function, (_Storage(self.storage), self.offset, self.shape, self.strides, False, OrderedDict())


class _Storage:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: list[np.ndarray] = []

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Storage):
            return None
        self.storages.append(value.array)
        kind = getattr(sys.modules["torch"], _STORAGES[value.array.dtype.name])
        return "storage", kind, str(len(self.storages) - 1), "cpu", value.array.size


def torch_file(content: Any, *, root: str = "archive", compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a file with this content; arrays in a mapping become tensors."""
    if isinstance(content, Mapping):
        content = OrderedDict((name, _tensor(value)) for name, value in content.items())
    pickled = io.BytesIO()
    with _torch_names():
        pickler = _Pickler(pickled)
        pickler.dump(content)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", pickled.getvalue())
        for key, array in enumerate(pickler.storages):
            archive.writestr(f"{root}/data/{key}", array.tobytes())
        archive.writestr(f"{root}/version", "3\n")
    return file.getvalue()


def tensor_beyond_its_storage(array: np.ndarray, offset: int) -> Any:
    """Return a tensor that begins `offset` elements into a storage that holds `array`."""
    return _Rebuilt(array, offset)


def _tensor(value: Any) -> Any:
    return _Rebuilt(value) if isinstance(value, np.ndarray) else value


@contextmanager
def _torch_names() -> Iterator[None]:
    """Make the names that a pickle refers to importable while it is written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild() -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
