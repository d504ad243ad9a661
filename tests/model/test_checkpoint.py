"""Test that a saved checkpoint is loaded unchanged, and refused if it is damaged or from a newer version."""

import dataclasses
import hashlib
import json
import pickle
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, WINDOW_BP, embed, tiny_network, tiny_tracks
from vepscore.errors import CheckpointError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.checkpoint import (
    ARRAYS_FILE,
    CONFIG_FILE,
    HASHES_FILE,
    TRACKS_FILE,
    CheckpointConfig,
    load_checkpoint,
    read_config,
    save_checkpoint,
    verify_checkpoint,
    write_checkpoint,
)
from vepscore.networks.alphagenome.heads import TrackHead, TrackMean
from vepscore.networks.alphagenome.layers import fold_convolutions, standardized_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output

FILES = {CONFIG_FILE, TRACKS_FILE, ARRAYS_FILE, HASHES_FILE}
TINY = CheckpointConfig(
    name="tiny",
    architecture=CONFIG,
    organisms=("human", "mouse"),
    window_bp=WINDOW_BP,
    rotary_dtype="float32",
    license="Apache-2.0",
    terms_notice="Not for clinical use.",
    training={"steps": 3, "auprc": {"donor": 0.5}},
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, network: AlphaGenome) -> Path:
    directory = tmp_path_factory.mktemp("checkpoints") / "tiny"
    tracks = {organism: tiny_tracks(organism=organism) for organism in TINY.organisms}
    save_checkpoint(directory, network, TINY, tracks)
    return directory


