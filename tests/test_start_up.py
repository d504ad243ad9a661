"""The installed command starts fast."""

import pathlib
import subprocess
import sys
import time

from tests.builtin_scorers import BUILTIN

SCRIPT = pathlib.Path(sys.executable).with_name("vepscore")
HELP_SECONDS = 0.5
HEAVY = {
    *("jax", "flax", "numpy", "pandas", "pyarrow", "pydantic", "pysam", "cyvcf2", "pyfaidx"),
    *("matplotlib", "pyBigWig"),
}


def seconds_of_help() -> float:
    started = time.perf_counter()
    subprocess.run([SCRIPT, "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def test_help_answers_in_half_a_second() -> None:
    best = min(seconds_of_help() for _ in range(5))  # of five runs: the machine may be busy
    assert best < HELP_SECONDS


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", SCRIPT, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & HEAVY == set()


def test_builtin_scorers_are_listed() -> None:
    done = subprocess.run([SCRIPT, "scorers"], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[0] for row in rows if row[1].startswith("vepscore ")} == BUILTIN.keys()
