"""The splice sites that the position weight matrices are trained on.

Coordinates are 0-based and half-open. Axes: K bases of a site, N introns.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vepscore.evaluate.pwm import SHAPES, Matrix, intron_boundaries, site_span
from vepscore.genome.annotation import Annotation
from vepscore.genome.contigs import slice_origin
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases, reverse_complement

MIN_INTRONS = 100
MAX_INTRONS = 10_000  # enough for 32 positions; more would only take longer


class ContigSlice(NamedTuple):
    """A contig of a FASTA file, as a part of a chromosome."""

    reference: Reference
    contig: str  # as the FASTA calls it
    chrom: str  # as the annotation calls it
    start0: int  # where the contig begins on the chromosome
    end0: int

    def codes(self, start0: int, end0: int) -> np.ndarray:
        """Codes, uint8, of an interval of the chromosome."""
        return encode_bases(self.reference.fetch(self.contig, start0 - self.start0, end0 - self.start0))


class Intron(NamedTuple):
    """An intron of the annotation."""

    chrom: str  # as the annotation calls it
    start0: int
    end0: int
    strand: str  # "+" or "-"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainedMatrices:
    """The matrices, and what they were trained on."""

    matrices: dict[str, Matrix]  # by kind; empty where there were too few introns
    introns: int  # whose sequence was found
    chroms: tuple[str, ...]  # that they are on


def train_matrices(
    annotation: Annotation, references: Sequence[Reference], excluded: Collection[str]
) -> TrainedMatrices:
    """Trains on the distinct introns whose sites are known in one of the FASTA files.

    Of more than MAX_INTRONS, evenly spaced ones are taken. With fewer than MIN_INTRONS there are no matrices.

    Args:
        annotation: where the introns are.
        references: a contig named `chrom:start-end` (1-based, inclusive) is a slice of `chrom`.
        excluded: chromosomes that are not trained on, under any of their names.
    """
    other_chroms = {annotation.contigs.match(chrom) for chrom in excluded}
    found: dict[Intron, list[ContigSlice]] = {}
    for stretch in _contig_slices(annotation, references):
        if stretch.chrom not in other_chroms:
            for intron in _introns_within(annotation, stretch):
                found.setdefault(intron, []).append(stretch)
    introns = sorted(found)
    if len(introns) > MAX_INTRONS:
        introns = [introns[i] for i in np.linspace(0, len(introns) - 1, MAX_INTRONS).astype(int)]
    sites: dict[str, list[np.ndarray]] = {kind: [] for kind in SHAPES}
    chroms: dict[str, None] = {}
    for intron in introns:
        codes = _known_codes(found[intron], intron)
        if codes:
            chroms[intron.chrom] = None
        for kind, site in codes.items():
            sites[kind].append(site)
    count = len(sites["donor"])
    enough = count >= MIN_INTRONS
    matrices = {kind: Matrix.train(SHAPES[kind], np.stack(sites[kind])) for kind in SHAPES} if enough else {}
    return TrainedMatrices(matrices=matrices, introns=count, chroms=tuple(chroms))


def _contig_slices(annotation: Annotation, references: Sequence[Reference]) -> Iterator[ContigSlice]:
    for reference in references:
        for contig, length in reference.contigs.items():
            name, start0 = slice_origin(contig)
            chrom = annotation.contigs.match(name)
            if chrom is not None:
                yield ContigSlice(reference, contig, chrom, start0, start0 + length)


def _introns_within(annotation: Annotation, stretch: ContigSlice) -> Iterator[Intron]:
    """The introns whose sites lie in the stretch."""
    introns = annotation.introns(stretch.chrom, stretch.start0, stretch.end0)
    reach_bp = max(max(shape.before_bp, shape.after_bp) for shape in SHAPES.values())
    whole = (introns.start0 - reach_bp >= stretch.start0) & (introns.end0 + reach_bp <= stretch.end0)
    chosen = whole & np.isin(introns.strand, ["+", "-"])
    columns = (introns.start0[chosen], introns.end0[chosen], introns.strand[chosen])
    for start0, end0, strand in zip(*columns, strict=True):
        yield Intron(stretch.chrom, int(start0), int(end0), str(strand))


def _known_codes(stretches: Sequence[ContigSlice], intron: Intron) -> dict[str, np.ndarray]:
    """Codes (K,) of both sites in the direction of transcription, by kind; nothing where a base is unknown."""
    for stretch in stretches:
        sites = {}
        for kind, boundary in intron_boundaries(intron.start0, intron.end0, intron.strand):
            codes = stretch.codes(*site_span(boundary, intron.strand, SHAPES[kind]))
            sites[kind] = codes if intron.strand == "+" else reverse_complement(codes)
        if all(np.all(codes != UNKNOWN) for codes in sites.values()):
            return sites
    return {}
