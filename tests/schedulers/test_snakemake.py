"""examples/03_snakemake under Snakemake itself."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.schedulers.conftest import EXAMPLES, RESUMES, SHARDS, Bench, has_progress, needs, results_in
from tests.schedulers.slurm import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.alone, needs("snakemake", origin="PyPI: snakemake")]

SNAKEFILE = EXAMPLES / "03_snakemake" / "Snakefile"
_SECONDS = 240


def command(bench: Bench, folder: Path, shards: int) -> list[str]:
    files = ["vcf=in.vcf", "reference=tiny.fa", "genes=tiny.gtf"]
    settings = [*files, f"shards={shards}", f"folder={folder}", f"options={bench.options}"]
    return ["snakemake", "--snakefile", str(SNAKEFILE), "--cores", "4", "--nolock", "--config", *settings]


def test_shards_and_merge_write_what_one_process_writes(
    bench: Bench, expected: dict[str, bytes], tmp_path: Path
) -> None:
    done = bench.run(*command(bench, tmp_path, SHARDS))
    assert done.returncode == 0, done.stderr
    assert results_in(tmp_path) == expected


def test_terminated_shard_is_run_again_and_resumes(
    bench: Bench, expected: dict[str, bytes], tmp_path: Path
) -> None:
    run = subprocess.Popen(
        command(bench, tmp_path, 1),
        cwd=bench.folder,
        env=bench.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    parts = tmp_path / "parts-of-1"
    wait_until(lambda: has_progress(parts), _SECONDS, "no progress")
    os.kill(scoring_process(parts), signal.SIGTERM)
    _, said = run.communicate(timeout=_SECONDS)
    assert run.returncode == 0, said
    assert said.index("terminated\n") < said.index(RESUMES)
    assert results_in(tmp_path) == expected


def scoring_process(folder: Path) -> int:
    """The id of the process that writes there."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if f"{folder}/1.vcf.gz".encode() in words:
            return int(entry.name)
    raise AssertionError(f"no process writes into {folder}")
