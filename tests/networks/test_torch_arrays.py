"""PyTorch files are read as arrays; nothing that a pickle names is imported or called."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks.torch_files import tensor_beyond_its_storage, torch_file
from vepscore.errors import CheckpointError
from vepscore.networks.torch_arrays import read_torch_arrays

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_arrays_are_read_by_name_with_their_strides() -> None:
    arrays = {"weight": WEIGHT, "transposed": WEIGHT.T, "count": np.array(7)}
    found = read_torch_arrays(torch_file(arrays), "file")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


class _Runs:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("where", ["content", "name", "value"])
def test_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path, where: str) -> None:
    made = tmp_path / "made"
    runs = _Runs(os.mkdir, str(made))
    content = {"content": runs, "name": {runs: WEIGHT}, "value": {"weight": WEIGHT, "bias": runs}}[where]
    with pytest.raises(CheckpointError, match=r"refused to load posix\.mkdir"):
        read_torch_arrays(torch_file(content), "file")
    assert not made.exists()
    pickle.loads(pickle.dumps(runs))
    assert made.exists()  # it would have run


@pytest.mark.parametrize("call", [eval, getattr, type, np.frombuffer, pickle.loads])
def test_no_other_name_is_imported(call: Any) -> None:
    with pytest.raises(CheckpointError, match="refused to load"):
        read_torch_arrays(torch_file({"weight": _Runs(call, "1")}), "file")


def test_calls_of_what_is_known_are_refused_too() -> None:
    """A storage's type is no function, and the dictionary drops the attributes that it is given."""
    file = _file(b"\x80\x02ctorch\nFloatStorage\n)R.")
    with pytest.raises(CheckpointError, match="not a whole PyTorch file"):
        read_torch_arrays(file, "file")
    attributes = _file(b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.")
    assert read_torch_arrays(attributes, "file") == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([WEIGHT.tolist()], "expected a dictionary"),
        ({"weight": 1.0}, "not a named array"),
        ({1: WEIGHT}, "not a named array"),
        ({"weight": tensor_beyond_its_storage(WEIGHT, 1)}, "in a storage of 12 elements"),
        ({"weight": tensor_beyond_its_storage(WEIGHT, -1)}, "offset, shape or strides"),
    ],
)
def test_anything_but_named_arrays_is_refused(content: Any, problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        read_torch_arrays(torch_file(content), "file")


def test_view_that_would_repeat_elements_is_refused() -> None:
    tensor = tensor_beyond_its_storage(WEIGHT, 0)
    tensor.shape, tensor.strides = (1_000_000,), (0,)
    with pytest.raises(CheckpointError, match="in a storage of 12 elements"):
        read_torch_arrays(torch_file({"weight": tensor}), "file")


def test_compressed_file_is_refused() -> None:
    file = torch_file({"weight": WEIGHT}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        read_torch_arrays(file, "file")


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_damaged_file_is_an_error_that_names_it(kept: int) -> None:
    with pytest.raises(CheckpointError, match=r"^weights\.pt: not a whole PyTorch file"):
        read_torch_arrays(torch_file({"weight": WEIGHT})[:kept], "weights.pt")


def _file(pickled: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return file.getvalue()
