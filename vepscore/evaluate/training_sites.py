"""Train the position weight matrices on annotated splice sites.

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
MAX_INTRONS = 10_000  # enough for 32 positions


class ContigSlice(NamedTuple):
    """A contig of a FASTA file, which may be a part of a chromosome."""

    reference: Reference
    contig: str  # name in the FASTA
    chrom: str  # name in the annotation
    start0: int  # the contig's start on the chromosome
    end0: int

    def codes(self, start0: int, end0: int) -> np.ndarray:
        """Return the codes, uint8, of an interval of the chromosome."""
        return encode_bases(self.reference.fetch(self.contig, start0 - self.start0, end0 - self.start0))


class Intron(NamedTuple):
    """An intron of the annotation."""

    chrom: str  # name in the annotation
    start0: int
    end0: int
    strand: str  # "+" or "-"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainedMatrices:
    """The matrices, and their training data."""

    matrices: dict[str, Matrix]  # by kind; empty if there were too few introns
    introns: int  # with known sequence
    chroms: tuple[str, ...]  # of the introns


def train_matrices(
    annotation: Annotation, references: Sequence[Reference], excluded: Collection[str]
) -> TrainedMatrices:
    """Train on the distinct introns whose sites have known sequence in one of the FASTA files.

    At most MAX_INTRONS are used, evenly spaced. With fewer than MIN_INTRONS there are no matrices.

    Args:
        annotation: source of the introns.
        references: a contig named `chrom:start-end` (1-based, inclusive) is a slice of `chrom`.
        excluded: chromosomes not to train on, under any of their names.
    """
    other_chroms = {annotation.contigs.match(chrom) for chrom in excluded}
    found: dict[Intron, list[ContigSlice]] = {}
    for part in _contig_slices(annotation, references):
        if part.chrom not in other_chroms:
            for intron in _introns_within(annotation, part):
                found.setdefault(intron, []).append(part)
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


def _introns_within(annotation: Annotation, part: ContigSlice) -> Iterator[Intron]:
    """Yield the introns whose sites are in the slice."""
    introns = annotation.introns(part.chrom, part.start0, part.end0)
    reach_bp = max(max(shape.before_bp, shape.after_bp) for shape in SHAPES.values())
    whole = (introns.start0 - reach_bp >= part.start0) & (introns.end0 + reach_bp <= part.end0)
    chosen = whole & np.isin(introns.strand, ["+", "-"])
    columns = (introns.start0[chosen], introns.end0[chosen], introns.strand[chosen])
    for start0, end0, strand in zip(*columns, strict=True):
        yield Intron(part.chrom, int(start0), int(end0), str(strand))


def _known_codes(parts: Sequence[ContigSlice], intron: Intron) -> dict[str, np.ndarray]:
    """Return codes (K,) of both sites in the direction of transcription, by kind; empty if a base is unknown."""
    for part in parts:
        sites = {}
        for kind, boundary in intron_boundaries(intron.start0, intron.end0, intron.strand):
            codes = part.codes(*site_span(boundary, intron.strand, SHAPES[kind]))
            sites[kind] = codes if intron.strand == "+" else reverse_complement(codes)
        if all(np.all(codes != UNKNOWN) for codes in sites.values()):
            return sites
    return {}
