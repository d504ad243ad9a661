"""The parsers under a fuzzer that is guided by their coverage, for as long as `VEPSCORE_FUZZ_SECONDS` says, in all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT
from tests.fuzz.file_checks import TARGETS

SECONDS = int(os.environ.get("VEPSCORE_FUZZ_SECONDS", "80"))
LIMITS = ("-timeout=30", "-rss_limit_mb=4096", "-max_len=8192", "-print_final_stats=1")


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_parser(tmp_path: Path, name: str) -> None:
    pytest.importorskip("atheris", reason="needs atheris, which has wheels for Linux and macOS only")
    (tmp_path / "corpus").mkdir()
    options = [f"-max_total_time={max(1, SECONDS // len(TARGETS))}", f"-artifact_prefix={tmp_path}/", *LIMITS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.targets", name, str(tmp_path / "corpus"), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",  # htslib repeats what is in a file
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-5000:]
    print("\n".join(line for line in said.splitlines() if line.startswith("stat::number_of_executed_units")))
