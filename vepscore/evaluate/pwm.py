"""Position weight matrices of donors and acceptors: a baseline that reads the sequence.

The matrices. Donors are the last 3 bases of the exon and the first 6 of the intron, acceptors the last 20 of the intron
and the first 3 of the exon. A weight is log2 of a base's frequency at a position, with one pseudocount for each base,
over one quarter; a site's score is the sum of its weights. An unknown base has weight 0.

A variant's score is the change that is largest in size, with its sign, among these; 0 if there is none:

    1. for each annotated site whose bases the variant changes, alternate minus reference. The site's boundary moves
       with the bases beside it. If both sides give one (an insertion exactly at the boundary), the better counts;
       if the boundary is deleted, the alternate is 0.
    2. for a new site, max(floor, best alternate) minus max(floor, best reference), where the best is over all positions
       at which a site would have a changed base, annotated or not. Only a gain counts, because losing a site that is
       not annotated has no meaning. The floor is the score that 95% of the training sites exceed, so that changes
       among positions unlike a site do not count either.

Donors and acceptors are scored on the strands of the genes that the variant overlaps; on both strands without a gene.

Coordinates are 0-based and half-open. Axes: K bases of a site, N sites. Codes are those of `genome.windows`.

Source: the matrices, Shapiro and Senapathy 1987; log odds, Staden 1984.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from vepscore.evaluate.changes import Change
from vepscore.evaluate.strata import boundaries
from vepscore.genome.annotation import Annotation
from vepscore.genome.contigs import slice_origin
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases, reverse_complement
from vepscore.outputs import SPLICE_CLASSES

PSEUDOCOUNT = 1.0
FLOOR_FRACTION = 0.05
MIN_INTRONS = 100
MAX_INTRONS = 10_000  # enough for 32 positions


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The bases of a site."""

    before_bp: int  # bases before the boundary between exon and intron, in the direction of transcription
    after_bp: int  # bases after it

    @property
    def width_bp(self) -> int:
        """K, the number of bases."""
        return self.before_bp + self.after_bp


SHAPES = {"donor": Shape(before_bp=3, after_bp=6), "acceptor": Shape(before_bp=20, after_bp=3)}
FLANK_BP = max(shape.width_bp for shape in SHAPES.values()) - 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The weights of one kind of site."""

    shape: Shape
    weights: np.ndarray  # float64 (K, 5): bits by position and code
    floor: float  # bits that 95% of the training sites exceed

    @classmethod
    def train(cls, shape: Shape, sites: np.ndarray) -> Self:
        """Train on codes of sites, uint8 (N, K), without unknown bases, in the direction of transcription; N >= 1."""
        counts = np.stack([(sites == code).sum(axis=0) for code in range(UNKNOWN)], axis=1) + PSEUDOCOUNT
        bits = np.log2(counts / counts.sum(axis=1, keepdims=True) * UNKNOWN)
        weights = np.concatenate([bits, np.zeros((shape.width_bp, 1))], axis=1)
        matrix = cls(shape=shape, weights=weights, floor=0.0)
        return dataclasses.replace(matrix, floor=float(np.quantile(matrix.score(sites), FLOOR_FRACTION)))

    def score(self, sites: np.ndarray) -> np.ndarray:
        """Return bits, float64 (N,), of codes (N, K)."""
        return self.weights[np.arange(self.shape.width_bp), sites].sum(axis=1)

    def change(self, context: "Context", sites: np.ndarray) -> float:
        """Return the change that is largest in size, by the module's rule, for one kind of site on one strand.

        Args:
            context: the sequences around the change.
            sites: int64 (N,): the boundaries of annotated sites of this kind, in the context's coordinates.
        """
        reference, alternate = map(self._touching, (context.reference, context.alternate))
        changes = [self._site_change(context, reference, alternate, int(site)) for site in sites]
        best = [max(float(scores.max()), self.floor) for scores in (reference, alternate)]
        changes.append(max(best[1] - best[0], 0.0))
        return max(changes, key=abs)

    def _touching(self, codes: np.ndarray) -> np.ndarray:
        """Return the scores at all positions where a site has a changed base or spans a deletion or an insertion."""
        reach = self.shape.width_bp - 1
        first, last = FLANK_BP - reach, len(codes) - FLANK_BP + reach
        return self.score(np.lib.stride_tricks.sliding_window_view(codes[first:last], self.shape.width_bp))

    def _site_change(
        self, context: "Context", reference: np.ndarray, alternate: np.ndarray, boundary: int
    ) -> float:
        """Return alternate minus reference at an annotated site; 0 if none of its bases changes."""
        reach = self.shape.width_bp - 1
        # Index among the positions that touch the change.
        place = boundary - self.shape.before_bp - (FLANK_BP - reach)
        if not 0 <= place < len(reference):
            return 0.0
        start, end = FLANK_BP, len(context.reference) - FLANK_BP
        shift_bp = len(context.alternate) - len(context.reference)
        places = {place} if boundary <= start or shift_bp == 0 else set()
        places |= {place + shift_bp} if boundary >= end else set()
        return max((float(alternate[moved]) for moved in places), default=0.0) - float(reference[place])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The sequences around a change, in the direction of one strand."""

    reference: np.ndarray  # uint8: flank, replaced bases, flank
    alternate: np.ndarray  # uint8: flank, replacement, flank; flanks have FLANK_BP

    @classmethod
    def around(cls, change: Change, reference: Reference) -> Self:
        """Return the context of a change on the plus strand."""
        codes = encode_bases(reference.fetch(change.chrom, change.start0 - FLANK_BP, change.end0 + FLANK_BP))
        before, after = codes[:FLANK_BP], codes[len(codes) - FLANK_BP :]
        alternate = np.concatenate([before, encode_bases(change.alt.encode("ascii")), after])
        return cls(reference=codes, alternate=alternate)

    def reverse_complement(self) -> Self:
        """Return the context on the other strand."""
        return type(self)(
            reference=reverse_complement(self.reference), alternate=reverse_complement(self.alternate)
        )


