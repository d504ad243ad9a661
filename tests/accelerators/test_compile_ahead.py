"""Compile all functions of a run of the published network for devices that are not there."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accelerators.compile_ahead import TARGETS
from tests.paths import need

VARIANT = "chr20:2817302:G>T"  # in a gene, 0.9 kb from its start
MOST_GB = 14  # leaves some of the smallest device, which has 16


@pytest.mark.slow
@pytest.mark.parametrize("window", ["128kb", "1Mb"])
@pytest.mark.parametrize("target", list(TARGETS))
def test_a_run_compiles_and_fits_into_memory(target: str, window: str, tmp_path: Path) -> None:
    package = TARGETS[target].package
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; make test-accelerators installs it")
    genome, genes = need("data/hg38_native.fa.gz"), need("data/refseq_hg38.gtf.gz")
    command = [
        *(sys.executable, "-m", "tests.accelerators.compile_ahead", target, "--window", window),
        *("-r", genome, "-g", genes, "--variant", VARIANT),
        *("--json", tmp_path / "found.json"),
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    print(done.stdout)
    assert json.loads((tmp_path / "found.json").read_text())["memory of the run, GB"] < MOST_GB
