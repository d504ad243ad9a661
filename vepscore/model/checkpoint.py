"""Our checkpoint layout: a directory that opens fast and offline, and contains no code.

config.json         architecture, window, license and terms notice, training summary (`CheckpointConfig`)
tracks.parquet      names, strands, biosamples and means of the tracks
model.safetensors   the arrays, named by their path in the network; kernels of convolutions are standardized
SHA256SUMS          the hash of each file above; its own hash identifies the checkpoint in every output
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from flax import nnx

from vepscore.errors import CheckpointError, OutputError, UsageError
from vepscore.genome.cache import published
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.text_file import ENCODING
from vepscore.model.checkpoint_config import Checkpoint, CheckpointConfig
from vepscore.model.family import Context, abstract_network, find_family
from vepscore.model.loading import compare_shapes, fill_network, stored_variables
from vepscore.model.network import Network
from vepscore.model.registry import FILES, OFFICIAL_FAMILY, is_official, resolve_checkpoint
from vepscore.model.stored_arrays import StoredArrays
from vepscore.model.track_table import read_tracks, with_resolutions, write_tracks
from vepscore.outputs import MAX_WINDOW_BP, Output, Tracks
from vepscore.schema import parse

FORMAT = 2
CONFIG_FILE, TRACKS_FILE, ARRAYS_FILE, HASHES_FILE = FILES
# Fields of config.json that earlier versions did not write, or that not every family needs.
_LATER_FIELDS = ("family", "indel_anchor", "rotary_dtype", "scorers")
_HASHED_FILES = (CONFIG_FILE, TRACKS_FILE, ARRAYS_FILE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defaults:
    """The default settings that a checkpoint states, in the official layout those of the official code."""

    checkpoint: str  # name of the checkpoint
    family: str = OFFICIAL_FAMILY
    architecture: Any  # of the family
    window_bp: int = MAX_WINDOW_BP
    indel_anchor: IndelAnchor = IndelAnchor.LEFT
    scorers: tuple[str, ...] | None = None  # names; None: every scorer that can run

    @property
    def context(self) -> Context:
        """The windows that the network reads."""
        return find_family(self.family).context(self.architecture)

    @property
    def precision(self) -> str | None:
        """The precision of the network; None for the fast one of the device."""
        return find_family(self.family).precision

    @property
    def as_written(self) -> bool:
        """Whether alleles are scored as the record has them, without normalizing them."""
        return find_family(self.family).as_written(self.architecture)

    @property
    def resolutions(self) -> dict[Output, int]:
        """The width in bp of the bins of each output that the network predicts."""
        family = find_family(self.family)
        return {output: family.resolution_bp(self.architecture, output) for output in self.architecture.heads}


def save_checkpoint(
    directory: Path,
    network: Network,
    config: CheckpointConfig,
    tracks: Mapping[str, Mapping[Output, Tracks]],
) -> None:
    """Write a network with the tracks of each organism."""
    network = nnx.clone(network)
    find_family(config.family).prepare_to_store(network)
    arrays = {name: np.asarray(leaf.get_value()) for name, (_, leaf) in stored_variables(network).items()}
    write_checkpoint(directory, arrays, config, tracks)


def write_checkpoint(
    directory: Path,
    arrays: dict[str, np.ndarray],
    config: CheckpointConfig,
    tracks: Mapping[str, Mapping[Output, Tracks]],
) -> None:
    """Write the arrays of a network, named by their path in it, with the tracks of each organism."""
    directory.mkdir(parents=True, exist_ok=True)
    values = {"format": FORMAT} | dataclasses.asdict(config)
    (directory / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n")
    write_tracks(directory / TRACKS_FILE, tracks)
    # The library writes the memory of an array, in whatever order its axes are.
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    safetensors.numpy.save_file(ordered, directory / ARRAYS_FILE)
    # The library makes the file readable only by its owner.
    (directory / ARRAYS_FILE).chmod((directory / CONFIG_FILE).stat().st_mode)
    sums = [f"{_sha256(directory / name)}  {name}\n" for name in _HASHED_FILES]
    (directory / HASHES_FILE).write_text("".join(sums))


def publish_checkpoint(
    output: Path,
    arrays: dict[str, np.ndarray],
    config: CheckpointConfig,
    tracks: Mapping[str, Mapping[Output, Tracks]],
) -> None:
    """Write a checkpoint as `write_checkpoint` does; the directory appears complete or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with published(output) as partial:
            write_checkpoint(partial, arrays, config, tracks)
    except OSError as error:
        raise OutputError(
            f"{output}\ncannot be written: {error.strerror or error}",
            hint="pass a directory that does not exist yet, on a disk with enough space",
        ) from error


