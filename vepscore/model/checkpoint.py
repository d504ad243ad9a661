"""Our checkpoint layout: a directory that opens fast, offline, and can execute nothing.

config.json         architecture, window, licence and terms notice, training summary (`CheckpointConfig`)
tracks.parquet      names, strands, biosamples and means of the tracks
model.safetensors   the arrays, by their path in the network
SHA256SUMS          a hash of each of the above; its own hash names the checkpoint in every output
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import safetensors
import safetensors.flax
from flax import nnx

from vepscore.errors import CheckpointError
from vepscore.model.config import ModelConfig
from vepscore.model.heads import TrackHead, TrackMean
from vepscore.model.layers import fold_convolutions
from vepscore.model.network import AlphaGenome
from vepscore.model.tracks import read_tracks, write_tracks
from vepscore.outputs import Output, Tracks

FORMAT = 1
CONFIG_FILE, TRACKS_FILE, ARRAYS_FILE, HASHES_FILE = (
    "config.json",
    "tracks.parquet",
    "model.safetensors",
    "SHA256SUMS",
)
_HASHED_FILES = (CONFIG_FILE, TRACKS_FILE, ARRAYS_FILE)
_STORED = (nnx.Param, nnx.BatchStat)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What `config.json` says."""

    name: str
    architecture: ModelConfig
    organisms: tuple[str, ...]  # in the order of the organism-specific parameters
    window_bp: int  # the window that the network is meant for
    rotary_dtype: str  # dtype of the tower's rotary tables: "float32" or "bfloat16"
    licence: str  # SPDX identifier or name of the terms
    terms_notice: str | None = None  # repeated in every output where the licence asks for it
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # data, splits, steps, figures

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = dataclasses.asdict(self) | {"architecture": self.architecture.to_json()}
        return {"format": FORMAT} | values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened checkpoint, ready to predict for one organism."""

    config: CheckpointConfig
    network: AlphaGenome  # convolutions folded, parameters in the run's dtype
    tracks: Mapping[Output, Tracks]
    organism_index: int
    digest: str  # sha256 hex of SHA256SUMS


def save_checkpoint(
    directory: Path,
    network: AlphaGenome,
    config: CheckpointConfig,
    tracks: Mapping[str, Mapping[Output, Tracks]],
) -> None:
    """Writes a network that is not folded, with the tracks of each organism."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIG_FILE).write_text(json.dumps(config.to_json(), indent=2) + "\n")
    write_tracks(directory / TRACKS_FILE, tracks)
    arrays = {
        _name(path): leaf.get_value()
        for path, leaf in nnx.to_flat_state(nnx.state(network, nnx.Any(*_STORED)))
    }
    safetensors.flax.save_file(arrays, directory / ARRAYS_FILE)
    sums = [f"{_sha256(directory / name)}  {name}\n" for name in _HASHED_FILES]
    (directory / HASHES_FILE).write_text("".join(sums))


def read_config(directory: Path) -> CheckpointConfig:
    """Reads `config.json`.

    Raises:
        CheckpointError: it is missing, is not JSON, or is of another format.
    """
    path = directory / CONFIG_FILE
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{directory}: no {CONFIG_FILE}, so not a vepscore checkpoint",
            hint="`vepscore weights list` shows the checkpoints at hand",
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"{path}: not checkpoint format {FORMAT}", hint="use a newer version of vepscore"
        )
    known = {field.name for field in dataclasses.fields(CheckpointConfig)}
    if known != values.keys():
        raise CheckpointError(
            f"{path}: fields do not fit\n"
            f"missing: {sorted(known - values.keys())}; unknown: {sorted(values.keys() - known)}"
        )
    architecture = ModelConfig.from_json(values.pop("architecture"))
    organisms = tuple(values.pop("organisms"))
    return CheckpointConfig(architecture=architecture, organisms=organisms, **values)


