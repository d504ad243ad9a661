"""Splice labels from a gene annotation: sites, their usage, and the junctions between them.

Coordinates are 0-based; a site is the exonic base next to its intron, as in `outputs.SPLICE_CLASSES`.
Axes: N sites, J junctions.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.outputs import Output, Tracks

NO_SITE = 4
DONOR_PLUS, ACCEPTOR_PLUS, DONOR_MINUS, ACCEPTOR_MINUS = range(4)
REVERSED_CLASS = np.array([DONOR_MINUS, ACCEPTOR_MINUS, DONOR_PLUS, ACCEPTOR_PLUS, NO_SITE], np.int8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceLabels:
    """The labels of an interval of sequence; positions are offsets from its start."""

    position: np.ndarray  # int64 (N,), ascending
    site_class: np.ndarray  # int8 (N,): index into SPLICE_CLASSES; (position, class) is unique
    usage: np.ndarray  # float32 (N,): fraction of the gene's transcripts over the site that splice there
    primary: np.ndarray  # bool (N,): false if another class has more transcripts at the same position
    donor: np.ndarray  # int64 (J,): position of each junction's donor site
    acceptor: np.ndarray  # int64 (J,)
    strand: np.ndarray  # int8 (J,): 0 plus, 1 minus
    fraction: np.ndarray  # float32 (J,): fraction of the gene's transcripts spanning the intron that have it

    def within(self, start: int, end: int) -> Self:
        """Return the labels of [start, end), as offsets from `start`; junctions need both sites inside."""
        sites = slice(*np.searchsorted(self.position, [start, end]))
        left, right = np.minimum(self.donor, self.acceptor), np.maximum(self.donor, self.acceptor)
        junctions = np.flatnonzero((left >= start) & (right < end))
        return self._selected(sites, junctions, shift=-start)

    def reverse_complement(self, length: int) -> Self:
        """Return the labels of the reverse complement of a sequence of `length` bases."""
        flipped = dataclasses.replace(
            self,
            position=length - 1 - self.position,
            site_class=REVERSED_CLASS[self.site_class],
            donor=length - 1 - self.donor,
            acceptor=length - 1 - self.acceptor,
            strand=1 - self.strand,
        )
        order = np.lexsort((flipped.site_class, flipped.position))
        return flipped._selected(order, slice(None), shift=0)

    def _selected(self, sites: slice | np.ndarray, junctions: slice | np.ndarray, *, shift: int) -> Self:
        return dataclasses.replace(
            self,
            position=self.position[sites] + shift,
            site_class=self.site_class[sites],
            usage=self.usage[sites],
            primary=self.primary[sites],
            donor=self.donor[junctions] + shift,
            acceptor=self.acceptor[junctions] + shift,
            strand=self.strand[junctions],
            fraction=self.fraction[junctions],
        )


def label_sequence(annotation: Annotation, chrom: str, start0: int, end0: int) -> SpliceLabels:
    """Return the splice labels of [start0, end0) of a chromosome, as offsets from start0.

    An intron that extends beyond the interval still labels its site inside.
    """
    introns = _Introns.of(annotation, chrom, start0 - 1, end0 + 1)
    labels = SpliceLabels(**_sites(introns, annotation), **_junctions(introns, annotation))
    return labels.within(start0, end0)


class _Introns(NamedTuple):
    """Distinct introns, by their sites. An intron of several genes belongs to the first. Arrays (I,)."""

    donor: np.ndarray  # int64
    acceptor: np.ndarray  # int64
    strand: np.ndarray  # int8: 0 plus, 1 minus
    gene: np.ndarray  # int32: row of the annotation's genes
    transcripts: np.ndarray  # int32: number of transcripts with the intron

    @classmethod
    def of(cls, annotation: Annotation, chrom: str, start0: int, end0: int) -> Self:
        introns = annotation.introns(chrom, start0, end0)
        stranded = introns.strand != "."
        minus = introns.strand[stranded] == "-"
        before, after = introns.start0[stranded] - 1, introns.end0[stranded]
        return cls(
            donor=np.where(minus, after, before),
            acceptor=np.where(minus, before, after),
            strand=minus.astype(np.int8),
            gene=introns.gene[stranded],
            transcripts=introns.transcripts[stranded],
        )


def _count_spanning(
    annotation: Annotation, gene: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Return the number of transcripts of each gene that contain both positions: int64 (N,)."""
    table = annotation.transcripts
    order = np.argsort(table.gene, kind="stable")
    low, high = (np.searchsorted(table.gene, gene, side, sorter=order) for side in ("left", "right"))
    first, last = np.minimum(one, other), np.maximum(one, other)
    count = np.zeros(len(gene), np.int64)
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        rows = order[a:b]
        count[i] = np.count_nonzero((table.start0[rows] <= first[i]) & (table.end0[rows] > last[i]))
    return count


