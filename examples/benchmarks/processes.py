"""Run `vepscore score` as separate processes: peak memory, and the time to the first score."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.benchmarks.cases import KINDS, Places
from examples.benchmarks.inputs import Inputs
from examples.benchmarks.report import Row
from vepscore.genome.cache import ENVIRONMENT_VARIABLE
from vepscore.io.records import Record

START = "from vepscore.cli.main import main; main()"
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def measure_memory(inputs: Inputs, kinds: Sequence[str]) -> Iterator[Row]:
    """Return the peak resident size of a run with one variant, by engine; at least that of this process."""
    places = Places(inputs)
    for kind in kinds:
        for where, in_gene in KINDS.items():
            records, _ = places.isolated(1, in_gene=in_gene)
            with _vcf(records) as path:
                row = {"engine": kind, "variant": where, "window bp": inputs.window_bp}
                yield row | run_measured(_command(inputs, path, "--engine", kind))


def run_measured(command: Sequence[str]) -> Row:
    """Run a command, and return its peak resident size, its time by the clock and of the CPUs, and its exit status."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "peak GB": usage.ru_maxrss * 1024 / 1e9,
        "seconds": time.perf_counter() - started,
        "CPU s": usage.ru_utime + usage.ru_stime,
        "exit status": process.returncode,
    }


def measure_start(inputs: Inputs, repeats: int) -> Iterator[Row]:
    """Return the seconds from the command to the first record, with an empty and with a filled cache directory."""
    records, _ = Places(inputs).isolated(1, in_gene=True)
    with tempfile.TemporaryDirectory() as cache, _vcf(records) as path:
        yield _start_row("empty", [_first_record(inputs, path, cache)])
        shutil.rmtree(Path(cache) / "compiled", ignore_errors=True)
        yield _start_row("without compiled code", [_first_record(inputs, path, cache)])
        yield _start_row("warm", [_first_record(inputs, path, cache) for _ in range(repeats)])


def _start_row(name: str, seconds: Sequence[float]) -> Row:
    middle = sorted(seconds)[len(seconds) // 2]
    return {"cache": name, "s to the first score": middle, "fastest": min(seconds), "slowest": max(seconds)}


def _first_record(inputs: Inputs, vcf: Path, cache: str) -> float:
    started, seconds = time.perf_counter(), None
    environment = os.environ | {ENVIRONMENT_VARIABLE: cache}
    with subprocess.Popen(_command(inputs, vcf), stdout=subprocess.PIPE, env=environment) as process:
        for line in process.stdout:
            if seconds is None and not line.startswith(b"#"):
                seconds = time.perf_counter() - started
    if process.returncode or seconds is None:
        raise SystemExit(f"vepscore score ended with exit status {process.returncode}")
    return seconds


def _command(inputs: Inputs, vcf: Path, *options: str) -> list[str]:
    data = inputs.data
    command = [sys.executable, "-c", START, "score", str(vcf), "--quiet", "--window", str(inputs.window_bp)]
    command += ["--reference", str(data.reference_path), "--genes", str(data.genes_path)]
    if data.checkpoint_name:
        command += ["--checkpoint", data.checkpoint_name]
    if data.polya_path:
        command += ["--polya", str(data.polya_path)]
    return [*command, *options]


@contextlib.contextmanager
def _vcf(records: Sequence[Record]) -> Iterator[Path]:
    """Write the records to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "variants.vcf"
        lines = ["##fileformat=VCFv4.2", _COLUMNS, *(record.line.decode() for record in records)]
        path.write_text("".join(f"{line}\n" for line in lines))
        yield path
