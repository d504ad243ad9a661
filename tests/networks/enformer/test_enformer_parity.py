"""The full-size network equals enformer-pytorch on random parameters; time and memory of both.

ENFORMER_PYTHON is an interpreter that has torch, enformer-pytorch and safetensors. Each network runs in a process of
its own, on as many threads as OMP_NUM_THREADS and the CPU mask say. The parameters take 1 GB on disk.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.networks.enformer.enformer_cases import write_targets

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PYTHON = "ENFORMER_PYTHON"
ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-3  # of an output's standard deviation
COLUMNS = {"human": 5313, "mouse": 1643}
# As many kinds of tracks as there are, in an order in which columns of each head are scattered.
KINDS = ["DNASE:K562", "CHIP:CTCF:K562", "CHIP:H3K27ac:K562", "CAGE:liver", "CHIP:.:H3_K562", "ATAC:K562"]


def run(*command: object) -> None:
    print(
        subprocess.run(
            [str(word) for word in command], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what both networks predicted."""
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"{PYTHON} is not set: needs an interpreter that has torch and enformer-pytorch")
    folder = tmp_path_factory.mktemp("enformer")
    for organism, count in COLUMNS.items():
        write_targets(
            folder / f"targets_{organism}.txt", [KINDS[column % len(KINDS)] for column in range(count)]
        )
    run(python, "tests/networks/enformer/enformer_reference.py", "full", folder)
    run(sys.executable, "-m", "tests.networks.enformer.enformer_full", folder)
    return folder


@pytest.mark.parametrize("organism", COLUMNS)
def test_every_output_equals_enformer_pytorch(folder: Path, organism: str) -> None:
    found, expected = (np.load(folder / name)[organism] for name in ("found.npz", "expected.npz"))
    assert found.shape == expected.shape == (896, COLUMNS[organism])
    deviation = expected.std(axis=0)
    assert deviation.min() > 0  # no track is constant
    error = np.abs(found - expected).max(axis=0) / deviation
    largest = {kind: float(error[first :: len(KINDS)].max()) for first, kind in enumerate(KINDS)}
    print(json.dumps({"organism": organism, "median": float(np.median(error)), "largest": largest}))
    assert error.max() < TOLERANCE


def test_time_and_memory(folder: Path) -> None:
    figures = {name: np.load(folder / f"{name}.npz") for name in ("found", "expected")}
    for name, arrays in figures.items():
        print(
            json.dumps(
                {"run": name, "seconds": arrays["seconds"].tolist(), "peak_gb": float(arrays["peak_gb"])}
            )
        )
    assert figures["found"]["peak_gb"] < 12
