"""A tiny teacher of splice sites, and the table `[splicing]` of the toy recipe."""

from pathlib import Path

import numpy as np
from flax import nnx

from tests.networks.dilated.small import SPLICEAI, randomize
from vepscore.model.checkpoint import CheckpointConfig, save_checkpoint
from vepscore.networks.dilated.published import spliceai_tracks
from vepscore.networks.dilated.splice_networks import SpliceAI

TEACHER = "teacher"
SPLICING = """
[splicing]
teachers = ["teacher"]
held_out = ["chr3"]
more_sequence = ["more.fa", "none.fa"]
peak_rate = 0.01
network = { channels = 4, widths = [3, 3], dilations = [1, 4], stem_width = 3 }
stages = [
  { steps = 2, windows = 2, window_bp = 256 },
  { steps = 3, windows = 2, window_bp = 256, changed = 0.6 },
]
labeling = { chunk_bp = 4096, genes = 0.5, elsewhere = 0.2, networks = 1 }
changes = { count = 4, mutated = 0.5 }

[splicing.junctions]
peak_rate = 0.01
sampling = { negative_sites = 2 }
stages = [{ steps = 2, windows = 1, window_bp = 2048 }]
"""


def teacher_network(seed: int = 0) -> SpliceAI:
    """Return an ensemble of two networks with random parameters."""
    return randomize(SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)), seed)


def write_teacher(folder: Path, name: str = TEACHER, seed: int = 0) -> Path:
    """Write it as a checkpoint into a folder."""
    config = CheckpointConfig(
        name=name,
        family="spliceai",
        architecture=SPLICEAI,
        organisms=("human",),
        window_bp=16_384,
        license="MIT",
        training={"citation": "Doe 2024"},
    )
    save_checkpoint(folder / name, teacher_network(seed), config, {"human": spliceai_tracks(name)})
    return folder / name


def write_recipe(folder: Path, toy: str) -> Path:
    """Write a recipe with `[splicing]`, and the first file of `more_sequence`; return the recipe's path."""
    bases = np.random.default_rng(0).choice(list("ACGT"), 5_000)
    (folder / "more.fa").write_text(f">mm10_chr1_5\n{''.join(bases)}\n")
    path = folder / "splicing.toml"
    path.write_text(toy + SPLICING)
    return path
