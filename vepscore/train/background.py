"""Variants for a background: `python -m vepscore.train.background REF.fa GENES.gtf -o background.vcf.gz`.

AlphaGenome's background are common variants, which a genome and its genes alone do not tell. These are random ones in
their place, the same for the same files, numbers and seed:

- Places are uniform over the genes' bodies and FLANK_BP on either side, each base once however many genes have it, on
  the contigs that the annotation knows. None is nearer to a splice site or an exon than chance has it.
- Two of three substitutions are transitions, as among common variants.
- Half of the indels are insertions of random bases, half deletions. Lengths are geometric, half of them 1 bp, and
  LONGEST_INDEL_BP at most. They are anchored at the base before them, and not shifted to the left.
- REF has known bases only, and no two variants have one POS.

Coordinates are 0-based and half-open, but for POS.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vepscore.errors import InputError
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.gene_models import merge_spans
from vepscore.io.header import FIXED_COLUMNS, VcfHeader
from vepscore.io.vcf import VcfWriter

FLANK_BP = 10_000
LONGEST_INDEL_BP = 20
TRANSITIONS = {"A": "G", "C": "T", "G": "A", "T": "C"}
TRANSITION_SHARE = 2 / 3

_BASES = "ACGT"
_MAX_SHARE = 0.25  # of the places that variants may take
_MAX_TRIES = 100  # for each variant, on average


class Variant(NamedTuple):
    """One record; sorts as the FASTA has its contigs, and by position."""

    contig: int  # 0-based, in the FASTA
    pos0: int
    ref: str
    alt: str


class Regions(NamedTuple):
    """Stretches apart from one another, by contig and start. Every array has shape (N,), int64."""

    contig: np.ndarray  # index into the FASTA's contigs
    start0: np.ndarray
    end0: np.ndarray  # exclusive


def main() -> None:
    """Draws the variants and writes them."""
    parser = argparse.ArgumentParser(prog="python -m vepscore.train.background", description=__doc__)
    parser.add_argument("reference", type=Path, metavar="REF.fa", help="FASTA, plain or bgzip")
    parser.add_argument("genes", type=Path, metavar="GENES.gtf", help="GENCODE, Ensembl or RefSeq GTF")
    parser.add_argument("-o", "--output", required=True, help=".vcf, .vcf.gz or .bcf")
    parser.add_argument("--snvs", type=int, default=5_000, help="substitutions (default: %(default)s)")
    parser.add_argument("--indels", type=int, default=5_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    reference = Reference(options.reference, cache_dir())
    annotation = Annotation.from_gtf(options.genes, cache_dir())
    variants = draw_variants(
        reference, annotation, snvs=options.snvs, indels=options.indels, seed=options.seed
    )
    write_variants(options.output, reference, variants)


def draw_variants(
    reference: Reference, annotation: Annotation, *, snvs: int, indels: int, seed: int
) -> list[Variant]:
    """So many substitutions and indels, sorted.

    Raises:
        InputError: the FASTA and the annotation have no contig in common, or too few known bases near genes.
    """
    regions = _near_genes(reference, annotation)
    if not len(regions.contig):
        raise InputError(
            f"{reference.path}\nhas no contig that the annotation has genes on",
            hint="give a GTF of the same assembly",
        )
    if snvs + indels > (regions.end0 - regions.start0).sum() * _MAX_SHARE:
        raise _no_room(reference, snvs + indels)
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], Variant] = {}
    for count, draw in ((snvs, _substitution), (indels, _indel)):
        wanted = len(found) + count
        for contig, pos0 in _places(regions, rng, count * _MAX_TRIES):
            if len(found) == wanted:
                break
            if (contig, pos0) not in found and (variant := draw(reference, contig, pos0, rng)) is not None:
                found[contig, pos0] = variant
        if len(found) < wanted:
            raise _no_room(reference, snvs + indels)
    return sorted(found.values())


def _no_room(reference: Reference, wanted: int) -> InputError:
    return InputError(
        f"{reference.path}\nhas too few known bases near genes for {wanted} variants", hint="ask for fewer"
    )


def write_variants(path: str, reference: Reference, variants: list[Variant]) -> None:
    """A VCF without samples.

    Raises:
        OutputError: it cannot be written.
    """
    contigs = [f"##contig=<ID={name},length={bp}>" for name, bp in reference.contigs.items()]
    header = VcfHeader(meta=("##fileformat=VCFv4.2", *contigs), columns="\t".join(FIXED_COLUMNS))
    names = list(reference.contigs)
    with VcfWriter(path, header) as writer:
        for variant in variants:
            place = f"{names[variant.contig]}\t{variant.pos0 + 1}\t."
            writer.write_line(f"{place}\t{variant.ref}\t{variant.alt}\t.\t.\t.".encode())


def _near_genes(reference: Reference, annotation: Annotation) -> Regions:
    """The genes' bodies with their flanks, as far as the contigs reach."""
    genes, names = annotation.genes, annotation.contigs.names
    places = {
        annotation.contigs.match(name): (i, bp) for i, (name, bp) in enumerate(reference.contigs.items())
    }
    nowhere = (-1, 0)
    contig, length = np.array([places.get(names[code], nowhere) for code in genes.chrom]).reshape(-1, 2).T
    start0, end0 = np.maximum(genes.start0 - FLANK_BP, 0), np.minimum(genes.end0 + FLANK_BP, length)
    kept = start0 < end0
    return Regions(*merge_spans(contig[kept], start0[kept], end0[kept])[1:])


def _places(regions: Regions, rng: np.random.Generator, count: int) -> Iterator[tuple[int, int]]:
    """So many contigs and positions, uniform over the regions."""
    ends = np.cumsum(regions.end0 - regions.start0)
    for place in rng.integers(ends[-1], size=count):
        row = int(np.searchsorted(ends, place, side="right"))
        yield int(regions.contig[row]), int(regions.end0[row] - (ends[row] - place))


def _substitution(reference: Reference, contig: int, pos0: int, rng: np.random.Generator) -> Variant | None:
    ref = _known_bases(reference, contig, pos0, 1)
    if ref is None:
        return None
    if rng.random() < TRANSITION_SHARE:
        alt = TRANSITIONS[ref]
    else:
        alt = rng.choice([base for base in _BASES if base not in (ref, TRANSITIONS[ref])])
    return Variant(contig, pos0, ref, str(alt))


def _indel(reference: Reference, contig: int, pos0: int, rng: np.random.Generator) -> Variant | None:
    length = min(int(rng.geometric(0.5)), LONGEST_INDEL_BP)
    if rng.random() < 0.5:
        ref = _known_bases(reference, contig, pos0, 1)
        return ref and Variant(contig, pos0, ref, ref + "".join(rng.choice(list(_BASES), length)))
    ref = _known_bases(reference, contig, pos0, 1 + length)
    return ref and Variant(contig, pos0, ref, ref[0])


def _known_bases(reference: Reference, contig: int, pos0: int, count: int) -> str | None:
    """None where there are others than A, C, G and T, or the contig ends."""
    bases = reference.fetch(reference.names.names[contig], pos0, pos0 + count).decode()
    return bases if set(bases) <= set(_BASES) else None


if __name__ == "__main__":
    main()
