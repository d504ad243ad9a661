"""Measure how much scores depend on what should not matter: the strand that is read, and how an indel is written.

    python -m examples.benchmarks.steadiness IN.vcf -r GENOME.fa -g GENES.gtf --window 16kb

Scores the variants as they are, on the minus strand, and with every indel written in another way: right-aligned,
left-aligned, and with one more base on its left. Other options are passed to `vepscore score`, such as `--as-written`.
Prints JSON: for each field of the annotated VCF Spearman's correlation with the scores of the variants as they are, and
the largest difference.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from examples.benchmarks.processes import START
from vepscore.genome.alleles import Allele
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.normalization import normalize
from vepscore.io.records import Record, open_records

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
MAX_SHIFT_BP = 1_000


class Variant(NamedTuple):
    """One ALT of a record; POS is 1-based."""

    chrom: str
    pos: int
    ref: str
    alt: str

    @property
    def line(self) -> str:
        """Return a line of a VCF."""
        return f"{self.chrom}\t{self.pos}\t.\t{self.ref}\t{self.alt}\t.\t.\t.\n"


def main() -> None:
    """Write the variants in each way, score them, and compare."""
    parser = argparse.ArgumentParser(prog="python -m examples.benchmarks.steadiness", description=__doc__)
    parser.add_argument("source", type=Path, metavar="IN.vcf")
    parser.add_argument("-r", "--reference", type=Path, required=True)
    parser.add_argument("-g", "--genes", type=Path, required=True)
    parser.add_argument("-c", "--checkpoint")
    parser.add_argument("--window", default="16kb")
    options, others = parser.parse_known_args()
    command = ["-r", str(options.reference), "-g", str(options.genes), "--window", options.window, *others]
    if options.checkpoint:
        command += ["--checkpoint", options.checkpoint]
    reference = Reference(options.reference, cache_dir())
    with open_records(options.source) as records:
        variants = [variant for record in records for variant in simple_variants(record, reference)]
    indels = [index for index, variant in enumerate(variants) if len(variant.ref) != len(variant.alt)]
    written = {
        "to the right": [to_the_right(variants[index], reference) for index in indels],
        "to the left": [to_the_left(variants[index], reference) for index in indels],
        "a base more": [one_base_more(variants[index], reference) for index in indels],
    }
    as_they_are = score(variants, command)
    figures = {"minus strand": compare(as_they_are, score(variants, [*command, "--strand", "minus"]))}
    for name, others in written.items():
        changed = [i for i, other in enumerate(others) if other != variants[indels[i]]]
        figures[name] = {}
        if changed:
            scored = score([others[i] for i in changed], command)
            figures[name] = compare(as_they_are.iloc[[indels[i] for i in changed]], scored)
    print(json.dumps({"variants": len(variants), "indels": len(indels), **figures}, indent=2))


def simple_variants(record: Record, reference: Reference) -> Iterator[Variant]:
    """Return the ALTs of a record that are plain sequence, if REF is that of the genome."""
    chrom = reference.match(record.chrom)
    start0 = record.pos1 - 1
    if chrom is None or reference.fetch(chrom, start0, start0 + len(record.ref)).decode() != record.ref:
        return
    for alt in record.alts:
        if set(record.ref + alt) <= set("ACGT") and alt != record.ref:
            yield Variant(chrom, record.pos1, record.ref, alt)


def to_the_right(variant: Variant, reference: Reference) -> Variant:
    """Return the change right-aligned; unchanged if REF and ALT do not begin with the same base."""
    short, long = sorted((variant.ref, variant.alt), key=len)
    if not long.startswith(short):
        return variant
    start0 = variant.pos - 1 + len(short)  # of the inserted or deleted bases
    moved = long[len(short) :]
    after = start0 + (len(moved) if long == variant.ref else 0)
    anchor = short[-1]
    for base in reference.fetch(variant.chrom, after, after + MAX_SHIFT_BP).decode():
        if base != moved[0]:
            break
        start0, moved, anchor = start0 + 1, moved[1:] + base, base
    return _written(variant, start0, moved, anchor)


def to_the_left(variant: Variant, reference: Reference) -> Variant:
    """Return the change left-aligned and trimmed."""
    written = Allele(chrom=variant.chrom, pos0=variant.pos - 1, ref=variant.ref, alt=variant.alt)
    found = normalize(written, reference)
    return Variant(found.chrom, found.pos0 + 1, found.ref, found.alt)


def one_base_more(variant: Variant, reference: Reference) -> Variant:
    """Return the change with one more base before it in REF and ALT."""
    base = reference.fetch(variant.chrom, variant.pos - 2, variant.pos - 1).decode()
    return Variant(variant.chrom, variant.pos - 1, base + variant.ref, base + variant.alt)


def _written(variant: Variant, start0: int, moved: str, anchor: str) -> Variant:
    """Return the variant that inserts or deletes bases at `start0`, after the anchor."""
    pair = (anchor, anchor + moved) if len(variant.alt) > len(variant.ref) else (anchor + moved, anchor)
    return Variant(variant.chrom, start0, *pair)


def score(variants: list[Variant], command: list[str]) -> pd.DataFrame:
    """Return the per-allele table, in the order of `variants`."""
    with tempfile.TemporaryDirectory() as folder:
        source, table = Path(folder) / "in.vcf", Path(folder) / "out.tsv"
        source.write_text(HEADER + "".join(variant.line for variant in variants))
        outputs = ["--table", str(table), "-o", str(Path(folder) / "out.vcf"), "--quiet"]
        subprocess.run([sys.executable, "-c", START, "score", str(source), *command, *outputs], check=True)
        return pd.read_csv(table, sep="\t", comment="#")


def compare(one: pd.DataFrame, other: pd.DataFrame) -> Mapping[str, Any]:
    """Return for each numeric field the number of alleles, Spearman's rho, and the largest difference."""
    figures = {}
    for name in one.columns:
        if name.startswith("VS_") and not name.endswith("_Q") and one[name].dtype.kind == "f":
            x, y = one[name].to_numpy(), other[name].to_numpy()
            known = ~np.isnan(x) & ~np.isnan(y)
            if known.sum() > 2:
                worst = np.argmax(abs(x[known] - y[known]))
                figures[name] = {
                    "alleles": int(known.sum()),
                    "spearman": round(float(spearmanr(x[known], y[known]).statistic), 4),
                    "largest difference": [round(float(each[known][worst]), 4) for each in (x, y)],
                    "scored once only": int((np.isnan(x) != np.isnan(y)).sum()),
                }
    return figures


if __name__ == "__main__":
    main()
