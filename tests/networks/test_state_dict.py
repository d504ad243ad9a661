"""State dicts are read as arrays, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.networks.torch_files import torch_file
from vepscore.errors import CheckpointError
from vepscore.networks.state_dict import StateDict, open_state
from vepscore.networks.state_layers import read_batch_norm, read_convolution, read_linear, within

STATE = {
    "layers.0.weight": np.arange(6.0).reshape(2, 3),
    "layers.0.bias": np.arange(2.0),
    "layers.10.weight": np.zeros((2, 2)),
    "norm.num_batches_tracked": np.array(7),
}


def state_dict(state: dict[str, np.ndarray]) -> StateDict:
    return StateDict(state, where="x.safetensors", hint="pass the published file")


@pytest.mark.parametrize("name", ["x.safetensors", "x.bin"])
def test_file_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    arrays = {name: np.asarray(array, np.float32) for name, array in STATE.items()}
    path.write_bytes(torch_file(arrays) if name == "x.bin" else safetensors.numpy.save(arrays))
    found = open_state(path, hint="")
    assert found.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no arrays")
    with pytest.raises(CheckpointError, match="text: not a whole safetensors file"):
        open_state(tmp_path / "text", hint="")
    (tmp_path / "cut").write_bytes(torch_file({"weight": np.ones(3, np.float32)})[:100])
    with pytest.raises(CheckpointError, match="cut: not a whole PyTorch file"):
        open_state(tmp_path / "cut", hint="")
    with pytest.raises(CheckpointError, match="absent: cannot be read"):
        open_state(tmp_path / "absent", hint="")


def test_arrays_are_float32() -> None:
    array = state_dict(STATE).take("layers.0.weight", 2)
    np.testing.assert_array_equal(array, STATE["layers.0.weight"])
    assert array.dtype == np.float32


def test_missing_and_misshapen_arrays_are_refused() -> None:
    source = state_dict(STATE)
    with pytest.raises(CheckpointError, match=r"x.safetensors: layers.1.weight is missing"):
        source.take("layers.1.weight", 2)
    with pytest.raises(CheckpointError, match=r"layers.0.bias has the shape \(2,\), expected 2 axes"):
        source.shape("layers.0.bias", 2)


def test_arrays_that_nothing_reads_are_refused() -> None:
    source = state_dict(STATE)
    source.take("layers.0.weight", 2)
    with pytest.raises(CheckpointError, match=r"unexpected: layers.0.bias\s+unexpected: layers.10.weight"):
        source.check_all_taken()
    source.take("layers.0.bias", 1)
    source.skip("layers.10.")
    source.check_all_taken()


def test_layers_are_counted() -> None:
    assert state_dict(STATE).count("layers") == 2
    assert state_dict(STATE).count("norm.layers") == 0


def test_arrays_with_two_names_are_one() -> None:
    both = {"trunk.bias": np.ones(2), "copy.trunk.bias": np.ones(2)}
    source = StateDict(both, where="x", hint="", rename=lambda name: name.removeprefix("copy."))
    assert "trunk.bias" in source
    source.take("trunk.bias", 1)
    source.check_all_taken()


def test_layers_compute_what_those_of_the_state_dict_do() -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(7, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
    wide = rng.normal(size=(2, 3, 5))
    mean, variance, scale, offset = rng.uniform(1, 2, (4, 3))
    source = state_dict(
        {"linear.weight": weight, "linear.bias": bias, "point.weight": weight[:, :, None], "point.bias": bias}
        | {"wide.weight": wide, "wide.bias": bias, "norm.weight": scale, "norm.bias": offset}
        | {"norm.running_mean": mean, "norm.running_var": variance}
    )
    for layer in (read_linear(source, "linear"), read_convolution(source, "point")):
        np.testing.assert_allclose(x @ layer["kernel"] + layer["bias"], x @ weight.T + bias, rtol=1e-5)
    convolution = read_convolution(source, "wide")["kernel"]
    np.testing.assert_allclose(convolution[4, 1, 0], wide[0, 1, 4], rtol=1e-6)
    norm = within({"norm": read_batch_norm(source, "norm", epsilon=0.1)})
    expected = (x - mean) / np.sqrt(variance + 0.1) * scale + offset
    np.testing.assert_allclose(x * norm["norm.scale"] + norm["norm.offset"], expected, rtol=1e-4, atol=1e-6)
