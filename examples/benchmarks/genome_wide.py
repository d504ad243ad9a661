"""Measure the cost of a VCF whose alleles are as rarely in genes as those of a whole genome.

    python -m examples.benchmarks.genome_wide --records 100000

Draws substitutions, insertions and deletions on pieces of hg38, sorted, 1% of them in genes, and gives them to
`vepscore score` with the splice scorers, which apply in genes only: those outside genes alone, then all. Each run is a
process of its own; memory is its peak resident size. Other options go to `vepscore score`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.benchmarks.processes import START
from examples.benchmarks.report import Row, report
from tests.paths import SHARED
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference

CONTIGS = ("chr16", "chr2", "chr20")
SCORERS = ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS", "SPLICE_EVENTS")
INDEL_FRACTION = 0.15
MOST_BP = 10  # largest number of bases inserted or deleted
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Variant(NamedTuple):
    """An allele. Sorts by contig and position."""

    contig: int  # index into CONTIGS
    pos1: int
    ref: str
    alt: str
    in_gene: bool


def main() -> None:
    """Print a table: a run without the alleles in genes, and one with them."""
    parser = argparse.ArgumentParser(prog="python -m examples.benchmarks.genome_wide", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--in-genes", type=float, default=0.01, metavar="FRACTION")
    parser.add_argument("--reference", type=Path, default=SHARED / "data" / "hg38_native.fa.gz")
    parser.add_argument("--genes", type=Path, default=SHARED / "data" / "refseq_hg38.gtf.gz")
    parser.add_argument("--window", default="16kb")
    parser.add_argument("--output", type=Path, help="folder for JSON")
    options, others = parser.parse_known_args()
    reference = Reference(options.reference, cache_dir())
    annotation = Annotation.from_gtf(options.genes, cache_dir())
    variants = draw(reference, annotation, options.records, options.in_genes)
    command = ["-r", str(options.reference), "-g", str(options.genes), "--window", options.window]
    command += [word for name in SCORERS for word in ("-s", name)] + others
    outside = [variant for variant in variants if not variant.in_gene]
    rows = [measure("outside genes", outside, command), measure("all", variants, command)]
    report("genome wide", rows, options.output)


def draw(reference: Reference, annotation: Annotation, count: int, in_genes: float) -> list[Variant]:
    """Draw `count` alleles at different positions, the same on every run."""
    rng = np.random.default_rng(0)
    places = [place for index in range(len(CONTIGS)) for place in _places(reference, annotation, index)]
    chosen = []
    for in_gene, number in ((True, round(count * in_genes)), (False, count - round(count * in_genes))):
        contigs = np.concatenate([place.contigs for place in places if place.in_gene is in_gene])
        positions = np.concatenate([place.positions for place in places if place.in_gene is in_gene])
        for index in rng.choice(len(positions), number, replace=False):
            contig, pos0 = int(contigs[index]), int(positions[index])
            chosen.append(_vary(reference, contig, pos0, rng, in_gene=in_gene))
    return sorted(chosen)


class _Places(NamedTuple):
    """Return positions of known bases, in genes or outside."""

    contigs: np.ndarray
    positions: np.ndarray
    in_gene: bool


def _places(reference: Reference, annotation: Annotation, contig: int) -> Iterator[_Places]:
    name = CONTIGS[contig]
    bases = np.frombuffer(reference.fetch(name, 0, reference.contigs[name]), np.uint8)
    known = bases != ord("N")
    for size in range(1, MOST_BP + 1):  # every base that may be deleted
        known[:-size] &= bases[size:] != ord("N")
    covered = np.zeros(len(bases), bool)
    for gene in annotation.genes_overlapping(name, 0, len(bases)):
        covered[gene.start0 : gene.end0] = True
    beside = covered.copy()
    for size in range(1, MOST_BP + 1):
        beside[:-size] |= covered[size:]
    for in_gene, where in ((True, covered), (False, ~beside)):
        positions = np.flatnonzero(where & known)
        yield _Places(np.full(len(positions), contig, np.int8), positions, in_gene)


def _vary(
    reference: Reference, contig: int, pos0: int, rng: np.random.Generator, *, in_gene: bool
) -> Variant:
    bases = reference.fetch(CONTIGS[contig], pos0, pos0 + MOST_BP + 1).decode("ascii")
    size = int(rng.integers(1, MOST_BP + 1))
    kind = rng.random()
    if kind < INDEL_FRACTION / 2:
        ref, alt = bases[: size + 1], bases[0]
    elif kind < INDEL_FRACTION:
        ref, alt = bases[0], bases[0] + "".join(rng.choice(list("ACGT"), size))
    else:
        ref, alt = bases[0], str(rng.choice([base for base in "ACGT" if base != bases[0]]))
    return Variant(contig, pos0 + 1, ref, alt, in_gene)


def measure(name: str, variants: Sequence[Variant], command: Sequence[str]) -> Row:
    """Run `vepscore score` on the alleles."""
    with tempfile.TemporaryDirectory() as folder:
        source, summary = Path(folder) / "in.vcf", Path(folder) / "run.json"
        with source.open("w") as file:
            file.write(HEADER)
            file.writelines(
                f"{CONTIGS[contig]}\t{pos1}\t.\t{ref}\t{alt}\t.\t.\t.\n"
                for contig, pos1, ref, alt, _ in variants
            )
        outputs = ["-o", str(Path(folder) / "out.vcf.gz"), "--json-summary", str(summary), "--quiet"]
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", START, "score", str(source), *command, *outputs])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"vepscore score ended with exit status {process.returncode}")
        found = json.loads(summary.read_text())
    return {
        "alleles": name,
        "number": len(variants),
        "OK": found["statuses"].get("OK", 0),
        "NOT_APPLICABLE": found["statuses"].get("NOT_APPLICABLE", 0),
        "seconds": seconds,
        "of these opening": found["seconds"]["opening"],
        "CPU seconds": usage.ru_utime + usage.ru_stime,
        "alleles/s": len(variants) / seconds,
        "peak MB": usage.ru_maxrss * 1024 / 1e6,
    }


if __name__ == "__main__":
    main()
