"""Gene models for splicing: the exons of a gene's transcripts.

Coordinates are 0-based and half-open. A site is the exon's base next to the intron: the last base of the exon for a
donor, the first for an acceptor, both along the gene's strand.
"""

import dataclasses
import functools
from typing import NamedTuple, Self

import numpy as np

from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.gene_models import merge_spans


class Interval(NamedTuple):
    """An exon, an intron, or a part of one."""

    start0: int
    end0: int  # exclusive

    @property
    def length_bp(self) -> int:
        """Number of bases."""
        return self.end0 - self.start0

    def mirrored(self) -> "Interval":
        """Return the interval with every base p moved to -p."""
        return Interval(1 - self.end0, 1 - self.start0)


@dataclasses.dataclass(frozen=True)
class GeneModel:
    """The transcripts of a gene."""

    strand: str  # "+" or "-"
    transcripts: tuple[tuple[Interval, ...], ...]  # exons of each, ascending, with introns between them

    def along_strand(self) -> Self:
        """Return the gene on the plus strand; a minus-strand gene has every base p moved to -p."""
        if self.strand == "+":
            return self
        mirrored = (tuple(exon.mirrored() for exon in reversed(exons)) for exons in self.transcripts)
        return dataclasses.replace(self, strand="+", transcripts=tuple(mirrored))

    @functools.cached_property
    def exons(self) -> tuple[Interval, ...]:
        """The distinct exons, ascending."""
        return tuple(sorted({exon for exons in self.transcripts for exon in exons}))

    def distance_bp(self, pos0: int) -> int:
        """Return the distance from the nearest exon of any transcript: 0 within one, 1 next to one.

        Raises:
            ValueError: the gene has no exon.
        """
        return min(max(exon.start0 - pos0, pos0 - (exon.end0 - 1), 0) for exon in self.exons)


def read_gene_model(annotation: Annotation, gene: Gene) -> GeneModel | None:
    """Return the exons of a gene; None if the annotation has no exon or no strand of it.

    Exons of a transcript that overlap or touch are merged.
    """
    if gene.strand not in ("+", "-"):
        return None
    genes, table, exons = annotation.genes, annotation.transcripts, annotation.exons
    named = np.flatnonzero(genes.gene_id == gene.gene_id)
    rows = [row for row in named if annotation.gene(int(row)) == gene]
    transcripts = np.flatnonzero(np.isin(table.gene, rows))
    low = np.searchsorted(exons.transcript, transcripts)
    high = np.searchsorted(exons.transcript, transcripts, side="right")
    models = [_merged(exons.start0[a:b], exons.end0[a:b]) for a, b in zip(low, high, strict=True) if b > a]
    return GeneModel(gene.strand, tuple(models)) if models else None


def _merged(start0: np.ndarray, end0: np.ndarray) -> tuple[Interval, ...]:
    _, _, starts, ends = merge_spans(np.zeros(len(start0), np.int64), start0, end0)
    return tuple(map(Interval, starts.tolist(), ends.tolist()))