def load_checkpoint(directory: Path, *, organism: str = "human", dtype: str = "float32") -> Checkpoint:
    """Opens a checkpoint for one organism, with its parameters in `dtype`.

    Raises:
        CheckpointError: a file is missing or damaged, the arrays do not fit the architecture, or the organism is
            not among the checkpoint's.
    """
    config = read_config(directory)
    if organism not in config.organisms:
        raise CheckpointError(
            f"{directory}: predicts {', '.join(config.organisms)}, not {organism}",
            hint="pass --organism with one of those",
        )
    tracks = read_tracks(directory / TRACKS_FILE, organism)
    network = nnx.eval_shape(lambda: AlphaGenome(config.architecture, rngs=nnx.Rngs(0)))
    _fill(network, _read_arrays(directory / ARRAYS_FILE), where=directory / ARRAYS_FILE)
    organism_index = config.organisms.index(organism)
    set_track_means(network, tracks, organism_index)
    fold_convolutions(network)
    _cast(network, jnp.dtype(dtype))
    return Checkpoint(
        config=config,
        network=network,
        tracks=tracks,
        organism_index=organism_index,
        digest=checkpoint_digest(directory),
    )


def checkpoint_digest(directory: Path) -> str:
    """What names the checkpoint in every output: the sha256, in hex, of its list of hashes.

    Raises:
        CheckpointError: the list is missing.
    """
    return hashlib.sha256(_read_hashes(directory).encode()).hexdigest()


def verify_checkpoint(directory: Path) -> None:
    """Compares every file with its hash.

    Raises:
        CheckpointError: a file is missing or differs; all of them are named.
    """
    problems = []
    for line in _read_hashes(directory).splitlines():
        expected, _, name = line.partition("  ")
        path = directory / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif (found := _sha256(path)) != expected:
            problems.append(f"{name}: sha256 is {found}, expected {expected}")
    if problems:
        raise CheckpointError(
            f"{directory}: damaged\n" + "\n".join(problems), hint="copy or fetch the checkpoint again"
        )


def set_track_means(network: AlphaGenome, tracks: Mapping[Output, Tracks], organism_index: int) -> None:
    """Puts the means of the track table into the heads, which scale their predictions by them; 1 where it has none."""
    architecture = network.config
    for name, head in network.heads.items():
        if isinstance(head, TrackHead):
            means = jnp.ones((architecture.organisms, architecture.heads[Output(name)]))
            table = tracks.get(Output(name))
            if table is not None:
                means = means.at[organism_index, table.channel].set(table.nonzero_mean)
            head.means = TrackMean(means)


def _fill(network: AlphaGenome, arrays: Mapping[str, jax.Array], *, where: Path) -> None:
    """Puts `arrays` into the abstract `network`; missing, unexpected and misshapen ones are reported together."""
    expected = {_name(path): leaf for path, leaf in nnx.to_flat_state(nnx.state(network, nnx.Any(*_STORED)))}
    problems = [
        f"missing: {name}, expected {leaf.shape}" for name, leaf in expected.items() if name not in arrays
    ]
    problems += [
        f"unexpected: {name}, found {array.shape}" for name, array in arrays.items() if name not in expected
    ]
    problems += [
        f"misshapen: {name}, found {arrays[name].shape}, expected {leaf.shape}"
        for name, leaf in expected.items()
        if name in arrays and arrays[name].shape != leaf.shape
    ]
    if problems:
        raise CheckpointError(f"{where}: arrays do not fit the architecture\n" + "\n".join(problems))
    state = nnx.state(network, nnx.Any(*_STORED))
    filled = [(path, leaf.replace(arrays[_name(path)])) for path, leaf in nnx.to_flat_state(state)]
    nnx.update(network, nnx.from_flat_state(filled))


def _cast(network: AlphaGenome, dtype: jnp.dtype) -> None:
    """Parameters to `dtype`; stored statistics stay float32."""
    state = nnx.state(network, nnx.Param)
    nnx.update(network, jax.tree.map(lambda x: x.astype(dtype), state))


def _read_arrays(path: Path) -> dict[str, jax.Array]:
    try:
        return safetensors.flax.load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error})", hint="copy or fetch the checkpoint again"
        ) from error


def _read_hashes(directory: Path) -> str:
    try:
        return (directory / HASHES_FILE).read_text()
    except FileNotFoundError as error:
        raise CheckpointError(f"{directory / HASHES_FILE}: missing") from error


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
