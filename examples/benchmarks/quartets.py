"""Score harmless indels: an SNV, two deletions and an insertion at each of some places deep in introns.

    python -m examples.benchmarks.quartets -r GENOME.fa -g GENES.gtf --windows 16kb 128kb --anchors left both

Nothing there should change splicing, so an indel should score about what the SNV at its place does. Prints for each
window, anchor and kind of variant the median, the 90% quantile and the largest `VS_SPLICE`; the same by the gene's
strand, by the half of the gene that the place is in, and by whether the bases that come or go repeat their neighbors;
and the largest scores with their parts and the strongest splice event. With several anchors, the scores of SNVs have
to be the same; the exit status is 1 where they are not. Options that it does not know go to `vepscore score`.

With `--events` only splice events are scored, and the largest of an allele takes the place of `VS_SPLICE`: the delta
score, where the network has a published program, such as SpliceAI.

With `--output` the VCF, the tables and the scored files are kept there. Coordinates are 0-based and half-open.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from examples.benchmarks.processes import START
from examples.benchmarks.report import Row, report
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.normalization import normalize
from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.outputs import MAX_WINDOW_BP

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SCORERS = ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS", "SPLICE_EVENTS")
PARTS = ("VS_SPLICE", "VS_SS", "VS_SSU", "VS_SJ")
SNV, SHORT_DELETION, INSERTION, LONG_DELETION = "SNV", "1 bp deletion", "1 bp insertion", "3 bp deletion"
FROM_SITE_BP = 300  # least distance from any annotated splice site
APART_BP = 1_000  # least distance between positions
MAX_N_FRACTION = 0.1  # fraction of the widest window around a position
_BASES = "ACGT"
_SHOWN_BP = 8  # from a place on, that have to be known bases


class Place(NamedTuple):
    """A position deep in an intron, and the gene there."""

    chrom: str
    pos0: int  # of the SNV, and of the base before the bases that come or go
    gene: str  # its name; of the first of several
    strand: str  # "+", "-", or "both" where genes of both strands overlap
    half: str  # of that gene's body, in the genome's direction: "left" or "right"


class Variant(NamedTuple):
    """One of the four variants of a place, left-aligned."""

    place: int  # index of the place
    kind: str
    pos0: int
    ref: str
    alt: str
    repeated: bool  # whether the bases that come or go stand once more to their right


def main() -> None:
    """Draw the variants, score them with each window and anchor, and print the tables."""
    options, others = _parse_options()
    reference = Reference(options.reference, cache_dir())
    annotation = Annotation.from_gtf(options.genes, cache_dir())
    rng = np.random.default_rng(options.seed)
    places = draw_places(reference, annotation, options.chrom, options.places, rng)
    variants = [each for index in range(len(places)) for each in quartet(reference, places, index, rng)]
    scorers = ("SPLICE_EVENTS",) if options.events else SCORERS
    command = ["-r", str(options.reference), "-g", str(options.genes), *others]
    command += itertools.chain(*(("-s", scorer) for scorer in scorers))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source = write_vcf(folder / "quartets.vcf", places, variants)
        equal = [
            _measure(source, places, variants, window, options.anchors, command) for window in options.windows
        ]
    raise SystemExit(0 if all(equal) else 1)


def _parse_options() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m examples.benchmarks.quartets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-r", "--reference", type=Path, required=True, help="FASTA")
    parser.add_argument("-g", "--genes", type=Path, required=True, help="GTF")
    parser.add_argument("--chrom", default="chr16", help="contig of the places (default: %(default)s)")
    parser.add_argument("--places", type=int, default=60, help="number of places (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: %(default)s)")
    parser.add_argument("--windows", nargs="+", default=["16kb"], metavar="WIDTH", help="default: 16kb")
    parser.add_argument(
        "--anchors", nargs="+", default=[None], metavar="ANCHOR", help="left, both; default: the checkpoint's"
    )
    parser.add_argument("--events", action="store_true", help="score splice events alone")
    parser.add_argument("--output", type=Path, help="folder for the VCF, JSON tables and scored files")
    return parser.parse_known_args()


def _measure(
    source: Path,
    places: Sequence[Place],
    variants: Sequence[Variant],
    window: str,
    anchors: Sequence[str | None],
    command: Sequence[str],
) -> bool:
    """Score and report at one window; return whether SNVs have the same scores with all anchors."""
    found = {}
    for anchor in anchors:
        name = f"{window} {anchor or 'default'}"
        chosen = ["--indel-anchor", anchor] if anchor else []
        scored = score(source, name, [*command, "--window", window, *chosen])
        found[anchor] = describe(scored, places, variants)
        report(f"quartets {name}", list(summarize(found[anchor], [])), source.parent)
        for column in ("strand", "half", "repeated"):
            rows = list(summarize(found[anchor], [column]))
            report(f"quartets {name} by {column}", rows, source.parent)
        report(f"quartets {name} largest", list(largest(found[anchor])), source.parent)
    snvs = [table.loc[table["kind"] == SNV, list(PARTS)] for table in found.values()]
    equal = all(snvs[0].equals(other) for other in snvs[1:])
    if len(anchors) > 1:
        print(f"\n{window}: SNVs have {'the same' if equal else 'DIFFERENT'} scores with all anchors")
    return equal


def draw_places(
    reference: Reference, annotation: Annotation, chrom: str, count: int, rng: np.random.Generator
) -> list[Place]:
    """Draw places in introns of protein-coding genes, far from splice sites and from one another.

    Raises:
        SystemExit: the contig has too few.
    """
    codes = encode_bases(reference.fetch(chrom, 0, reference.contigs[chrom]))
    chosen: list[int] = []
    for pos0 in rng.permutation(np.flatnonzero(_is_deep_intronic(annotation, chrom, codes))):
        if len(chosen) == count:
            break
        apart = all(abs(int(pos0) - other) >= APART_BP for other in chosen)
        if apart and _stays_in_place(codes[pos0 : pos0 + _SHOWN_BP]) and _is_known(codes, int(pos0)):
            chosen.append(int(pos0))
    if len(chosen) < count:
        raise SystemExit(f"{chrom} has {len(chosen)} such places, {count} are needed: ask for fewer")
    return [_place(annotation, chrom, pos0) for pos0 in sorted(chosen)]


def _is_deep_intronic(annotation: Annotation, chrom: str, codes: np.ndarray) -> np.ndarray:
    """Return bool (bp,): in a protein-coding gene, in no exon, and at least FROM_SITE_BP from any splice site."""
    deep = np.zeros(len(codes), bool)
    for gene in annotation.genes_overlapping(chrom, 0, len(codes)):
        if gene.type in ("protein_coding", ""):
            deep[gene.start0 : gene.end0] = True
    for _, exons in annotation.genes_with_start(chrom, 0, len(codes) + 1):
        for start0, end0 in exons:
            deep[start0:end0] = False
    sites, _ = annotation.splice_sites(chrom, 0, len(codes))
    for pos0 in sites:
        deep[max(0, pos0 - FROM_SITE_BP - _SHOWN_BP) : pos0 + FROM_SITE_BP + 1] = False
    return deep


def _stays_in_place(codes: np.ndarray) -> bool:
    """Return whether bases are known, and deletions after the first one are left-aligned there."""
    known = len(codes) == _SHOWN_BP and not (codes == UNKNOWN).any()
    return bool(known and codes[0] != codes[1] and codes[0] != codes[3])


def _is_known(codes: np.ndarray, pos0: int) -> bool:
    """Return whether the widest window around a position is nearly all known bases."""
    within = codes[max(0, pos0 - MAX_WINDOW_BP // 2) : pos0 + MAX_WINDOW_BP // 2]
    return (within != UNKNOWN).sum() >= (1 - MAX_N_FRACTION) * MAX_WINDOW_BP


def _place(annotation: Annotation, chrom: str, pos0: int) -> Place:
    genes: list[Gene] = annotation.genes_overlapping(chrom, pos0, pos0 + 1)
    gene, strands = genes[0], {gene.strand for gene in genes}
    half = "left" if 2 * pos0 < gene.start0 + gene.end0 else "right"
    return Place(chrom, pos0, gene.name, "both" if len(strands) > 1 else gene.strand, half)


def quartet(
    reference: Reference, places: Sequence[Place], index: int, rng: np.random.Generator
) -> Iterator[Variant]:
    """Make the four variants of a place, each as its normalized form has it.

    Raises:
        SystemExit: normalization moves one of them.
    """
    chrom, pos0, *_ = places[index]
    bases = reference.fetch(chrom, pos0, pos0 + _SHOWN_BP).decode("ascii")
    others = [base for base in _BASES if base != bases[0]]
    inserted = str(rng.choice(others))  # another base than the first would move to the left
    for kind, ref, alt, repeated in (
        (SNV, bases[0], str(rng.choice(others)), False),
        (SHORT_DELETION, bases[:2], bases[0], bases[1] == bases[2]),
        (INSERTION, bases[0], bases[0] + inserted, inserted == bases[1]),
        (LONG_DELETION, bases[:4], bases[0], bases[1:4] == bases[4:7]),
    ):
        allele = Allele(chrom=chrom, pos0=pos0, ref=ref, alt=alt)
        if normalize(allele, reference) != allele:
            raise SystemExit(f"normalization moves {allele}")
        yield Variant(index, kind, pos0, ref, alt, repeated)


def write_vcf(path: Path, places: Sequence[Place], variants: Sequence[Variant]) -> Path:
    """Write the variants, in their order, and return the path."""
    lines = (
        f"{places[one.place].chrom}\t{one.pos0 + 1}\t{one.kind.replace(' ', '_')}\t{one.ref}\t{one.alt}\t.\t.\t.\n"
        for one in variants
    )
    path.write_text(HEADER + "".join(lines))
    return path


def score(source: Path, name: str, command: Sequence[str]) -> pd.DataFrame:
    """Run `vepscore score` and return the per-allele table, with the strongest splice event of each allele."""
    stem = source.parent / name.replace(" ", "_")
    table, long_table = stem.with_suffix(".tsv"), stem.with_suffix(".parquet")
    outputs = ["--table", str(table), "-o", str(long_table), "-o", str(stem.with_suffix(".vcf"))]
    subprocess.run(
        [sys.executable, "-c", START, "score", str(source), *command, *outputs, "--quiet"], check=True
    )
    scored = pd.read_csv(table, sep="\t", comment="#")
    scored = scored.reindex(columns=list(dict.fromkeys([*scored.columns, *PARTS])))
    events = _strongest_events(pd.read_parquet(long_table))
    if scored["VS_SPLICE"].isna().all():
        scored["VS_SPLICE"] = events["raw_score"].abs()
    texts = {record: _text_of(event) for record, event in events.iterrows()}
    return scored.assign(event=[texts.get(record, "") for record in scored.index])


def _strongest_events(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the largest splice event of each record that has any, by the record."""
    events = rows[(rows["variant_scorer"] == "SPLICE_EVENTS") & rows["site_pos"].notna()]
    return events.loc[events["raw_score"].abs().groupby(events["record"]).idxmax()].set_index("record")