def read_config(directory: Path) -> CheckpointConfig:
    """Read `config.json`.

    Raises:
        CheckpointError: it is missing, not JSON, or of another format.
    """
    path = directory / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding=ENCODING))
    except FileNotFoundError as error:
        hint = (
            "this is the official layout: convert it with `vepscore weights import`"
            if is_official(directory)
            else "`vepscore weights list` shows the available checkpoints"
        )
        raise CheckpointError(
            f"{directory}: not a vepscore checkpoint, because {CONFIG_FILE} is missing", hint=hint
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise CheckpointError(
            f"{path}: not checkpoint format {FORMAT}", hint="use a newer version of vepscore"
        )
    if "licence" in values:  # as earlier versions spelled it
        values["license"] = values.pop("licence")
    check_fields(CheckpointConfig, values, str(path), optional=_LATER_FIELDS)
    try:
        architecture = find_family(str(values.get("family", OFFICIAL_FAMILY))).architecture
    except UsageError as error:
        raise CheckpointError(
            f"{path}: {error.message}", hint="install the package that provides this family of networks"
        ) from error
    check_fields(architecture, values["architecture"], f"{path}: the architecture")
    try:
        sizes = parse(architecture, values["architecture"], at="architecture")
        return dataclasses.replace(
            parse(CheckpointConfig, values | {"architecture": None}), architecture=sizes
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: invalid field values\n{error}") from error


def check_fields(kind: type, values: object, where: str, *, optional: Collection[str] = ()) -> None:
    """Check that a JSON object has the fields of a dataclass and no others.

    Args:
        kind: the dataclass.
        values: the object.
        where: the file, for messages.
        optional: fields that may be missing, because earlier versions did not write them.

    Raises:
        CheckpointError: fields are missing or unknown, or `values` is not an object.
    """
    if not isinstance(values, dict):
        raise CheckpointError(f"{where} must be a JSON object")
    known = {field.name for field in dataclasses.fields(kind)}
    required = known.difference(optional)
    if not required <= values.keys() <= known:
        raise CheckpointError(
            f"{where} does not match this version of vepscore\n"
            f"missing: {sorted(required - values.keys())}; unknown: {sorted(values.keys() - known)}",
            hint="use the vepscore version that wrote the checkpoint, or a newer one",
        )


def read_defaults(checkpoint: str | None) -> Defaults:
    """Read the defaults of a checkpoint, without opening its network.

    Args:
        checkpoint: name or directory; None for the embedded checkpoint.

    Raises:
        CheckpointError: there is no such checkpoint, or its `config.json` cannot be read.
    """
    path = resolve_checkpoint(checkpoint)
    if is_official(path):
        family = find_family(OFFICIAL_FAMILY)
        return Defaults(checkpoint=path.name, architecture=family.published())
    config = read_config(path)
    return Defaults(
        checkpoint=config.name,
        family=config.family,
        architecture=config.architecture,
        window_bp=config.window_bp,
        indel_anchor=config.indel_anchor,
        scorers=config.scorers,
    )


def load_checkpoint(
    directory: Path,
    *,
    organism: str = "human",
    dtype: str = "float32",
    outputs: Collection[Output] | None = None,
) -> Checkpoint:
    """Open a checkpoint for one organism.

    Args:
        directory: the checkpoint, in our layout.
        organism: the organism whose rows of organism-specific parameters are read.
        dtype: dtype of the parameters.
        outputs: the outputs whose heads are read, at the resolution at which variants are scored; None for all heads
            at all resolutions.

    Raises:
        CheckpointError: a file is missing or damaged, the arrays do not match the architecture, or the checkpoint does
            not have the organism.
    """
    config = read_config(directory)
    organism_index = find_organism(config, organism, where=directory)
    family = find_family(config.family)
    resolution_bp = functools.partial(family.resolution_bp, config.architecture)
    tracks = with_resolutions(read_tracks(directory / TRACKS_FILE, organism), resolution_bp)
    _check_channels(tracks, config.architecture.heads, where=directory / TRACKS_FILE)
    arrays = StoredArrays(directory / ARRAYS_FILE)
    network = abstract_network(family, config.architecture)
    family.prepare_stored(network)
    expected = {name: leaf.shape for name, (_, leaf) in stored_variables(network).items()}
    compare_shapes(arrays.shapes, expected, where=arrays.path)
    if outputs is not None:
        network.keep_outputs(outputs)
    fill_network(network, arrays, organism_index=organism_index, dtype=dtype)
    network.set_track_means(tracks)
    network.rotary_dtype = config.rotary_dtype
    return Checkpoint(config=config, network=network, tracks=tracks, digest=checkpoint_digest(directory))


def _check_channels(tracks: Mapping[Output, Tracks], heads: Mapping[Output, int], *, where: Path) -> None:
    """Raise CheckpointError if a track has a channel that its head lacks; JAX would read another channel."""
    problems = [
        f"{output}: found channels {table.channel.min()} to {table.channel.max()}, expected 0 to {heads[output] - 1}"
        for output, table in tracks.items()
        if output in heads and not np.all((table.channel >= 0) & (table.channel < heads[output]))
    ]
    if problems:
        raise CheckpointError("\n".join([f"{where}: the tracks do not match the heads", *problems]))


def find_organism(config: CheckpointConfig, organism: str, *, where: Path) -> int:
    """Return the organism's row of the organism-specific parameters.

    Raises:
        CheckpointError: the checkpoint does not have the organism.
    """
    if organism not in config.organisms:
        raise CheckpointError(
            f"{where}: predicts {', '.join(config.organisms)}, not {organism}",
            hint="pass one of these to --organism",
        )
    return config.organisms.index(organism)


def checkpoint_digest(directory: Path) -> str:
    """Return the hex sha256 of the list of hashes, which identifies the checkpoint in every output.

    Raises:
        CheckpointError: the list is missing.
    """
    return hashlib.sha256(_read_hashes(directory).encode()).hexdigest()


def verify_checkpoint(directory: Path) -> None:
    """Compare every file with its hash.

    Raises:
        CheckpointError: files are missing or differ; all of them are listed.
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


def _read_hashes(directory: Path) -> str:
    try:
        return (directory / HASHES_FILE).read_text()
    except FileNotFoundError as error:
        raise CheckpointError(f"{directory / HASHES_FILE}: missing") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory / HASHES_FILE}: cannot be read ({error})") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
