"""Trains the embedded checkpoint: `python -m vepscore.train DATA -o DIR`.

DATA is a folder with `hg38_native.fa.gz`, `hg38_slices.fa.gz`, `refseq_hg38.gtf.gz` and `tracks_32bp.npz`.
"""

import argparse
import dataclasses
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.model.checkpoint import CheckpointConfig, save_checkpoint
from vepscore.model.config import MAX_WINDOW_BP, ModelConfig
from vepscore.model.heads import parameter_count
from vepscore.model.network import AlphaGenome
from vepscore.outputs import Output, Tracks
from vepscore.train.data import TEST_CHROMS, VALID_CHROMS, SpliceData, Split, read_pieces
from vepscore.train.loop import Stage, TrainConfig, train
from vepscore.train.tracks import TrackData

log = logging.getLogger("vepscore.train")

EMBEDDED = TrainConfig(
    architecture=ModelConfig(
        channels=24,
        channel_step=16,
        organisms=1,
        tower_layers=2,
        attention_heads=2,
        key_channels=32,
        value_channels=48,
        pair_channels=16,
        pair_heads=4,
        pair_key_channels=16,
        position_features=16,
        junction_channels=32,
        heads={
            Output.CAGE: 24,
            Output.DNASE: 10,
            Output.RNA_SEQ: 40,
            Output.SPLICE_SITES: 5,
            Output.SPLICE_SITE_USAGE: 2,
            Output.SPLICE_JUNCTIONS: 1,
        },
    ),
    stages=(Stage(steps=1000, window_bp=65_536, splice_windows=3, track_windows=1),),
    track_weight=0.03,
)


def main() -> None:
    """Reads the data, trains, and writes the checkpoint, also along the way."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with sequence, annotation and tracks")
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint directory to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pieces = read_pieces([options.data / f"hg38_{part}.fa.gz" for part in ("native", "slices")], cache_dir())
    annotation = Annotation.from_gtf(options.data / "refseq_hg38.gtf.gz", cache_dir())
    tracks = TrackData(options.data / "tracks_32bp.npz", pieces)
    started = time.monotonic()

    def save(network: AlphaGenome, steps: int) -> None:
        config = _describe(network, steps, minutes=(time.monotonic() - started) / 60)
        save_checkpoint(options.output, network, config, {"human": all_tracks(tracks)})

    network = train(EMBEDDED, SpliceData(pieces, annotation, Split.TRAIN), tracks, _Reporter(save))
    save(network, EMBEDDED.steps)


class _Reporter:
    """Logs the mean losses of every 20 steps and saves every 200."""

    def __init__(self, save: Callable[[AlphaGenome, int], None]) -> None:
        self._save = save
        self._losses: list[dict[str, float]] = []

    def __call__(self, step: int, losses: dict[str, float], current: Callable[[], AlphaGenome]) -> None:
        self._losses.append(losses)
        if step % 20 == 0:
            means = {name: float(np.mean([each[name] for each in self._losses])) for name in losses}
            log.info(json.dumps({"step": step} | {name: round(value, 4) for name, value in means.items()}))
            self._losses.clear()
        if step % 200 == 0:
            self._save(current(), step)


def _describe(network: AlphaGenome, steps: int, *, minutes: float) -> CheckpointConfig:
    return CheckpointConfig(
        name="vepscore-small",
        architecture=network.config,
        organisms=("human",),
        window_bp=MAX_WINDOW_BP,
        rotary_dtype="float32",
        licence="Apache-2.0",
        training={
            "parameters": parameter_count(network),
            "stages": [dataclasses.asdict(stage) for stage in EMBEDDED.stages],
            "steps": steps,
            "minutes": round(minutes, 1),
            "validation_chromosomes": sorted(VALID_CHROMS),
            "test_chromosomes": sorted(TEST_CHROMS),
        },
    )


def all_tracks(tracks: TrackData) -> dict[Output, Tracks]:
    """The measured tracks and those that come from the annotation: splice sites, their usage, junctions."""
    sites = _annotated_tracks(
        Output.SPLICE_SITES, ("donor", "acceptor", "donor", "acceptor"), strands=("+", "+", "-", "-")
    )
    usage = _annotated_tracks(Output.SPLICE_SITE_USAGE, ("usage", "usage"), strands=("+", "-"))
    junctions = _annotated_tracks(Output.SPLICE_JUNCTIONS, ("junction",), strands=(".",))
    return {**tracks.tracks, **{table.output: table for table in (sites, usage, junctions)}}


def _annotated_tracks(output: Output, names: tuple[str, ...], *, strands: tuple[str, ...]) -> Tracks:
    def repeat(text: str) -> np.ndarray:
        return np.array([text] * len(names), dtype=object)

    return Tracks(
        output=output,
        name=np.array(names, dtype=object),
        strand=np.array(strands, dtype=object),
        ontology_curie=repeat(""),
        biosample_name=repeat("RefSeq transcripts"),
        assay=repeat("annotation"),
        nonzero_mean=np.ones(len(names), np.float32),
        channel=np.arange(len(names), dtype=np.int32),
    )


if __name__ == "__main__":
    main()
