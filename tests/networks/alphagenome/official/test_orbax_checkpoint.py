"""The official layout with a tiny network: opened directly, imported, and refused if damaged."""

import dataclasses
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, embed, tiny_network
from tests.official_checkpoint import official_arrays, write_metadata, write_official
from tests.paths import need
from vepscore.errors import CheckpointError, OutputError
from vepscore.model.checkpoint import Checkpoint, load_checkpoint, read_config, verify_checkpoint
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.official.names import OfficialLeaf, architecture_of, expected_leaves
from vepscore.networks.alphagenome.official.orbax_checkpoint import (
    ROTARY_DTYPE,
    TERMS_NOTICE,
    import_checkpoint,
    load_official,
)
from vepscore.networks.alphagenome.stored_form import abstract_alphagenome
from vepscore.outputs import Output

ORGANISMS = ("human", "mouse")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(tmp_path_factory.mktemp("official") / "all-folds")


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_metadata(tmp_path_factory.mktemp("metadata"))


@pytest.fixture(scope="module")
def imported(official: Path, metadata: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("imported") / "ours"
    import_checkpoint(official, output, metadata=metadata, name="ours")
    return output


@pytest.fixture
def copy(official: Path, tmp_path: Path) -> Path:
    """Return a copy of the official checkpoint, to be damaged."""
    return Path(shutil.copytree(official, tmp_path / "copy"))


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare arrays and tracks one by one."""
    assert nnx.graphdef(found.network) == nnx.graphdef(expected.network)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(found.network), nnx.state(expected.network))
    assert found.tracks.keys() == expected.tracks.keys()
    for output, tracks in expected.tracks.items():
        assert np.array_equal(found.tracks[output].name, tracks.name)
        assert np.array_equal(found.tracks[output].channel, tracks.channel)
        assert np.array_equal(found.tracks[output].nonzero_mean, tracks.nonzero_mean)


@pytest.mark.parametrize("organism", ORGANISMS)
@pytest.mark.parametrize("outputs", [None, {Output.CHIP_TF, Output.SPLICE_JUNCTIONS}])
def test_imported_and_direct_are_the_same(
    official: Path, metadata: dict[str, Path], imported: Path, organism: str, outputs: set[Output] | None
) -> None:
    direct = load_official(official, metadata[organism], organism=organism, outputs=outputs)
    assert_same(load_checkpoint(imported, organism=organism, outputs=outputs), direct)


@pytest.mark.parametrize("index", range(2))
def test_predicts_what_the_network_did_before(
    official: Path, metadata: dict[str, Path], codes: np.ndarray, index: int
) -> None:
    loaded = load_official(official, metadata[ORGANISMS[index]], organism=ORGANISMS[index])
    before = embed(tiny_network(), codes, organism=index)
    for found, expected in zip(embed(loaded.network, codes), before, strict=True):
        assert np.allclose(found, expected, atol=1e-4)


def test_bfloat16_import_is_what_the_official_mixed_precision_runs(
    official: Path, metadata: dict[str, Path], imported: Path, tmp_path: Path
) -> None:
    import_checkpoint(official, tmp_path / "half", metadata=metadata, name="half", dtype="bfloat16")
    half = load_checkpoint(tmp_path / "half", dtype="bfloat16")
    assert_same(half, load_official(official, metadata["human"], dtype="bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(half.network, nnx.Param))} == {
        jnp.dtype("bfloat16")
    }
    arrays = [path / "model.safetensors" for path in (tmp_path / "half", imported)]
    assert arrays[0].stat().st_size < 0.7 * arrays[1].stat().st_size


def test_imported_checkpoint_states_its_origin(imported: Path) -> None:
    verify_checkpoint(imported)
    config = read_config(imported)
    assert config.name == "ours"
    assert config.architecture == dataclasses.replace(CONFIG, max_splice_sites=512)
    assert config.organisms == ORGANISMS
    assert config.rotary_dtype == ROTARY_DTYPE == "bfloat16"
    assert config.terms_notice == TERMS_NOTICE
    assert "non-commercial" in TERMS_NOTICE and "clinical" in TERMS_NOTICE
    assert set(config.training["sha256"]) == {
        "checkpoint",
        "OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto",
        "OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto",
    }


def test_import_reports_its_progress(official: Path, metadata: dict[str, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    import_checkpoint(
        official, tmp_path / "ours", metadata=metadata, name="ours", observe=lambda *at: seen.append(at)
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 100_000


def test_import_replaces_nothing(official: Path, metadata: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "kept").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        import_checkpoint(official, tmp_path / "ours", metadata=metadata, name="ours")
    assert [path.name for path in tmp_path.rglob("*")] == ["ours", "kept"]


def test_digest_depends_on_arrays_and_metadata(
    official: Path, metadata: dict[str, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.textproto"
    other.write_text(metadata["human"].read_text() + "\n")
    digests = {load_official(official, path).digest for path in (metadata["human"], other)}
    changed = write_official(tmp_path / "changed", tiny_network(seed=1))
    digests.add(load_official(changed, metadata["human"]).digest)
    assert len(digests) == 3


def test_architecture_is_read_from_the_shapes() -> None:
    for architecture in (CONFIG, ModelConfig.alphagenome()):
        shapes = expected_leaves(abstract_alphagenome(architecture))
        assert architecture_of(shapes) == dataclasses.replace(architecture, max_splice_sites=512)


def test_every_leaf_of_the_official_checkpoint_has_its_place() -> None:
    rows = [line.split("\t") for line in need("parity/param_tree.tsv").read_text().splitlines()[1:]]
    official = {
        OfficialLeaf(("param", "state").index(kind), module, name): tuple(
            int(size) for size in shape.split(",") if size
        )
        for kind, module, name, shape, _ in rows
    }
    assert len(official) == 670
    assert expected_leaves(abstract_alphagenome(ModelConfig.alphagenome())) == official


def rewritten(folder: Path, change: Callable[[tuple[dict, dict]], Any]) -> Path:
    """Write an official checkpoint with changed arrays."""
    arrays = official_arrays(tiny_network())
    change(arrays)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "changed", arrays)
    return folder / "changed"


def test_missing_unexpected_and_misshapen_leaves_are_reported_together(
    metadata: dict[str, Path], tmp_path: Path
) -> None:
    def change(arrays: tuple[dict, dict]) -> None:
        params, state = arrays
        params["alphagenome/embeds"] = params.pop("alphagenome/embed")
        params["alphagenome/output_pair/layer_norm"]["scale"] = np.ones(9, np.float32)
        state.clear()

    with pytest.raises(CheckpointError) as caught:
        load_official(rewritten(tmp_path, change), metadata["human"])
    message = str(caught.value)
    assert str(tmp_path / "changed") in message
    assert "missing: params/alphagenome/embed/embeddings, expected (2, 1536)" in message
    assert "unexpected: params/alphagenome/embeds/embeddings, found (2, 56)" in message
    assert (
        "misshapen: params/alphagenome/output_pair/layer_norm/scale, found (9,), expected (128,)" in message
    )
    assert "missing: state/alphagenome/transformer_tower/mha_block/rms_batch_norm/var_ema" in message
    assert caught.value.hint


def files_of(directory: Path) -> list[Path]:
    """Return the files that contain arrays, largest first."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.parent.name == "d"]
    return sorted(files, key=lambda path: -path.stat().st_size)


def truncate(directory: Path) -> None:
    largest = files_of(directory)[0]
    os.truncate(largest, largest.stat().st_size // 2)


def lose_arrays(directory: Path) -> None:
    for path in files_of(directory):
        path.unlink()


def lose_manifest(directory: Path) -> None:
    for path in directory.rglob("manifest.ocdbt"):
        path.unlink()


def lose_description(directory: Path) -> None:
    (directory / "_METADATA").unlink()


def garble_description(directory: Path) -> None:
    text = (directory / "_METADATA").read_text()
    (directory / "_METADATA").write_text(text[: len(text) // 2])


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def pickle_for_arrays(directory: Path) -> None:
    for path in [*files_of(directory), *directory.rglob("manifest.ocdbt")]:
        path.write_bytes(pickle.dumps(Trap(directory / "unpickled")))


def pickle_for_description(directory: Path) -> None:
    (directory / "_METADATA").write_bytes(pickle.dumps(Trap(directory / "unpickled")))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lose_arrays,
        lose_manifest,
        lose_description,
        garble_description,
        pickle_for_arrays,
        pickle_for_description,
    ],
)
def test_damaged_copy(
    copy: Path, metadata: dict[str, Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(copy)
    for attempt in (
        lambda: load_official(copy, metadata["human"]),
        lambda: import_checkpoint(copy, tmp_path / "ours", metadata=metadata, name="ours"),
    ):
        with pytest.raises(CheckpointError) as caught:
            attempt()
        assert caught.value.message.startswith(str(copy))
        assert caught.value.hint
    assert not (copy / "unpickled").exists()
    assert not (tmp_path / "ours").exists()


def test_other_orbax_checkpoint(metadata: dict[str, Path], tmp_path: Path) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "other", {"step": np.arange(3)})
    with pytest.raises(CheckpointError, match="not a pair of parameters and state"):
        load_official(tmp_path / "other", metadata["human"])


def test_metadata_of_another_checkpoint(official: Path) -> None:
    path = need("parity/OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto.gz")
    with pytest.raises(CheckpointError, match="RNA_SEQ: found 768 tracks, expected 6"):
        load_official(official, path)


def test_metadata_of_the_other_organism(official: Path, metadata: dict[str, Path], tmp_path: Path) -> None:
    swapped = {"human": metadata["mouse"], "mouse": metadata["human"]}
    with pytest.raises(CheckpointError, match="the file name is that of mouse metadata, not human"):
        load_official(official, metadata["mouse"], organism="human")
    with pytest.raises(CheckpointError, match="the file name is that of mouse metadata, not human"):
        import_checkpoint(official, tmp_path / "ours", metadata=swapped, name="ours")


def test_our_layout_is_named_where_the_official_one_is_given(official: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(official)
    assert "weights import" in caught.value.hint


@pytest.fixture(scope="module")
def network() -> AlphaGenome:
    return tiny_network()
