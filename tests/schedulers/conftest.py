"""What the tests of schedulers share: a small input, and what one process makes of it."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.builders import build_checkpoint, build_genome, vcf_row, write_vcf
from tests.cli.scoring import SCRIPT
from vepscore.io.journal import SUFFIX

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHARDS = 3
RESULTS = ("scored.vcf.gz", "scored.parquet")
RESUMES = "resuming an interrupted run"
_RECORDS = 60
_THREADS = 4
PATH = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def needs(*tools: str, origin: str) -> pytest.MarkDecorator:
    """Skips tests where a tool is neither on the PATH, nor beside vepscore, nor where daemons are."""
    missing = [tool for tool in tools if shutil.which(tool, path=PATH) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} ({origin})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """A folder with in.vcf, tiny.fa and tiny.gtf, in which the schedulers are started."""

    folder: Path
    options: str  # that follow the files
    environment: Mapping[str, str]  # with vepscore and the schedulers on the PATH

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Runs a command in the folder."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


def results_in(folder: Path) -> dict[str, bytes]:
    """The results there, by name."""
    return {name: (folder / name).read_bytes() for name in RESULTS}


def has_progress(folder: Path) -> bool:
    """Whether a run has scored some records of its shard and keeps them in its journal."""
    return any(journal.stat().st_size > 3_000 for journal in folder.glob(f".*{SUFFIX}"))


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("schedulers")
    build_genome(folder)
    checkpoint = build_checkpoint(folder)
    places = np.random.default_rng(5).choice(np.arange(9_000, 20_000), _RECORDS, replace=False)
    write_vcf(folder / "in.vcf", *(vcf_row("chr1", int(place), 1, "~") for place in np.sort(places)))
    # A run within the tests' own process leaves the number of its threads there.
    own = {name: value for name, value in os.environ.items() if name != "NPROC"}
    return Bench(
        folder=folder,
        options=f"-c {checkpoint} --window 16kb",
        environment=own | {"VEPSCORE_CACHE": str(folder / "cache"), "PATH": PATH},
    )


@pytest.fixture(scope="session")
def expected(bench: Bench) -> dict[str, bytes]:
    """What one process writes, with as many threads as the examples give one: rounding depends on their number."""
    files = ["in.vcf", "-r", "tiny.fa", "-g", "tiny.gtf"]
    outputs = [word for name in RESULTS for word in ("-o", name)]
    done = bench.run(
        "env", f"NPROC={_THREADS}", "vepscore", "score", *files, *bench.options.split(), *outputs
    )
    assert done.returncode == 0, done.stderr
    return results_in(bench.folder)
