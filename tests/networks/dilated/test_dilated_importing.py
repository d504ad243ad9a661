"""Published files of the dilated families become arrays by our names."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.networks.dilated.openspliceai_files import CHANNELS, openspliceai_arrays
from tests.networks.dilated.small import PANGOLIN, SPLICEAI, arrays_of
from tests.networks.torch_files import torch_file
from vepscore.errors import CheckpointError
from vepscore.networks.dilated.dilated_importing import import_pangolin, import_spliceai
from vepscore.networks.dilated.frozen_graph import read_constants
from vepscore.networks.dilated.layer_names import expected_shapes, keras_names
from vepscore.networks.dilated.published import PANGOLIN as PANGOLIN_PUBLICATION
from vepscore.networks.dilated.published import pangolin_tracks
from vepscore.outputs import SPLICE_CLASSES, Output


@pytest.fixture
def openspliceai(tmp_path: Path) -> Path:
    folder = tmp_path / "80nt"
    folder.mkdir()
    for seed in (11, 10):
        (folder / f"model_80nt_rs{seed}.pt").write_bytes(torch_file(openspliceai_arrays(seed)))
    return folder


def test_openspliceai_folder_is_an_ensemble_in_the_order_of_its_seeds(openspliceai: Path) -> None:
    imported = import_spliceai(openspliceai)
    assert imported.publication.license == "GPL-3.0-only"
    assert (imported.architecture.networks, imported.architecture.margin_bp) == (2, 40)
    assert imported.architecture.negative_slope == 0.1
    for network, seed in enumerate((10, 11)):
        published = openspliceai_arrays(seed)
        kernel = imported.arrays["trunk.blocks.3.kernel2"][network]
        np.testing.assert_array_equal(kernel[7].T, published["residual_units.3.conv2.weight"][:, :, 7])
        head = imported.arrays["head.kernel"][network]
        np.testing.assert_array_equal(head.T, published["final_conv.weight"][:, :, 0])
        skip = imported.arrays["trunk.skips.1.bias"][network]
        np.testing.assert_array_equal(skip, published["residual_units.4.conv.bias"])


def test_batch_norm_is_folded(openspliceai: Path) -> None:
    arrays, published = import_spliceai(openspliceai).arrays, openspliceai_arrays(10)
    x = np.random.default_rng(0).standard_normal(CHANNELS)
    gamma, beta, mean, variance = (
        published[f"residual_units.2.batchnorm1.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    expected = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    folded = x * arrays["trunk.blocks.2.scale1"][0] + arrays["trunk.blocks.2.offset1"][0]
    np.testing.assert_allclose(folded, expected, rtol=1e-4, atol=1e-4)


def test_arrays_are_those_of_the_network() -> None:
    nnx = pytest.importorskip("flax.nnx")
    from vepscore.networks.dilated.splice_networks import Pangolin, SpliceAI

    for network in (SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)), Pangolin(PANGOLIN, rngs=nnx.Rngs(0))):
        found = {name: array.shape for name, array in arrays_of(network).items()}
        assert expected_shapes(network.config, network.classes) == found


def test_network_of_other_channels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_80nt_rs10.pt").write_bytes(torch_file(openspliceai_arrays(0, channels=8)))
    with pytest.raises(
        CheckpointError, match=r"trunk.stem.kernel: found the shapes \[\(4, 8\)\], expected \(4, 32\)"
    ):
        import_spliceai(tmp_path)


def test_missing_array_is_named(tmp_path: Path) -> None:
    arrays = openspliceai_arrays(0)
    del arrays["residual_units.1.conv2.bias"]
    (tmp_path / "model_80nt_rs10.pt").write_bytes(torch_file(arrays))
    with pytest.raises(CheckpointError, match=r"has no array 'residual_units\.1\.conv2\.bias'"):
        import_spliceai(tmp_path)


@pytest.mark.parametrize(
    "names", [[], ["spliceai1.h5", "CI-SpliceAI.pb"], ["a/model_80nt_rs10.pt", "b/model_80nt_rs10.pt"]]
)
def test_folder_without_one_network_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="expected those of one"):
        import_spliceai(tmp_path)


@pytest.mark.parametrize("name", ["absent", "not_a_wheel.whl"])
def test_source_that_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "not_a_wheel.whl").write_bytes(b"no zip archive")
    with pytest.raises(CheckpointError, match=name):
        import_spliceai(tmp_path / name)


def test_incomplete_ensemble_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spliceai_encoder_10k_071122_1").write_bytes(b"")
    with pytest.raises(CheckpointError, match="found 0 files spliceai_encoder_10k_071122_0, expected one"):
        import_spliceai(tmp_path)


def pangolin_arrays(number: int, replicate: int) -> dict[str, np.ndarray]:
    """Return a network whose heads tell from which file and which head they are."""
    arrays = {}

    def add(layer: str, *shape: int) -> None:
        arrays[f"{layer}.weight"] = np.zeros(shape, np.float32)
        arrays[f"{layer}.bias"] = np.zeros(shape[0], np.float32)

    add("conv1", CHANNELS, 4, 1)
    for layer in ("skip", *(f"convs.{group}" for group in range(4))):
        add(layer, CHANNELS, CHANNELS, 1)
    for block in range(16):
        width = 11 if block < 8 else 21 if block < 12 else 41
        for layer in (1, 2):
            add(f"resblocks.{block}.conv{layer}", CHANNELS, CHANNELS, width)
            for name in ("weight", "bias", "running_mean", "running_var"):
                arrays[f"resblocks.{block}.bn{layer}.{name}"] = np.ones(CHANNELS, np.float32)
    for head in range(8):
        add(f"conv_last{head + 1}", 1 if head % 2 else 2, CHANNELS, 1)
        arrays[f"conv_last{head + 1}.bias"][-1] = 100 * head + 10 * number + replicate
    return arrays


def test_pangolin_reads_the_networks_of_its_command_line(tmp_path: Path) -> None:
    for number in (0, 2, 4, 6):
        for replicate in (1, 2, 3):
            file = torch_file(pangolin_arrays(number, replicate))
            (tmp_path / f"final.{replicate}.{number}.3.v2").write_bytes(file)
    imported = import_pangolin(tmp_path)
    expected = [110 * number + replicate for number in (0, 2, 4, 6) for replicate in (1, 2, 3)]
    assert imported.arrays["head.bias"][:, 0].tolist() == expected
    assert imported.publication is PANGOLIN_PUBLICATION
    with pytest.raises(CheckpointError, match=r"found 0 files final\.1\.1\.3\.v2"):
        import_pangolin(tmp_path, usage=True)


def test_tracks_are_by_strand_in_the_order_of_the_network() -> None:
    table = pangolin_tracks(PANGOLIN)[Output.SPLICE_SITE_USAGE]
    assert len(table) == 16
    assert table.strand_partners.tolist() == [*range(8, 16), *range(8)]
    assert (table.name[0], table.strand[0], table.name[7]) == ("heart_splice_site", "+", "testis_usage")
    assert SPLICE_CLASSES[0] == "donor+"


def field(number: int, content: bytes | int) -> bytes:
    """Encode a field of a protobuf message."""
    if isinstance(content, int):
        return bytes([number << 3]) + varint(content)
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def constant(name: str, array: np.ndarray, shape: Iterator[int] | tuple[int, ...]) -> bytes:
    dimensions = b"".join(field(2, field(1, size)) for size in shape)
    tensor = field(1, 1) + field(2, dimensions) + field(4, array.astype("<f4").tobytes())
    attribute = field(1, b"value") + field(2, field(8, tensor))
    return field(1, field(1, name.encode()) + field(2, b"Const") + field(5, attribute))


def test_constants_of_a_frozen_graph_are_read_by_name() -> None:
    kernel = np.arange(300, dtype=np.float32).reshape(3, 100)
    other = field(1, field(1, b"x") + field(2, b"Placeholder"))
    graph = other + constant("kernel", kernel, kernel.shape) + constant("bias", kernel[0], (100,))
    found = read_constants(graph, "graph.pb")
    assert found.keys() == {"kernel", "bias"}
    np.testing.assert_array_equal(found["kernel"], kernel)


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (constant("kernel", np.ones(3), (4,)), "graph.pb: kernel: found 12 bytes"),
        (constant("kernel", np.ones(3), (4,))[:-1], "not a frozen TensorFlow graph"),
        (b"", "without arrays"),
    ],
)
def test_damaged_graph_is_an_error(graph: bytes, problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        read_constants(graph, "graph.pb")


def test_keras_wheel_is_read_without_keras(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    names = keras_names(16)
    assert names.skips == ("conv1d_2", "conv1d_11", "conv1d_20", "conv1d_29", "conv1d_38")
    assert (names.convolutions[4], names.norms[15]) == (
        ("conv1d_12", "conv1d_13"),
        ("batch_normalization_31", "batch_normalization_32"),
    )
    with zipfile.ZipFile(tmp_path / "spliceai.whl", "w") as wheel:
        for number in range(1, 6):
            path = tmp_path / "network.h5"
            with h5py.File(path, "w") as file:
                write_keras(file.create_group("model_weights"), number)
            wheel.write(path, f"spliceai/models/spliceai{number}.h5")
    imported = import_spliceai(tmp_path / "spliceai.whl")
    assert imported.publication.license == "CC-BY-NC-4.0"
    assert imported.arrays["head.bias"].tolist() == [[number] * 3 for number in range(1, 6)]
    np.testing.assert_allclose(imported.arrays["trunk.blocks.0.scale1"], 1 / np.sqrt(1.001), rtol=1e-6)


def write_keras(group: "h5py.Group", number: int) -> None:  # noqa: F821
    names = keras_names(16)
    widths = [11] * 8 + [21] * 4 + [41] * 4
    shapes = {names.stem: (1, 4, CHANNELS), names.heads[0]: (1, CHANNELS, 3)}
    shapes |= {skip: (1, CHANNELS, CHANNELS) for skip in names.skips}
    for pair, width in zip(names.convolutions, widths, strict=True):
        shapes |= {name: (width, CHANNELS, CHANNELS) for name in pair}
    layers = {
        layer: {"kernel:0": np.zeros(shape), "bias:0": np.full(shape[-1], number)}
        for layer, shape in shapes.items()
    }
    for norm in (name for pair in names.norms for name in pair):
        values = ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")
        layers[norm] = {name: np.ones(CHANNELS) for name in values}
    for layer, arrays in layers.items():
        weights = group.create_group(layer)
        weights.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in arrays]
        for name, array in arrays.items():
            weights[f"{layer}/{name}"] = array.astype(np.float32)