@pytest.fixture
def directory(saved: Path, tmp_path: Path) -> Path:
    """Return a copy of the saved checkpoint, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def predict(
    network: AlphaGenome, embeddings: Embeddings, outputs: Collection[Output], organism: int
) -> dict[Output, jax.Array]:
    """Predict all outputs except junctions at a few positions."""
    predictions = {}
    for output in outputs - {Output.SPLICE_JUNCTIONS}:
        x = embeddings.of(output)[0, :4]
        predictions[output] = network.predict(output, x, jnp.int32(organism))
    return predictions


@pytest.mark.parametrize("outputs", [None, {Output.RNA_SEQ, Output.SPLICE_SITES}])
@pytest.mark.parametrize("organism", TINY.organisms)
def test_round_trip_gives_the_same_predictions(
    saved: Path, codes: np.ndarray, organism: str, outputs: set[Output] | None
) -> None:
    loaded = load_checkpoint(saved, organism=organism, outputs=outputs)
    original, index = tiny_network(), TINY.organisms.index(organism)
    for name, head in loaded.network.heads.items():
        if isinstance(head, TrackHead):
            original.heads[name].means = TrackMean(jnp.tile(head.means[...], (2, 1)))
    before = embed(original, codes, organism=index)
    after = embed(loaded.network, codes)
    for a, b in zip(before, after, strict=True):
        assert np.allclose(a, b, atol=1e-4)
    read = outputs or loaded.tracks.keys()
    expected = predict(original, before, read, index)
    found = predict(loaded.network, after, read, 0)
    assert found.keys() == expected.keys() and outputs in (None, set(found))
    for output, values in found.items():
        assert np.allclose(values, expected[output], rtol=1e-3, atol=1e-5), output


def test_only_what_a_run_needs_is_loaded(saved: Path) -> None:
    network = load_checkpoint(saved, outputs={Output.RNA_SEQ, Output.CONTACT_MAPS}).network
    assert set(network.heads) == {Output.RNA_SEQ, Output.CONTACT_MAPS}
    assert set(network.heads[Output.RNA_SEQ].resolutions) == {"1"}
    assert network.heads[Output.RNA_SEQ].resolutions["1"].linear.weight.shape == (1, 16, 6)
    assert network.organism.embedding.shape == (1, CONFIG.trunk_channels)


def test_config_and_tracks_come_back(saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.config == read_config(saved) == TINY
    assert list(loaded.tracks) == list(CONFIG.heads)
    assert loaded.digest == hashlib.sha256((saved / HASHES_FILE).read_bytes()).hexdigest()


def test_track_means_are_those_of_the_table(saved: Path) -> None:
    head = load_checkpoint(saved).network.heads[Output.RNA_SEQ]
    means = tiny_tracks()[Output.RNA_SEQ].nonzero_mean
    assert np.array_equal(head.means[...], [[*means, 1]])


def test_no_array_stays_abstract_where_the_organism_lacks_an_output(saved: Path) -> None:
    network = load_checkpoint(saved, organism="mouse").network
    leaves = jax.tree.leaves(nnx.state(network))
    assert leaves and all(isinstance(leaf, jax.Array) for leaf in leaves)


def test_parameters_take_the_dtype_and_statistics_stay_float32(saved: Path) -> None:
    network = load_checkpoint(saved, dtype="bfloat16").network
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(network, nnx.BatchStat))} == {
        jnp.dtype("float32")
    }


def test_convolutions_are_folded_once(saved: Path, network: AlphaGenome, tmp_path: Path) -> None:
    loaded = load_checkpoint(saved).network
    nodes = list(standardized_convolutions(loaded))
    assert nodes and all(node.folded and not hasattr(node, "scale") for node in nodes)
    assert not any(node.folded for node in standardized_convolutions(network))
    folded = nnx.clone(network)
    fold_convolutions(folded)
    tracks = {organism: tiny_tracks(organism=organism) for organism in TINY.organisms}
    save_checkpoint(tmp_path / "folded", folded, TINY, tracks)
    assert (tmp_path / "folded" / HASHES_FILE).read_text() == (saved / HASHES_FILE).read_text()


def test_arrays_are_written_whatever_the_order_of_their_axes_in_memory(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_checkpoint(tmp_path, {"transposed": np.asfortranarray(array)}, TINY, {"human": tiny_tracks()})
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / ARRAYS_FILE)["transposed"], array)


def test_saving_twice_gives_the_same_bytes(saved: Path, network: AlphaGenome, tmp_path: Path) -> None:
    tracks = {organism: tiny_tracks(organism=organism) for organism in TINY.organisms}
    save_checkpoint(tmp_path / "again", network, TINY, tracks)
    assert (tmp_path / "again" / HASHES_FILE).read_text() == (saved / HASHES_FILE).read_text()


def test_all_files_can_be_read_by_the_same_people(saved: Path) -> None:
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1


def test_nothing_is_pickled(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    load_checkpoint(saved)
    assert {path.name for path in saved.iterdir()} == FILES


def test_a_pickle_in_place_of_the_arrays_is_refused(directory: Path) -> None:
    (directory / ARRAYS_FILE).write_bytes(pickle.dumps({"organism.embedding": [1.0]}))
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(directory)


def rewrite_arrays(directory: Path, changes: Mapping[str, np.ndarray], *, without: str | None = None) -> None:
    arrays = safetensors.flax.load_file(directory / ARRAYS_FILE)
    arrays = {name: array for name, array in arrays.items() if name != without}
    safetensors.flax.save_file(
        arrays | {name: jnp.asarray(array) for name, array in changes.items()}, directory / ARRAYS_FILE
    )


def test_missing_unexpected_and_misshapen_arrays_are_reported_together(directory: Path) -> None:
    changes = {
        "tower.extra.kernel": np.zeros((2, 3), np.float32),
        "embedder_pair.norm.scale": np.ones(9, np.float32),
    }
    rewrite_arrays(directory, changes, without="organism.embedding")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(directory)
    message = str(caught.value)
    assert "missing: organism.embedding, expected (2, 56)" in message
    assert "unexpected: tower.extra.kernel, found (2, 3)" in message
    assert "misshapen: embedder_pair.norm.scale, found (9,), expected (8,)" in message
    assert str(directory / ARRAYS_FILE) in message


@pytest.mark.parametrize("kept", [0, 4, 500, -1])
def test_truncated_arrays(directory: Path, kept: int) -> None:
    path = directory / ARRAYS_FILE
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a whole safetensors file") as caught:
        load_checkpoint(directory)
    assert caught.value.hint


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(directory)


def test_unknown_organism(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="predicts human, mouse, not zebrafish") as caught:
        load_checkpoint(saved, organism="zebrafish")
    assert "--organism" in caught.value.hint


def test_verify_accepts_what_was_saved(saved: Path) -> None:
    verify_checkpoint(saved)


@pytest.mark.parametrize("name", sorted(FILES - {HASHES_FILE}))
def test_verify_finds_one_changed_byte(directory: Path, name: str) -> None:
    contents = bytearray((directory / name).read_bytes())
    contents[len(contents) // 2] ^= 1
    (directory / name).write_bytes(contents)
    with pytest.raises(CheckpointError, match=f"{name}: sha256 is [0-9a-f]{{64}}, expected"):
        verify_checkpoint(directory)


def test_verify_names_all_that_is_wrong(directory: Path) -> None:
    (directory / TRACKS_FILE).unlink()
    (directory / CONFIG_FILE).write_text("{}")
    with pytest.raises(CheckpointError, match=r"(?s)config.json: sha256.*tracks.parquet: missing"):
        verify_checkpoint(directory)


def edit_config(directory: Path, **changes: Any) -> None:
    path = directory / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_unknown_config_field_is_named(directory: Path) -> None:
    edit_config(directory, licenses="MIT")
    with pytest.raises(CheckpointError, match=r"unknown: \['licenses'\]"):
        read_config(directory)


def test_config_of_an_earlier_version_has_one_window_for_indels_and_every_scorer(directory: Path) -> None:
    path = directory / "config.json"
    values = json.loads(path.read_text())
    del values["indel_anchor"], values["scorers"]
    path.write_text(json.dumps(values))
    config = read_config(directory)
    assert (config.indel_anchor, config.scorers) == (IndelAnchor.LEFT, None)


@pytest.mark.parametrize("name", ["window_bp", "terms_notice"])
def test_missing_config_field_is_named(directory: Path, name: str) -> None:
    path = directory / "config.json"
    values = json.loads(path.read_text())
    del values[name]
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=rf"missing: \['{name}'\]"):
        read_config(directory)


def test_unknown_architecture_field_is_named(directory: Path) -> None:
    edit_config(directory, architecture=dataclasses.asdict(CONFIG) | {"dropout": 0.1})
    with pytest.raises(CheckpointError, match=r"unknown: \['dropout'\]"):
        read_config(directory)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("name", 3, "name: found 3, expected text"),
        ("window_bp", True, "window_bp: found true, expected a whole number from 1 to 1048576"),
        ("window_bp", 2_097_152, "window_bp: found 2097152, expected a whole number from 1 to 1048576"),
        ("rotary_dtype", "float64", "rotary_dtype: found \"float64\", expected 'float32' or 'bfloat16'"),
        ("organisms", "human", 'organisms: found "human", expected a list'),
        ("organisms", ["human", 9606], "organisms[1]: found 9606, expected text"),
        ("organisms", [], "organisms: found an empty list, expected at least one"),
        ("organisms", ["human"] * 3, "organisms: found a list, expected at most 2"),
        ("terms_notice", False, "terms_notice: found false, expected text"),
        ("training", [], "training: found an empty list, expected a table"),
        ("architecture", [], "the architecture must be a JSON object"),
        ("architecture.channels", "32", 'architecture.channels: found "32", expected a whole number from 1'),
        ("architecture.channels", 1 << 17, "architecture.channels: found 131072, expected a whole number"),
        (
            "architecture.local_layers",
            7,
            "architecture.local_layers: found 7, expected a whole number from 0",
        ),
        ("architecture.key_channels", 7, "architecture.key_channels: found 7, expected a multiple of 2"),
        ("architecture.splice_site_threshold", float("nan"), "splice_site_threshold: found NaN, expected"),
        ("architecture.heads", 3, "architecture.heads: found 3, expected a table"),
        (
            "architecture.heads",
            {"RNA_SEQ": 0},
            "architecture.heads.RNA_SEQ: found 0, expected a whole number",
        ),
    ],
)
def test_config_that_no_checkpoint_can_have(directory: Path, name: str, value: Any, said: str) -> None:
    outer, _, inner = name.partition(".")
    edit_config(directory, **{outer: dataclasses.asdict(CONFIG) | {inner: value} if inner else value})
    with pytest.raises(CheckpointError, match=re.escape(said)):
        read_config(directory)


def test_all_impossible_sizes_are_named_together(directory: Path) -> None:
    edit_config(directory, architecture=dataclasses.asdict(CONFIG) | {"channels": 0, "tower_layers": None})
    with pytest.raises(
        CheckpointError, match=r"(?s)architecture\.channels: found 0.*tower_layers: found null"
    ):
        read_config(directory)


def test_newer_format(directory: Path) -> None:
    edit_config(directory, format=3)
    with pytest.raises(CheckpointError, match="not checkpoint format 2") as caught:
        read_config(directory)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_config_that_is_not_json(directory: Path, text: str) -> None:
    (directory / CONFIG_FILE).write_text(text)
    with pytest.raises(CheckpointError, match="not JSON"):
        read_config(directory)


def test_config_may_begin_with_a_byte_order_mark(directory: Path) -> None:
    expected = read_config(directory)
    path = directory / CONFIG_FILE
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_config(directory) == expected


def test_directory_without_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a vepscore checkpoint"):
        load_checkpoint(tmp_path)
