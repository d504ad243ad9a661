"""Real variants, killed, divided and merged: the bytes are always those of one run that nothing interrupted."""

import dataclasses
import gzip
import os
import pathlib
import signal
import subprocess
import time
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from tests.cli.scoring import SCRIPT
from tests.paths import need
from tests.schedulers.conftest import EXAMPLES, PATH, needs
from tests.schedulers.slurm import TOOLS, running_cluster
from vepscore.io.journal import SUFFIX

pytestmark = [pytest.mark.slow, pytest.mark.alone]

RECORDS = 2565  # ClinVar on chr16
KILLS = 20
INTERRUPTED = 0.8  # of the time that a run takes, spent in runs that are killed
SHARDS = 7
WORKERS = 3
VCF, TABLE = "out.vcf.gz", "out.parquet"
OUTPUTS = (VCF, f"{VCF}.tbi", TABLE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clinic:
    """Scores the records in the smallest window, so that it takes minutes."""

    source: pathlib.Path
    environment: dict[str, str]

    @property
    def options(self) -> list[str]:
        """Of `score`: the files that it reads, and how."""
        files = [self.source, "-r", need("data/hg38_native.fa.gz"), "-g", need("data/refseq_hg38.gtf.gz")]
        return [*map(str, files), "--window", "16kb", "--device", "cpu"]

    def start(self, folder: pathlib.Path, *options: str, prefix: str = "") -> subprocess.Popen[bytes]:
        """A run that writes into `folder`."""
        outputs = ["-o", f"{prefix}{VCF}", "-o", f"{prefix}{TABLE}"]
        words = [SCRIPT, "score", *self.options, *outputs, *options]
        return subprocess.Popen(words, cwd=folder, env=self.environment, stderr=subprocess.PIPE)

    def finish(self, folder: pathlib.Path, *options: str, prefix: str = "") -> float:
        """The seconds that a run takes, which must end well."""
        begun = time.monotonic()
        run = self.start(folder, *options, prefix=prefix)
        _, said = run.communicate()
        assert run.returncode == 0, said.decode()
        return time.monotonic() - begun


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    folder = tmp_path_factory.mktemp("clinic")
    with gzip.open(need("data/clinvar_2016.hg38.vcf.gz"), "rt") as file:
        lines = [line for line in file if line.startswith(("#", "chr16\t"))]
    (folder / "clinvar.vcf").write_text("".join(lines))
    assert sum(line[0] != "#" for line in lines) == RECORDS
    # Rounding depends on the number of threads, and Slurm would grant more than there may be cores.
    environment = os.environ | {"VEPSCORE_CACHE": str(folder / "cache"), "NPROC": "2", "PATH": PATH}
    return Clinic(source=folder / "clinvar.vcf", environment=environment)


class Whole(NamedTuple):
    """A run that nothing interrupted."""

    written: list[bytes]
    seconds: float


@pytest.fixture(scope="module")
def whole(clinic: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    seconds = clinic.finish(folder)
    print(f"one process: {seconds:.0f} s")
    return Whole(contents(folder), seconds)


def contents(folder: pathlib.Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in OUTPUTS]


def test_run_killed_at_random_moments_ends_with_the_same_bytes(
    clinic: Clinic, whole: Whole, tmp_path: pathlib.Path
) -> None:
    # Together shorter than the run, which must not end before the last.
    shares = np.random.default_rng(0).uniform(0.2, 1, KILLS + 1)
    moments = INTERRUPTED * whole.seconds * shares / shares.sum()
    begun = time.monotonic()
    for number, moment in enumerate(moments):
        run = clinic.start(tmp_path)
        time.sleep(moment)
        assert run.poll() is None, "the run ended before it was killed"
        run.send_signal(signal.SIGKILL if number < KILLS else signal.SIGTERM)
        run.communicate(timeout=20)
        assert run.returncode == (-signal.SIGKILL if number < KILLS else 128 + signal.SIGTERM)
        assert not any((tmp_path / name).exists() for name in OUTPUTS)
    clinic.finish(tmp_path)
    print(f"killed {KILLS} times and stopped once: {time.monotonic() - begun:.0f} s")
    assert contents(tmp_path) == whole.written
    assert {path.name for path in tmp_path.iterdir()} == set(OUTPUTS)


def test_shards_merge_into_the_same_bytes(clinic: Clinic, whole: Whole, tmp_path: pathlib.Path) -> None:
    seconds = [
        clinic.finish(tmp_path, "--shard", f"{number}/{SHARDS}", prefix=f"{number}.")
        for number in range(1, SHARDS + 1)
    ]
    begun = time.monotonic()
    for name in (VCF, TABLE):
        parts = [f"{number}.{name}" for number in range(SHARDS, 0, -1)]
        subprocess.run([SCRIPT, "merge", *parts, "-o", name], cwd=tmp_path, check=True)
    print("shards:", *(f"{part:.0f}" for part in seconds), f"s; merged in {time.monotonic() - begun:.1f} s")
    assert contents(tmp_path) == whole.written


def test_workers_of_which_one_is_killed_give_the_same_bytes(
    clinic: Clinic, whole: Whole, tmp_path: pathlib.Path
) -> None:
    begun = time.monotonic()
    run = clinic.start(tmp_path, "--cluster", f"local:{WORKERS}")
    journal = tmp_path / f".{VCF}{SUFFIX}"
    while not (journal.exists() and journal.stat().st_size > 1 << 20):
        assert run.poll() is None
        time.sleep(0.5)
    busiest_below(run.pid).kill()
    _, said = run.communicate()
    assert run.returncode == 0, said.decode()
    print(f"{WORKERS} workers, one of them killed: {time.monotonic() - begun:.0f} s")
    assert contents(tmp_path) == whole.written


@needs(*TOOLS, origin="Debian: slurm-wlm, munge")
def test_slurm_array_writes_the_same_bytes(
    clinic: Clinic, whole: Whole, tmp_path_factory: pytest.TempPathFactory, tmp_path: pathlib.Path
) -> None:
    with running_cluster(tmp_path_factory.mktemp("slurm"), clinic.environment) as cluster:
        begun = time.monotonic()
        cluster.run("bash", EXAMPLES / "02_slurm" / "submit.sh", tmp_path, SHARDS, *clinic.options)
        cluster.wait(3600)
        print(f"Slurm array of {SHARDS}: {time.monotonic() - begun:.0f} s")
    logs = "\n".join(log.read_text() for log in sorted(tmp_path.glob("*.log")))
    written = [tmp_path / name.replace("out.", "scored.") for name in OUTPUTS]
    assert all(path.exists() for path in written), logs
    assert [path.read_bytes() for path in written] == whole.written


def busiest_below(pid: int) -> psutil.Process:
    """The process that has computed most: a worker."""
    below = psutil.Process(pid).children(recursive=True)
    return max(below, key=lambda process: process.cpu_times().user)
