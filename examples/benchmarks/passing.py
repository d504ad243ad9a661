"""Measure the cost of records that cannot be scored, through the whole of `vepscore score`.

    python -m examples.benchmarks.passing --records 200000 2000000

The VCF is drawn here: contigs that the reference lacks, symbolic ALTs, positions before the contig, and a few variants
that are scored, by the embedded checkpoint on a small genome. Each run is a process of its own. Memory is its peak
resident size, which must not grow with the records.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.benchmarks.processes import START
from examples.benchmarks.report import Row, report
from tests.builders import WINDOW_BP, TinyGenome, build_genome, vcf_row

OUTPUTS = {
    "VCF": ("out.vcf",),
    "VCF, bgzipped": ("out.vcf.gz",),
    "VCF and table": ("out.vcf", "--table", "out.tsv"),
    "VCF and Parquet": ("out.vcf", "--table", "out.parquet"),
}
SCORED = 5
_HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\n"


def main() -> None:
    """Print a table: outputs by number of records."""
    parser = argparse.ArgumentParser(prog="python -m examples.benchmarks.passing", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--outputs", choices=OUTPUTS, nargs="+", default=list(OUTPUTS))
    parser.add_argument("--output", type=Path, help="folder for JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        genome = build_genome(Path(folder))
        _measure(Path(folder), genome, 1_000, OUTPUTS["VCF"])  # compiles, and indexes the genome
        rows = [
            {"outputs": name, "records": records} | _measure(Path(folder), genome, records, OUTPUTS[name])
            for name in options.outputs
            for records in options.records
        ]
    report("passing", rows, options.output)


def _measure(folder: Path, genome: TinyGenome, records: int, outputs: Sequence[str]) -> Row:
    vcf = folder / f"{records}.vcf"
    if not vcf.exists():
        with vcf.open("w") as file:
            file.writelines(_lines(records))
    command = [sys.executable, "-c", START, "score", vcf, "--quiet", "--window", WINDOW_BP]
    command += ["--reference", genome.fasta, "--genes", genome.gtf, "--output", *outputs]
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=folder, env=os.environ | {"VEPSCORE_CACHE": str(folder / "cache")}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"vepscore score ended with exit status {process.returncode}")
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "CPU seconds": usage.ru_utime + usage.ru_stime,
        "records/s": records / seconds,
        "peak MB": usage.ru_maxrss * 1024 / 1e6,
    }


def _lines(records: int) -> Iterator[str]:
    yield _HEADER
    kinds = [
        ("chrUn_KI270302v1", "{}", "A", "C"),
        ("chr1", "{}", "N", "<DEL>"),
        ("chrUn_KI270302v1", "{}", "AT", "A,ATT,<INS>"),
        ("chr1", "0", "A", "G"),
    ]
    every = max(1, records // SCORED)
    for number in range(records):
        if number % every == every // 2:
            chrom, pos1, _, ref, alt = vcf_row("chr1", 13_000 + number // every * 500, 1, "~")
        else:
            chrom, pos1, ref, alt = kinds[number % len(kinds)]
            pos1 = pos1.format(number // len(kinds) + 1)
        yield f"{chrom}\t{pos1}\trs{number}\t{ref}\t{alt}\t50\tPASS\tAC=1;AN=2;DP=30\tGT\t0/1\n"


if __name__ == "__main__":
    main()
