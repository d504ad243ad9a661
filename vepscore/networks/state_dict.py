"""Read the arrays of a PyTorch state dict, and notice those that nothing reads."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors

from vepscore.errors import CheckpointError
from vepscore.networks.torch_arrays import read_torch_arrays

_ZIP_MAGIC = b"PK"  # at the start of a file that PyTorch wrote
_COUNTER = "num_batches_tracked"  # of a batch norm; not used at inference


def open_state(path: Path, *, hint: str) -> Mapping[str, np.ndarray]:
    """Open a state dict that was saved as safetensors or by PyTorch, whichever its first bytes say.

    Args:
        path: the file.
        hint: of errors, what to pass.

    Raises:
        CheckpointError: the file is missing or damaged, or holds anything else than named arrays.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP_MAGIC))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})", hint=hint) from error
    return read_torch_arrays(path, path) if start == _ZIP_MAGIC else _SafetensorsFile(path, hint=hint)


class _SafetensorsFile(Mapping[str, np.ndarray]):
    """The arrays of a safetensors file, each of which is read when it is taken.

    Args:
        path: the file.
        hint: of errors, what to pass.

    Raises:
        CheckpointError: it is not a whole safetensors file.
    """

    def __init__(self, path: Path, *, hint: str) -> None:
        self._path, self._hint = path, hint
        try:
            self._file = safetensors.safe_open(path, framework="numpy")
        except (safetensors.SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a whole safetensors file ({error})", hint=hint) from error
        self._names = frozenset(self._file.keys())

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        try:
            return self._file.get_tensor(name)
        except (safetensors.SafetensorError, TypeError, AttributeError) as error:  # a dtype that numpy lacks
            raise CheckpointError(
                f"{self._path}: {name} cannot be read ({error})", hint=self._hint
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StateDict:
    """The arrays of a state dict, each of which is to be taken.

    Args:
        state: the arrays, by name.
        where: the file, for messages.
        hint: of errors, what to pass.
        rename: returns the name of an array by which it is taken; names that become equal are one array.
    """

    def __init__(
        self,
        state: Mapping[str, np.ndarray],
        *,
        where: object,
        hint: str,
        rename: Callable[[str], str] = str,
    ) -> None:
        self.where = where
        self._state, self._hint = state, hint
        self._names = {rename(name): name for name in state if not name.endswith(_COUNTER)}
        self._untaken = set(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Return the shape of an array.

        Raises:
            CheckpointError: there is no array of that name and that number of axes.
        """
        return self._read(name, axes).shape

    def take(self, name: str, axes: int) -> np.ndarray:
        """Return an array as float32.

        Raises:
            CheckpointError: there is no array of that name and that number of axes.
        """
        array = self._read(name, axes)
        self._untaken.discard(name)
        return np.asarray(array, np.float32)

    def skip(self, prefix: str) -> None:
        """Accept that arrays whose names begin so are not taken."""
        self._untaken = {name for name in self._untaken if not name.startswith(prefix)}

    def count(self, prefix: str) -> int:
        """Return the number of different parts `prefix.0.`, `prefix.1.`, …"""
        start = f"{prefix}."
        parts = (name.removeprefix(start) for name in self._names if name.startswith(start))
        return len({part.partition(".")[0] for part in parts})

    def check_all_taken(self) -> None:
        """Raise CheckpointError if there are arrays that were not taken."""
        if self._untaken:
            names = "\n".join(f"unexpected: {name}" for name in sorted(self._untaken))
            raise CheckpointError(
                f"{self.where}: arrays do not fit the architecture\n{names}", hint=self._hint
            )

    def _read(self, name: str, axes: int) -> np.ndarray:
        if name not in self._names:
            raise CheckpointError(f"{self.where}: {name} is missing", hint=self._hint)
        array = self._state[self._names[name]]
        if array.ndim != axes:
            raise CheckpointError(
                f"{self.where}: {name} has the shape {array.shape}, expected {axes} axes", hint=self._hint
            )
        return array
