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
from collections.abc import Iterator
from typing import Self

import numpy as np

from vepscore.evaluate.changes import Change
from vepscore.evaluate.strata import boundaries
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference
from vepscore.genome.windows import UNKNOWN, encode_bases, reverse_complement
from vepscore.outputs import SPLICE_CLASSES

PSEUDOCOUNT = 1.0
FLOOR_FRACTION = 0.05


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
        reference, alternate = (
            self._touching(context, codes) for codes in (context.reference, context.alternate)
        )
        changes = [self._site_change(context, reference, alternate, int(site)) for site in sites]
        best = [max(float(scores.max()), self.floor) for scores in (reference, alternate)]
        changes.append(max(best[1] - best[0], 0.0))
        return max(changes, key=abs)

    def _touching(self, context: "Context", codes: np.ndarray) -> np.ndarray:
        """Return the scores at all positions where a site has a changed base or spans a deletion or an insertion."""
        reach = self.shape.width_bp - 1
        first, last = context.flank_bp - reach, len(codes) - context.flank_bp + reach
        return self.score(np.lib.stride_tricks.sliding_window_view(codes[first:last], self.shape.width_bp))

    def _site_change(
        self, context: "Context", reference: np.ndarray, alternate: np.ndarray, boundary: int
    ) -> float:
        """Return alternate minus reference at an annotated site; 0 if none of its bases changes."""
        reach = self.shape.width_bp - 1
        place = (
            boundary - self.shape.before_bp - (context.flank_bp - reach)
        )  # index among the positions that touch the change
        if not 0 <= place < len(reference):
            return 0.0
        start, end = context.flank_bp, len(context.reference) - context.flank_bp
        shift_bp = len(context.alternate) - len(context.reference)
        places = {place} if boundary <= start or shift_bp == 0 else set()
        places |= {place + shift_bp} if boundary >= end else set()
        return max((float(alternate[moved]) for moved in places), default=0.0) - float(reference[place])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The sequences around a change, in the direction of one strand."""

    reference: np.ndarray  # uint8: flank, replaced bases, flank
    alternate: np.ndarray  # uint8: flank, replacement, flank
    flank_bp: int

    @classmethod
    def around(cls, change: Change, reference: Reference) -> Self:
        """Return the context of a change on the plus strand."""
        codes = encode_bases(reference.fetch(change.chrom, change.start0 - FLANK_BP, change.end0 + FLANK_BP))
        before, after = codes[:FLANK_BP], codes[len(codes) - FLANK_BP :]
        alternate = np.concatenate([before, encode_bases(change.alt.encode("ascii")), after])
        return cls(reference=codes, alternate=alternate, flank_bp=FLANK_BP)

    def reverse_complement(self) -> Self:
        """Return the context on the other strand."""
        reference, alternate = (reverse_complement(codes) for codes in (self.reference, self.alternate))
        return dataclasses.replace(self, reference=reference, alternate=alternate)


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


def site_span(boundary: int, strand: str, shape: Shape) -> tuple[int, int]:
    """Return the interval of a site's bases on the plus strand, 0-based and half-open."""
    before_bp, after_bp = shape.before_bp, shape.after_bp
    return (
        (boundary - before_bp, boundary + after_bp)
        if strand == "+"
        else (boundary - after_bp, boundary + before_bp)
    )


def intron_boundaries(start0: int, end0: int, strand: str) -> Iterator[tuple[str, int]]:
    """Yield the kind and boundary of an intron's two sites."""
    yield "donor", start0 if strand == "+" else end0
    yield "acceptor", end0 if strand == "+" else start0
