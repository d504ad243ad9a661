"""Position weight matrices of donors and acceptors: what a variant does to them is the baseline with sequence.

The matrices. Donors are the last 3 bases of the exon and the first 6 of the intron, acceptors the last 20 of the intron
and the first 3 of the exon. A weight is log2 of a base's share at a position, with one pseudocount for each base,
over one quarter; a site's score is the sum of its weights. An unknown base weighs nothing.

A variant's score is the change that is the largest in size, with its sign, of these; 0 where there is none:

    1. for each annotated site whose bases the variant changes, alternate minus reference. The site's boundary moves
       with the bases beside it; where both sides give one (an insertion exactly at the boundary), the better counts;
       where it is deleted, the alternate is 0.
    2. for a new site, max(floor, best alternate) minus max(floor, best reference), where the best is over all places
       at which a site would have a changed base, annotated or not. Only a gain counts: losing what is no site means
       nothing. The floor is the score that 95% of the training sites exceed, so that changes among places that are
       nothing like a site do not count either.

Donors and acceptors are asked, on the strands of the genes that the variant overlaps, on both where there is no gene.

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
FLOOR_SHARE = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Which bases make a site."""

    before_bp: int  # bases before the boundary between exon and intron, in the direction of transcription
    after_bp: int  # bases after it

    @property
    def width_bp(self) -> int:
        """K."""
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
        """From the sites' codes, uint8 (N, K), all known and in the direction of transcription; N at least 1."""
        counts = np.stack([(sites == code).sum(axis=0) for code in range(UNKNOWN)], axis=1) + PSEUDOCOUNT
        bits = np.log2(counts / counts.sum(axis=1, keepdims=True) * UNKNOWN)
        weights = np.concatenate([bits, np.zeros((shape.width_bp, 1))], axis=1)
        matrix = cls(shape=shape, weights=weights, floor=0.0)
        return dataclasses.replace(matrix, floor=float(np.quantile(matrix.score(sites), FLOOR_SHARE)))

    def score(self, sites: np.ndarray) -> np.ndarray:
        """Bits, float64 (N,), of codes (N, K)."""
        return self.weights[np.arange(self.shape.width_bp), sites].sum(axis=1)

    def change(self, context: "Context", sites: np.ndarray) -> float:
        """The change that is the largest in size: the module's rule for one kind of site on one strand.

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
        """Scores of all places at which a site has a changed base, or both sides of a deletion or insertion."""
        reach = self.shape.width_bp - 1
        first, last = context.flank_bp - reach, len(codes) - context.flank_bp + reach
        return self.score(np.lib.stride_tricks.sliding_window_view(codes[first:last], self.shape.width_bp))

    def _site_change(
        self, context: "Context", reference: np.ndarray, alternate: np.ndarray, boundary: int
    ) -> float:
        """Alternate minus reference at an annotated site; 0 where none of its bases changes."""
        reach = self.shape.width_bp - 1
        place = (
            boundary - self.shape.before_bp - (context.flank_bp - reach)
        )  # among those that touch the change
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

    reference: np.ndarray  # uint8: flank, the bases that are replaced, flank
    alternate: np.ndarray  # uint8: flank, what comes in their place, flank
    flank_bp: int

    @classmethod
    def around(cls, change: Change, reference: Reference) -> Self:
        """The plus strand's."""
        codes = encode_bases(reference.fetch(change.chrom, change.start0 - FLANK_BP, change.end0 + FLANK_BP))
        before, after = codes[:FLANK_BP], codes[len(codes) - FLANK_BP :]
        alternate = np.concatenate([before, encode_bases(change.alt.encode("ascii")), after])
        return cls(reference=codes, alternate=alternate, flank_bp=FLANK_BP)

    def reverse_complement(self) -> Self:
        """The other strand's."""
        reference, alternate = (reverse_complement(codes) for codes in (self.reference, self.alternate))
        return dataclasses.replace(self, reference=reference, alternate=alternate)


class SiteModel:
    """Scores changes by the matrices of donors and acceptors.

    Args:
        matrices: by kind, the keys of SHAPES.
        annotation: the genes whose sites and strands count.
        reference: the genome that the changes are in.
    """

    def __init__(self, matrices: dict[str, Matrix], annotation: Annotation, reference: Reference) -> None:
        self._matrices, self._annotation, self._reference = matrices, annotation, reference

    def score(self, change: Change) -> float:
        """Bits: negative where a site is weakened, positive where one is made or strengthened."""
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
        """The boundaries of the annotated sites of one kind and strand, in the context's coordinates."""
        first0 = change.start0 - FLANK_BP
        pos0, site_class = self._annotation.splice_sites(change.chrom, first0, first0 + length)
        here = site_class == SPLICE_CLASSES.index(kind + strand)
        offsets = boundaries(pos0[here], site_class[here]) - first0
        return offsets if strand == "+" else length - offsets


def site_span(boundary: int, strand: str, shape: Shape) -> tuple[int, int]:
    """Where the bases of a site lie on the plus strand, 0-based half-open."""
    before_bp, after_bp = shape.before_bp, shape.after_bp
    return (
        (boundary - before_bp, boundary + after_bp)
        if strand == "+"
        else (boundary - after_bp, boundary + before_bp)
    )


def intron_boundaries(start0: int, end0: int, strand: str) -> Iterator[tuple[str, int]]:
    """The kind and boundary of an intron's two sites."""
    yield "donor", start0 if strand == "+" else end0
    yield "acceptor", end0 if strand == "+" else start0
