"""The official checkpoint, an Orbax directory of (parameters, state): open it, or import it into our layout."""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.errors import CheckpointError
from vepscore.genome.cache import file_digest
from vepscore.model.checkpoint import Checkpoint, CheckpointConfig, find_organism, publish_checkpoint
from vepscore.model.loading import fill_network, stored_variables
from vepscore.model.track_table import with_resolutions
from vepscore.networks.alphagenome.config import ModelConfig, scored_resolution_bp
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.official.arrays import OrbaxArrays
from vepscore.networks.alphagenome.official.hub import LICENSE, TERMS_URL
from vepscore.networks.alphagenome.official.metadata import (
    TrackMetadata,
    check_channels,
    organism_of,
    read_metadata,
)
from vepscore.outputs import MAX_WINDOW_BP, Output

ORGANISMS = ("human", "mouse")  # in the order of the organism-specific parameters
ROTARY_DTYPE: Literal["bfloat16"] = "bfloat16"  # the released weights were trained with it
TERMS_NOTICE = (
    f"Made with AlphaGenome weights and subject to the AlphaGenome model terms, {TERMS_URL}: non-commercial use "
    "only; not to be used to train other models; not validated or approved for clinical use"
)


def load_official(
    directory: Path,
    metadata: Path,
    *,
    organism: str = "human",
    dtype: str = "float32",
    outputs: Collection[Output] | None = None,
) -> Checkpoint:
    """Open an official checkpoint for one organism, otherwise like `load_checkpoint`.

    Args:
        directory: the Orbax directory.
        metadata: the organism's track metadata, a textproto.
        organism: "human" or "mouse".
        dtype: dtype of the parameters.
        outputs: the outputs whose heads are read; None for all.

    Raises:
        CheckpointError: the directory is incomplete, its arrays are not those of the network, or the metadata is of
            another checkpoint.
    """
    arrays = OrbaxArrays(directory, dtype)
    network = arrays.expected_network()
    table = _read_metadata(metadata, organism, network.config)
    tracks = with_resolutions(table.tracks, scored_resolution_bp)
    digest = _digest([*_files(directory), metadata])
    config = _describe(directory.name, network.config, ORGANISMS[: network.config.organisms])
    organism_index = find_organism(config, organism, where=directory)
    if outputs is not None:
        network.keep_outputs(outputs)
    fill_network(network, arrays, organism_index=organism_index, dtype=dtype)
    network.set_track_means(tracks)
    network.rotary_dtype = ROTARY_DTYPE
    return Checkpoint(config=config, network=network, tracks=tracks, digest=digest)


def import_checkpoint(
    directory: Path,
    output: Path,
    *,
    metadata: Mapping[str, Path],
    name: str,
    dtype: str = "float32",
    observe: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Convert an official checkpoint to our layout.

    Args:
        directory: the Orbax directory.
        output: the directory to write, which must not exist; it appears complete or not at all.
        metadata: the track metadata of each organism ("human", "mouse").
        name: name of the new checkpoint.
        dtype: dtype of the parameters, "float32" or "bfloat16"; stored statistics stay float32.
        observe: called with the bytes read so far and in all.

    Raises:
        CheckpointError: as in `load_official`.
        OutputError: `output` cannot be written.
    """
    arrays = OrbaxArrays(directory, dtype)
    network = arrays.expected_network()
    tables = {organism: _read_metadata(path, organism, network.config) for organism, path in metadata.items()}
    config = _describe(
        name,
        network.config,
        ORGANISMS[: network.config.organisms],
        training={
            "imported_from": "an official checkpoint",
            "dtype": dtype,
            "sha256": {path.name: file_digest(path) for path in metadata.values()}
            | {"checkpoint": _digest(_files(directory))},
        },
    )
    converted = _convert(network, arrays, dtype, observe)
    tracks = {organism: table.tracks for organism, table in tables.items()}
    publish_checkpoint(output, converted, config, tracks)


def _convert(
    network: AlphaGenome, arrays: OrbaxArrays, dtype: str, observe: Callable[[int, int], None]
) -> dict[str, np.ndarray]:
    """Read every array of the network, by its path in it, with parameters in `dtype`."""
    variables = {name: leaf for name, (_, leaf) in stored_variables(network).items()}
    total, done = sum(leaf.size for leaf in variables.values()) * 4, 0
    converted = {}
    for name, array in arrays.read(variables, {}):
        wanted = dtype if isinstance(variables[name], nnx.Param) else "float32"
        converted[name] = array.astype(jnp.dtype(wanted))
        done += array.size * 4
        observe(done, total)
    return converted


def _read_metadata(path: Path, organism: str, architecture: ModelConfig) -> TrackMetadata:
    named = organism_of(path)
    if named not in (None, organism):
        raise CheckpointError(
            f"{path}: the file name is that of {named} metadata, not {organism}",
            hint="pass the metadata of each organism; the file name need not contain an organism",
        )
    metadata = read_metadata(path)
    check_channels(metadata, architecture.heads, where=path)
    return metadata


def _describe(
    name: str,
    architecture: ModelConfig,
    organisms: tuple[str, ...],
    training: Mapping[str, Any] | None = None,
) -> CheckpointConfig:
    return CheckpointConfig(
        name=name,
        architecture=architecture,
        organisms=organisms,
        window_bp=MAX_WINDOW_BP,
        rotary_dtype=ROTARY_DTYPE,
        license=LICENSE,
        terms_notice=TERMS_NOTICE,
        training=training or {},
    )


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _digest(paths: Sequence[Path]) -> str:
    """Return the hex sha256 of the list of the files' hashes."""
    lines = "".join(f"{file_digest(path)}  {path.name}\n" for path in paths)
    return hashlib.sha256(os.fsencode(lines)).hexdigest()