class SiteModel:
    """Score changes with the matrices of donors and acceptors.

    Args:
        matrices: by kind, the keys of SHAPES.
        annotation: source of splice sites and of the strands of genes.
        reference: the genome of the changes.
    """

    def __init__(self, matrices: dict[str, Matrix], annotation: Annotation, reference: Reference) -> None:
        self._matrices, self._annotation, self._reference = matrices, annotation, reference

    def score(self, change: Change) -> float:
        """Return bits: negative if a site is weakened, positive if one is created or strengthened."""
        context = Context.around(change, self._reference)
        changes = [0.0]
        for strand in self._strands(change):
            read = context if strand == "+" else context.reverse_complement()
            for kind, matrix in self._matrices.items():
                sites = self._sites(change, kind, strand, len(context.reference))
                changes.append(matrix.change(read, sites))
        return max(changes, key=abs)

    def _strands(self, change: Change) -> list[str]:
        genes = self._annotation.genes_overlapping(
            change.chrom, change.start0, max(change.end0, change.start0 + 1)
        )
        return sorted({gene.strand for gene in genes} & {"+", "-"}) or ["+", "-"]

    def _sites(self, change: Change, kind: str, strand: str, length: int) -> np.ndarray:
        """Return the boundaries of the annotated sites of one kind and strand, in the context's coordinates."""
        first0 = change.start0 - FLANK_BP
        pos0, site_class = self._annotation.splice_sites(change.chrom, first0, first0 + length)
        here = site_class == SPLICE_CLASSES.index(kind + strand)
        offsets = boundaries(pos0[here], site_class[here]) - first0
        return offsets if strand == "+" else length - offsets


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
    known = {intron: codes for intron in introns if (codes := _known_codes(found[intron], intron))}
    matrices = {}
    if len(known) >= MIN_INTRONS:
        for kind, shape in SHAPES.items():
            matrices[kind] = Matrix.train(shape, np.stack([codes[kind] for codes in known.values()]))
    chroms = tuple(dict.fromkeys(intron.chrom for intron in known))
    return TrainedMatrices(matrices=matrices, introns=len(known), chroms=chroms)


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
    is_plus = intron.strand == "+"
    for part in parts:
        sites = {}
        for kind, shape in SHAPES.items():
            boundary = intron.start0 if (kind == "donor") == is_plus else intron.end0
            left_bp, right_bp = (shape.before_bp, shape.after_bp)[:: 1 if is_plus else -1]
            codes = part.codes(boundary - left_bp, boundary + right_bp)
            sites[kind] = codes if is_plus else reverse_complement(codes)
        if all(np.all(codes != UNKNOWN) for codes in sites.values()):
            return sites
    return {}
