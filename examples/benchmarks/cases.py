"""Choose the variants of the benchmarks, by a scan of the annotation that gives the same ones on every run.

Positions are 0-based. A variant, in a gene or outside of genes, has a TSS in its window, so that every scorer that can
have work has some. The chosen positions are at even quantiles of the number of exonic bases around them; one more is
chosen to warm up with.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from examples.benchmarks.inputs import Inputs
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import UNKNOWN, Window, encode_bases, window_around
from vepscore.io.records import Record

GENE_BP = (20_000, 70_000)  # length of the genes with variants
CLUSTER_BP = 20_000
CLUSTER_VARIANTS = 100
SATURATED_BP = 200
KINDS = {"outside genes": False, "in a gene": True}  # position of variants: whether it is in a gene
_FROM_START_BP = 3_000  # distance from the gene's first base, for variants in a gene
_FAR_BP = 32_768  # largest distance before it, for variants outside; else a quarter of a window
_MAX_N_FRACTION = 0.01
_BASES = "ACGT"


class Places:
    """Positions on one contig for windows of one width."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs, self._data = inputs, inputs.data
        self.chrom = inputs.chrom
        self.codes = encode_bases(
            inputs.data.reference.fetch(self.chrom, 0, inputs.data.reference.contigs[self.chrom])
        )
        self._genes = inputs.data.annotation.genes_overlapping(self.chrom, 0, len(self.codes))
        self._in_gene = np.zeros(len(self.codes), bool)
        for gene in self._genes:
            self._in_gene[gene.start0 : gene.end0] = True

    def bases(self, start0: int, end0: int) -> str:
        """Return bases of the reference."""
        return self._data.reference.fetch(self.chrom, start0, end0).decode("ascii")

    def record(self, pos0: int, ref_bp: int, *alts: str) -> Record:
        """Return a record; "~" in an ALT is a base that differs from the first base of REF."""
        ref = self.bases(pos0, pos0 + ref_bp)
        alts = tuple(alt.replace("~", _others(ref[0])[0]) for alt in alts)
        line = "\t".join((self.chrom, str(pos0 + 1), ".", ref, ",".join(alts), ".", "PASS", "."))
        return Record(
            index=0, chrom=self.chrom, pos1=pos0 + 1, id=".", ref=ref, alts=alts, line=line.encode()
        )

    def isolated(self, count: int, *, in_gene: bool) -> tuple[list[Record], Record]:
        """Return SNVs at `count` positions, and one at another."""
        found = self._inside() if in_gene else self._outside()
        return self._choose({pos0: self.record(pos0, 1, "~") for pos0 in found}, count)

    def clusters(self, count: int, *, in_gene: bool) -> tuple[list[list[Record]], list[Record]]:
        """Return SNVs spread evenly over 20 kb, at `count` positions, and at another."""
        stretches = self._gene_middles() if in_gene else self._gaps()
        step = CLUSTER_BP // CLUSTER_VARIANTS
        found = {}
        for start0 in stretches:
            positions = range(start0, start0 + CLUSTER_BP, step)
            if all(self._known(positions)) and self.n_fraction(start0) <= _MAX_N_FRACTION:
                found[start0 + CLUSTER_BP // 2] = [self.record(pos0, 1, "~") for pos0 in positions]
        return self._choose(found, count)

    def saturations(self, count: int, *, in_gene: bool) -> tuple[list[list[Record]], list[Record]]:
        """Return all SNVs of an interval that share an aligned window, at `count` positions, and at another."""
        found = {}
        for pos0 in self._inside() if in_gene else self._outside():
            positions = range(pos0, pos0 + SATURATED_BP)
            alike = len({self.window(each, self._inputs.sharing_align_bp) for each in positions}) == 1
            if (
                alike
                and all(self._known(positions))
                and len({self._in_gene[each] for each in positions}) == 1
            ):
                found[pos0] = [
                    self.record(each, 1, *_others(self.bases(each, each + 1))) for each in positions
                ]
        return self._choose(found, count)

    def window(self, pos0: int, align_bp: int = 1) -> Window:
        """Return the window of an SNV."""
        allele = Allele(chrom=self.chrom, pos0=pos0, ref="A", alt="C")
        return window_around(allele, self._inputs.window_bp, align_bp)

    def exon_bp(self, pos0: int) -> int:
        """Return the exonic bases, in an SNV's window, of genes that start there.

        Outside of genes, scorers read little else.
        """
        window = self.window(pos0)
        genes = self._data.annotation.genes_with_start(self.chrom, window.start0, window.end0)
        exons = np.concatenate([np.zeros((0, 2), int), *(each for _, each in genes)])
        return int(np.diff(np.clip(exons, window.start0, window.end0)).sum())

    def n_fraction(self, pos0: int) -> float:
        """Return the fraction of N in an SNV's window."""
        window = self.window(pos0)
        known = self.codes[max(window.start0, 0) : window.end0] != UNKNOWN
        return 1 - float(known.sum()) / window.width_bp

    def _choose(self, found: dict[int, Any], count: int) -> tuple[list[Any], Any]:
        """Choose `count` of the records by position, and another."""
        if len(found) <= count:
            raise SystemExit(
                f"{self.chrom} has {len(found)} such positions, {count + 1} are needed: request fewer variants"
            )
        other, *places = sorted(found, key=self.exon_bp)
        chosen = [places[(2 * index + 1) * len(places) // (2 * count)] for index in range(count)]
        return [found[pos0] for pos0 in chosen], found[other]

    def _outside(self) -> Iterator[int]:
        """Yield positions outside of genes, well before the first bases of genes."""
        for gene in self._genes:
            pos0 = _from_first_base(gene, -min(_FAR_BP, self._inputs.window_bp // 4))
            if self._is_good(pos0) and not self._in_gene[pos0]:
                yield pos0

    def _inside(self) -> Iterator[int]:
        """Yield positions after the first bases of genes of the right length, where all genes have it."""
        for gene in self._genes:
            pos0 = _from_first_base(gene, _FROM_START_BP)
            if gene.type == "protein_coding" and self._is_good(pos0) and self._all_fit(pos0, pos0 + 1):
                yield pos0

    def _gene_middles(self) -> Iterator[int]:
        for gene in self._genes:
            start0 = (gene.start0 + gene.end0 - CLUSTER_BP) // 2
            if gene.type == "protein_coding" and self._all_fit(start0, start0 + CLUSTER_BP):
                yield start0

    def _gaps(self) -> list[int]:
        """Yield starts of intervals in the middle of gaps between genes; a gene starts in the window of one end."""
        edges = np.flatnonzero(np.diff(self._in_gene, prepend=True, append=True)).reshape(-1, 2)
        starts = [int(first + end - CLUSTER_BP) // 2 for first, end in edges if end - first >= CLUSTER_BP]
        return [
            start0
            for start0 in starts
            if self._has_gene_start(start0) or self._has_gene_start(start0 + CLUSTER_BP)
        ]

    def _is_good(self, pos0: int) -> bool:
        """Return whether the window lies in the contig, has nearly no N, and a gene starts there."""
        window = self.window(pos0)
        if window.start0 < 0 or window.end0 > len(self.codes) or self.codes[pos0] == UNKNOWN:
            return False
        return self.n_fraction(pos0) <= _MAX_N_FRACTION and self._has_gene_start(pos0)

    def _has_gene_start(self, pos0: int) -> bool:
        window = self.window(pos0)
        return bool(self._data.annotation.genes_with_start(self.chrom, window.start0, window.end0))

    def _all_fit(self, start0: int, end0: int) -> bool:
        """Return whether there are genes, all of the right length."""
        genes = self._data.annotation.genes_overlapping(self.chrom, start0, end0)
        shortest, longest = GENE_BP
        fit = all(shortest <= gene.end0 - gene.start0 <= longest for gene in genes)
        return fit and bool(self._in_gene[start0:end0].all())

    def _known(self, positions: Sequence[int]) -> np.ndarray:
        return self.codes[positions] != UNKNOWN


def _from_first_base(gene: Gene, distance_bp: int) -> int:
    """Return the position at a distance into the gene; negative: before it."""
    return gene.end0 - 1 - distance_bp if gene.strand == "-" else gene.start0 + distance_bp


def _others(base: str) -> tuple[str, ...]:
    """Return the three other bases."""
    return tuple(other for other in _BASES if other != base)
