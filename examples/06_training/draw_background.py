"""Draw random variants near genes, as a background for `vepscore calibrate`.

    python examples/06_training/draw_background.py REF.fa GENES.gtf -o background.vcf.gz

AlphaGenome's background is common variants, which cannot be derived from a genome and its genes alone. These random
variants take their place. They are the same for the same files, counts and seed:

- Positions are uniform over the gene bodies and FLANK_BP on either side, each base once regardless of how many genes
  overlap it, on the contigs of the annotation. Nothing enriches them near splice sites or exons.
- Two of three substitutions are transitions, as among common variants.
- Half of the indels are insertions of random bases, half are deletions. Lengths are geometric, half of them 1 bp, and
  at most LONGEST_INDEL_BP. Each is anchored at the base before it and not left-aligned.
- REF has only known bases, and POS is unique.

Coordinates are 0-based and half-open, except POS.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from vepscore.cli.main import run_script
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
TRANSITION_FRACTION = 2 / 3

_BASES = "ACGT"
_MAX_DENSITY = 0.25  # largest fraction of the positions that may have a variant
_MAX_TRIES = 100  # positions drawn for each variant, on average


class Variant(NamedTuple):
    """One record; sorts by contig, in the order of the FASTA, and position."""

    contig: int  # index into the FASTA's contigs
    pos0: int
    ref: str
    alt: str


class Regions(NamedTuple):
    """Disjoint intervals, sorted by contig and start. Every array is int64 (N,)."""

    contig: np.ndarray  # index into the FASTA's contigs
    start0: np.ndarray
    end0: np.ndarray  # exclusive


def main(
    reference: Annotated[
        Path, typer.Argument(metavar="REF.fa", help="Reference FASTA, uncompressed or bgzipped.")
    ],
    genes: Annotated[Path, typer.Argument(metavar="GENES.gtf", help="GTF of GENCODE, Ensembl or RefSeq.")],
    output: Annotated[str, typer.Option("-o", "--output", help="Output .vcf, .vcf.gz or .bcf.")],
    snvs: Annotated[int, typer.Option(min=0, help="Number of substitutions.")] = 5_000,
    indels: Annotated[int, typer.Option(min=0, help="Number of indels.")] = 5_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random generator.")] = 0,
) -> None:
    """Draw random variants near genes and write them as a VCF."""
    genome = Reference(reference, cache_dir())
    annotation = Annotation.from_gtf(genes, cache_dir())
    write_variants(output, genome, draw_variants(genome, annotation, snvs=snvs, indels=indels, seed=seed))


def draw_variants(
    reference: Reference, annotation: Annotation, *, snvs: int, indels: int, seed: int
) -> list[Variant]:
    """Draw substitutions and indels; return them sorted.

    Raises:
        InputError: the FASTA and the annotation have no contig in common, or there are too few known bases near genes.
    """
    regions = _near_genes(reference, annotation)
    if not len(regions.contig):
        raise InputError(
            f"{reference.path}\nhas no contig with genes of the annotation",
            hint="give a GTF of the same assembly",
        )
    return draw_within(reference, regions, snvs=snvs, indels=indels, seed=seed)


def draw_within(
    reference: Reference, regions: Regions, *, snvs: int, indels: int, seed: int
) -> list[Variant]:
    """Draw substitutions and indels, uniform over regions near genes; return them sorted.

    Raises:
        InputError: there are too few known bases.
    """
    if snvs + indels > (regions.end0 - regions.start0).sum() * _MAX_DENSITY:
        raise _no_room(reference, snvs + indels)
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, int], Variant] = {}
    for count, draw in ((snvs, _substitution), (indels, _indel)):
        wanted = len(found) + count
        for contig, pos0 in _positions(regions, rng, count * _MAX_TRIES):
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
    """Write a VCF without samples.

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
    """Return the gene bodies with their flanks, clipped to the contigs."""
    genes, names = annotation.genes, annotation.contigs.names
    places = {
        annotation.contigs.match(name): (i, bp) for i, (name, bp) in enumerate(reference.contigs.items())
    }
    nowhere = (-1, 0)
    contig, length = np.array([places.get(names[code], nowhere) for code in genes.chrom]).reshape(-1, 2).T
    start0, end0 = np.maximum(genes.start0 - FLANK_BP, 0), np.minimum(genes.end0 + FLANK_BP, length)
    kept = start0 < end0
    return Regions(*merge_spans(contig[kept], start0[kept], end0[kept])[1:])


def _positions(regions: Regions, rng: np.random.Generator, count: int) -> Iterator[tuple[int, int]]:
    """Yield `count` contigs and positions, uniform over the regions."""
    ends = np.cumsum(regions.end0 - regions.start0)
    for place in rng.integers(ends[-1], size=count):
        row = int(np.searchsorted(ends, place, side="right"))
        yield int(regions.contig[row]), int(regions.end0[row] - (ends[row] - place))


def _substitution(reference: Reference, contig: int, pos0: int, rng: np.random.Generator) -> Variant | None:
    ref = _known_bases(reference, contig, pos0, 1)
    if ref is None:
        return None
    if rng.random() < TRANSITION_FRACTION:
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
    """Return None if there is another base than A, C, G and T, or the contig ends."""
    bases = reference.fetch(reference.names.names[contig], pos0, pos0 + count).decode()
    return bases if set(bases) <= set(_BASES) else None


if __name__ == "__main__":
    run_script(main)
