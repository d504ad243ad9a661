"""A small network of the compact family with random parameters, and its checkpoint."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from flax import nnx

from tests.builders import tiny_config, tiny_tracks
from tests.networks.alphagenome.tiny import create_random
from vepscore.model.checkpoint import CheckpointConfig, save_checkpoint
from vepscore.networks.compact.compact_config import CompactConfig, SpliceStackConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.outputs import Output, Tracks

TISSUES = 4
STACK = SpliceStackConfig(
    channels=6,
    widths=(5, 3, 3),
    dilations=(1, 8, 64),
    stem_width=5,
    tissues=TISSUES,
    max_splice_sites=16,
)
REACH_BP = 2 + 4 * 1 + 2 * 8 + 2 * 64
SPLICING = (Output.SPLICE_SITES, Output.SPLICE_SITE_USAGE, Output.SPLICE_JUNCTIONS)
TRACKS = (Output.CAGE, Output.DNASE, Output.RNA_SEQ, Output.CONTACT_MAPS)
WINDOW_BP = 16_384


def small_config() -> CompactConfig:
    """Return the sizes of a network that predicts splicing, three coverage tracks and contact maps."""
    sizes = tiny_config()
    heads = {output: sizes.heads[output] for output in TRACKS}
    return CompactConfig(splicing=STACK, tracks=dataclasses.replace(sizes, organisms=1, heads=heads))


def small_network() -> CompactNetwork:
    """Return a network of these sizes, in which every array is random."""
    return create_random(lambda: CompactNetwork(small_config(), rngs=nnx.Rngs(0)))


def small_tracks() -> dict[Output, Tracks]:
    """Return the tracks of every output, in pairs of strands."""
    tracks = tiny_tracks()
    usage = _choose(tracks[Output.SPLICE_SITE_USAGE], [0, 1], channels=[0, 1])
    splicing = (Output.SPLICE_SITES, Output.SPLICE_JUNCTIONS)
    return {output: tracks[output] for output in (*TRACKS, *splicing)} | {Output.SPLICE_SITE_USAGE: usage}


def build_small(folder: Path) -> Path:
    """Write the network as a checkpoint into the folder."""
    config = CheckpointConfig(
        name="small",
        family="compact",
        architecture=small_config(),
        organisms=("human",),
        window_bp=WINDOW_BP,
        license="Apache-2.0",
    )
    save_checkpoint(folder / "small", small_network(), config, {"human": small_tracks()})
    return folder / "small"


def random_codes(width_bp: int, seed: int = 0) -> np.ndarray:
    """Return random bases, uint8 (S,)."""
    return np.random.default_rng(seed).integers(0, 4, width_bp, np.uint8)


def _choose(tracks: Tracks, rows: Sequence[int], *, channels: Sequence[int]) -> Tracks:
    arrays = {name: values[rows] for name, values in vars(tracks).items() if isinstance(values, np.ndarray)}
    return dataclasses.replace(tracks, **arrays | {"channel": np.array(channels, np.int32)})