def _sites(introns: _Introns, annotation: Annotation) -> dict[str, np.ndarray]:
    """Return unique sites; usage is the largest over the genes of a site."""
    keys = np.stack(
        [
            np.concatenate([introns.donor, introns.acceptor]),
            np.concatenate([DONOR_PLUS + 2 * introns.strand, ACCEPTOR_PLUS + 2 * introns.strand]),
            np.tile(introns.gene, 2),
        ]
    )
    (position, site_class, gene), of_gene = np.unique(keys, axis=1, return_inverse=True)
    using = np.bincount(of_gene.ravel(), np.tile(introns.transcripts, 2), len(gene))
    fraction = using / np.maximum(_count_spanning(annotation, gene, position, position), using)
    sites = np.stack([position, site_class])
    (position, site_class), of_site = np.unique(sites, axis=1, return_inverse=True)
    usage = np.zeros(len(position), np.float32)
    np.maximum.at(usage, of_site.ravel(), fraction)
    return {
        "position": position,
        "site_class": site_class.astype(np.int8),
        "usage": usage,
        "primary": _is_primary(position, np.bincount(of_site.ravel(), using, len(position))),
    }


def _junctions(introns: _Introns, annotation: Annotation) -> dict[str, np.ndarray]:
    over = _count_spanning(annotation, introns.gene, introns.donor, introns.acceptor)
    fraction = introns.transcripts / np.maximum(over, introns.transcripts)
    return {
        "donor": introns.donor,
        "acceptor": introns.acceptor,
        "strand": introns.strand,
        "fraction": fraction.astype(np.float32),
    }


def _is_primary(position: np.ndarray, transcripts: np.ndarray) -> np.ndarray:
    """Return true for the class with the most transcripts at each position (the first of equals)."""
    order = np.lexsort((-transcripts, position))
    primary = np.zeros(len(position), bool)
    primary[order] = np.diff(position[order], prepend=-1) != 0
    return primary


def label_tracks() -> dict[Output, Tracks]:
    """Return the tracks of the labels: splice sites, their usage, and junctions."""
    names_and_strands = {
        Output.SPLICE_SITES: (("donor", "acceptor") * 2, "++--"),
        Output.SPLICE_SITE_USAGE: (("usage",) * 2, "+-"),
        Output.SPLICE_JUNCTIONS: (("junction",), "."),
    }
    return {
        output: make_tracks(
            output,
            np.ones(len(names), np.float32),
            name=names,
            strand=strands,
            biosample_name=["RefSeq transcripts"] * len(names),
            assay=["annotation"] * len(names),
        )
        for output, (names, strands) in names_and_strands.items()
    }


def make_tracks(output: Output, nonzero_mean: np.ndarray, **texts: Sequence[str]) -> Tracks:
    """Return tracks without ontology terms; `texts` are the other columns of text of `Tracks`."""
    texts["ontology_curie"] = [""] * len(nonzero_mean)
    columns: dict[str, Any] = {name: np.array(list(values), dtype=object) for name, values in texts.items()}
    return Tracks(
        output=output,
        nonzero_mean=nonzero_mean,
        channel=np.arange(len(nonzero_mean), dtype=np.int32),
        **columns,
    )
