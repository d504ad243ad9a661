"""Write checkpoints of any size in the official layout: an Orbax directory, and track metadata as textproto."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, tiny_network, tiny_tracks
from vepscore.networks.alphagenome.config import TRACK_RESOLUTIONS_BP
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.official.names import official_leaf, official_shape
from vepscore.outputs import Output, Tracks

METADATA_FILES = {
    "human": "OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto",
    "mouse": "OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto",
}
_STRANDS = {"+": "POSITIVE", "-": "NEGATIVE", ".": "UNSTRANDED"}


def write_official(directory: Path, network: AlphaGenome | None = None) -> Path:
    """Write a network that is not folded, by default the tiny one; `directory` must not exist."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(directory.absolute(), official_arrays(network or tiny_network()))
    return directory


def official_arrays(network: AlphaGenome) -> tuple[dict[str, dict], dict[str, dict]]:
    """Return the parameters and state: module path → leaf name → float32 array, in the official shapes."""
    halves: tuple[dict[str, dict], dict[str, dict]] = ({}, {})
    for path, variable in nnx.to_flat_state(nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat))):
        leaf = official_leaf(path, variable)
        array = np.asarray(variable.get_value(), np.float32)
        halves[leaf.half].setdefault(leaf.module, {})[leaf.name] = array.reshape(
            official_shape(leaf, array.shape)
        )
    return halves


def write_metadata(
    folder: Path,
    tracks: Mapping[str, Mapping[Output, Tracks]] | None = None,
    heads: Mapping[Output, int] | None = None,
) -> dict[str, Path]:
    """Write a textproto file per organism, and return their paths by organism.

    Args:
        folder: created if missing.
        tracks: the real tracks by organism; by default those of the tiny network.
        heads: the channels of each head; channels without a track are padding.
    """
    tracks = tracks or {organism: tiny_tracks(organism=organism) for organism in METADATA_FILES}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {organism: folder / METADATA_FILES[organism] for organism in tracks}
    for organism, path in paths.items():
        path.write_text(metadata_text(tracks[organism], heads or CONFIG.heads))
    return paths


def metadata_text(tracks: Mapping[Output, Tracks], heads: Mapping[Output, int]) -> str:
    """Return the tracks of one organism as in the official metadata, in the order of their channels."""
    return "".join(_output_text(output, tracks.get(output), channels) for output, channels in heads.items())


def _output_text(output: Output, tracks: Tracks | None, channels: int) -> str:
    is_junctions = output is Output.SPLICE_JUNCTIONS
    rows = {} if tracks is None else {int(channel): i for i, channel in enumerate(tracks.channel)}
    padding = ['name: "Padding"', *([] if is_junctions else ["strand: STRAND_UNSTRANDED"])]
    entries = [
        _block("metadata", _track_lines(output, tracks, rows[channel]) if channel in rows else padding)
        for channel in range(channels)
    ]
    tracks_block = _block("junctions" if is_junctions else "tracks", itertools.chain(*entries))
    lines = _block("output_metadata", [f"output_type: OUTPUT_TYPE_{output}", *tracks_block])
    return "".join(f"{line}\n" for line in lines)


def _track_lines(output: Output, tracks: Tracks, i: int) -> Iterator[str]:
    yield f'name: "{tracks.name[i]}"'
    if output is not Output.SPLICE_JUNCTIONS:
        yield f"strand: STRAND_{_STRANDS[tracks.strand[i]]}"
    ontology, _, number = tracks.ontology_curie[i].partition(":")
    if ontology:
        yield from _block("ontology_term", [f"ontology_type: ONTOLOGY_TYPE_{ontology}", f"id: {int(number)}"])
    if tracks.biosample_name[i]:
        yield from _block("biosample", ["type: BIOSAMPLE_TYPE_TISSUE", f'name: "{tracks.biosample_name[i]}"'])
    if tracks.assay[i]:
        yield f'assay: "{tracks.assay[i]}"'
    if output in TRACK_RESOLUTIONS_BP:
        yield f"nonzero_mean: {tracks.nonzero_mean[i]!s}"


def _block(name: str, lines: Iterable[str]) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]
