"""Compare the full-size network with borzoi-pytorch on random parameters, in float32.

Needs an environment of its own: $BORZOI_PYTHON names an interpreter that has torch, safetensors and borzoi-pytorch
0.5.1. $BORZOI_REFERENCE names a folder in which its predictions are kept for the next run.
"""

import dataclasses
import os
import resource
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.networks.borzoi import borzoi_reference
from tests.networks.borzoi.borzoi_cases import (
    Rows,
    create_network,
    embed,
    input_dna,
    published_columns,
    write_table,
)
from tests.networks.borzoi.borzoi_reference import CASES
from vepscore.networks.borzoi.config import BIN_BP, TRUNK_BIN_BP
from vepscore.networks.borzoi.family import FAMILY
from vepscore.networks.state_dict import open_state

PYTHON = os.environ.get("BORZOI_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not PYTHON, reason="$BORZOI_PYTHON is not set: an interpreter with borzoi-pytorch"),
]


def _reference(case: str, tmp_path: Path) -> Path:
    """Return the folder with the state dict and the predictions of borzoi-pytorch."""
    folder = Path(os.environ.get("BORZOI_REFERENCE", tmp_path)) / case
    if not (folder / "expected.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([PYTHON, borzoi_reference.__file__, case, folder], check=True)
    return folder


def _table(organism: str, tracks: int) -> Rows:
    """Return a table with as many tracks as the published head, all in one output."""
    return tuple((f"{organism}{index}", 384, 1.0, "sum", index, "DNASE:x") for index in range(tracks))


@pytest.mark.parametrize("name", ["wide", "full"])
def test_every_output_of_a_window(name: str, tmp_path: Path) -> None:
    case, reference = CASES[name], _reference(name, tmp_path)
    targets = FAMILY.read_tables(
        {
            organism: write_table(tmp_path / organism, _table(organism, tracks))
            for organism, tracks in zip(("human", "mouse"), case.tracks, strict=True)
        }
    )
    # The window of the network is the published one, whatever that of the case.
    imported = FAMILY.convert(open_state(reference / "state.safetensors", hint=""), targets)
    crop_bins = (case.trunk_bins * TRUNK_BIN_BP // BIN_BP - case.predicted_bins) // 2
    architecture = dataclasses.replace(imported.architecture, crop_bins=crop_bins)
    imported = dataclasses.replace(imported, architecture=architecture)
    networks = {name: create_network(imported, organism_index=row) for row, name in enumerate(targets)}
    start = time.perf_counter()
    embeddings = embed(networks["human"], input_dna(case)).block_until_ready()  # of both: only heads differ
    print(f"\nembedded in {time.perf_counter() - start:.1f} s, with compilation")
    assert embeddings.shape == (case.predicted_bins, case.embedding)
    largest = {}
    with np.load(reference / "expected.npz") as expected:
        for organism, table in targets.items():
            found = published_columns(networks[organism], table, embeddings, squashed=True)
            values = expected[organism]
            assert values.shape == (case.predicted_bins, len(found))
            largest[organism] = max(
                np.abs(of_column - values[:, column]).max() / values[:, column].std()
                for column, of_column in found.items()
            )
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"largest difference, in standard deviations of a track: {largest}; peak memory {peak_gb:.1f} GB")
    assert max(largest.values()) < 1e-3
