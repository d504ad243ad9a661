"""Killed and stopped runs of the real command leave nothing half-written; the next one ends with the same bytes."""

import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.builders import vcf_row, write_vcf
from tests.cli.scoring import SCRIPT, Bench
from tests.io.samples import run_tool
from vepscore.io.journal import SUFFIX

RECORDS = 30
OUTPUTS = ("out.vcf.gz", "out.parquet", "table.tsv", "spliceai.vcf.gz")
_DEADLINE_SECONDS = 120


def write_input(folder: pathlib.Path) -> None:
    rng = np.random.default_rng(3)
    places = np.sort(rng.choice(np.arange(9_000, 20_000), RECORDS, replace=False))
    write_vcf(folder / "in.vcf", *(vcf_row("chr1", int(place), 1, "~", "<DEL>") for place in places))


def command(bench: Bench) -> list[str]:
    outputs = ["-o", OUTPUTS[0], "-o", OUTPUTS[1], "--table", OUTPUTS[2], "--spliceai", OUTPUTS[3]]
    genome = bench.genome
    files = ["-r", genome.fasta, "-g", genome.gtf, "-c", bench.checkpoint, "--window", "16kb"]
    return [str(word) for word in (SCRIPT, "score", "in.vcf", *files, *outputs)]


def start(bench: Bench, folder: pathlib.Path) -> subprocess.Popen[bytes]:
    as_in_a_terminal = ("env", "--default-signal=INT")  # a shell's background jobs ignore it
    return subprocess.Popen(
        [*as_in_a_terminal, *command(bench)],
        cwd=folder,
        env=os.environ | bench.environment,
        stderr=subprocess.PIPE,
    )


def finish(bench: Bench, folder: pathlib.Path) -> bytes:
    done = subprocess.run(
        command(bench), cwd=folder, env=os.environ | bench.environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr


def journal_bytes(folder: pathlib.Path) -> int:
    journal = folder / f".{OUTPUTS[0]}{SUFFIX}"
    return journal.stat().st_size if journal.exists() else 0


def wait_for_progress(folder: pathlib.Path, run: subprocess.Popen[bytes], beyond: int) -> None:
    """Until the journal is longer."""
    end = time.monotonic() + _DEADLINE_SECONDS
    while journal_bytes(folder) <= beyond:
        assert time.monotonic() < end and run.poll() is None, "no progress"
        time.sleep(0.002)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    names = (*OUTPUTS, f"{OUTPUTS[0]}.tbi", f"{OUTPUTS[3]}.tbi")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def expected(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that nothing interrupts writes."""
    folder = tmp_path_factory.mktemp("whole")
    write_input(folder)
    finish(bench, folder)
    return contents(folder)


@pytest.mark.slow
@pytest.mark.alone
def test_run_resumes_after_a_signal(bench: Bench, tmp_path: pathlib.Path, expected: dict[str, bytes]) -> None:
    """Each after a few records more."""
    write_input(tmp_path)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        run = start(bench, tmp_path)
        wait_for_progress(tmp_path, run, journal_bytes(tmp_path) + 2000)
        run.send_signal(number)
        begun = time.monotonic()
        _, said = run.communicate(timeout=_DEADLINE_SECONDS)
        if number == signal.SIGKILL:
            assert run.returncode == -number
        else:
            assert run.returncode == 128 + number
            assert time.monotonic() - begun < 5
            word = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[number]
            assert said.decode().endswith(f"rerun the same command to resume\n{word}\n")
            assert {path.name for path in tmp_path.iterdir()} == {"in.vcf", f".{OUTPUTS[0]}{SUFFIX}"}
        assert not any((tmp_path / name).exists() for name in OUTPUTS)
    said = finish(bench, tmp_path)
    assert b"resuming an interrupted run: " in said
    assert contents(tmp_path) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"in.vcf", *expected}
    assert int(run_tool("bcftools", "index", "-n", tmp_path / OUTPUTS[0])) == RECORDS


@pytest.mark.parametrize("seconds", [1, 4])
def test_signal_before_the_first_record_ends_it_too(
    bench: Bench, tmp_path: pathlib.Path, seconds: float
) -> None:
    """Standard input that never comes."""
    reading, writing = os.pipe()
    run = subprocess.Popen(
        [*command(bench)[:2], "-", *command(bench)[3:]],
        cwd=tmp_path,
        env=os.environ | bench.environment,
        stdin=reading,
        stderr=subprocess.PIPE,
    )
    time.sleep(seconds)
    run.terminate()
    begun = time.monotonic()
    _, said = run.communicate(timeout=_DEADLINE_SECONDS)
    os.close(reading)
    os.close(writing)
    assert (run.returncode, list(tmp_path.iterdir())) == (128 + signal.SIGTERM, []), said
    assert time.monotonic() - begun < 15
