"""Compare `vepscore score` with the published program of the same network, on the same variants, in one run.

    python -m examples.benchmarks.programs variants.vcf --score "-r genome.fa -g genes.gtf --checkpoint spliceai" \
        --program "spliceai -I {vcf} -O {output} -R genome.fa -A genes.txt -D 50"

Each is run as users run it, with start-up and loading of weights, in turns. Code that vepscore compiles is kept from a
first run of a few variants, which is not timed. In the program's command, {vcf} and {output} are replaced.
"""

import argparse
import collections
import shlex
import sys
import tempfile
from pathlib import Path

import pysam

from examples.benchmarks.processes import START, run_measured
from examples.benchmarks.report import Row, print_table
from vepscore.threads import granted_threads

_RECORDS_OF_LENGTH = 2


def main() -> None:
    """Print time, memory and variants a minute of both, and the ratio of their times."""
    arguments = _parse()
    ours = [sys.executable, "-c", START, "score", "{vcf}", "-o", "{output}", *shlex.split(arguments.score)]
    commands = {"program": shlex.split(arguments.program), "vepscore": ours}
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.vcf"
        _copy_few(arguments.vcf, few)
        _measure(ours, few, 1)
    count = _count_alleles(arguments.vcf)
    rows = [
        {"command": name, **_measure(command, arguments.vcf, count)}
        for _ in range(arguments.rounds)
        for name, command in commands.items()
    ]
    print_table(f"{count} alleles, {granted_threads()} threads", rows)
    program, vepscore = (sum(row["seconds"] for row in rows if row["command"] == name) for name in commands)
    print(f"the program takes {program / vepscore:.1f} times as long")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vcf", type=Path)
    parser.add_argument("--score", required=True, help="options of `vepscore score` beside input and output")
    parser.add_argument("--program", required=True, help="command of the program, with {vcf} and {output}")
    parser.add_argument("--rounds", type=int, default=1)
    return parser.parse_args()


def _count_alleles(vcf: Path) -> int:
    with pysam.VariantFile(str(vcf)) as variants:
        return sum(len(record.alts or ()) for record in variants)


def _copy_few(vcf: Path, path: Path) -> None:
    """Copy the first records of each length of alleles, by powers of 2: what is compiled depends on it."""
    copied: collections.Counter[int] = collections.Counter()
    with (
        pysam.VariantFile(str(vcf)) as variants,
        pysam.VariantFile(str(path), "w", header=variants.header) as copy,
    ):
        for record in variants:
            length = max(map(len, record.alleles or ("",))).bit_length()
            if copied[length] < _RECORDS_OF_LENGTH:
                copied[length] += 1
                copy.write(record)


def _measure(command: list[str], vcf: Path, alleles: int) -> Row:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.vcf"
        row = run_measured([word.format(vcf=vcf, output=output) for word in command])
    if row["exit status"]:
        raise SystemExit(f"exit status {row['exit status']}: {shlex.join(command)}")
    return {**row, "alleles a minute": alleles / row["seconds"] * 60}


if __name__ == "__main__":
    main()