def _text_of(event: pd.Series) -> str:
    """Return the name of a splice event, its distance in bp and its score."""
    return f"{event['track_name']} {int(event['site_pos'] - event['pos']):+d} {event['raw_score']:+.3f}"


def describe(scored: pd.DataFrame, places: Sequence[Place], variants: Sequence[Variant]) -> pd.DataFrame:
    """Return the scores with what is known of each variant and its place.

    Raises:
        SystemExit: an allele has no score.
    """
    if not (scored["VS_STATUS"] == "OK").all() or scored["VS_SPLICE"].isna().any():
        raise SystemExit("an allele has no VS_SPLICE")
    known = pd.DataFrame([one._asdict() | places[one.place]._asdict() for one in variants])
    return scored[[*PARTS, "event"]].join(known)


def summarize(table: pd.DataFrame, by: Sequence[str]) -> Iterator[Row]:
    """Return median, 90% quantile and largest of VS_SPLICE, by kind and the columns `by`; medians of its parts."""
    for keys, rows in table.groupby(["kind", *by], sort=False):
        scores = rows["VS_SPLICE"]
        medians = {f"median {part}": float(rows[part].median()) for part in PARTS[1:]}
        yield {
            **dict(zip(["kind", *by], map(str, keys), strict=True)),
            "n": len(rows),
            "median": float(scores.median()),
            "90%": float(scores.quantile(0.9)),
            "largest": float(scores.max()),
            **medians,
        }


def largest(table: pd.DataFrame, count: int = 12) -> Iterator[Row]:
    """Return the alleles of the largest scores, with the parts and the strongest event."""
    for _, row in table.nlargest(count, "VS_SPLICE").iterrows():
        allele = f"{row['chrom']}:{row['pos0'] + 1} {row['ref']}>{row['alt']}"
        yield {"allele": allele} | row[["kind", "strand", "half", *PARTS, "event"]].to_dict()


if __name__ == "__main__":
    main()
