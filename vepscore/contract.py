"""The scorer contract: where a scorer reads, what it computes, what its numbers are called.

A scorer is an object registered under the entry-point group `vepscore.scorers`, by its name. It works in
three phases, so that the engine predicts only what is read and nothing is compiled anew for the next variant:

    where   on the host: from the variant, its window and the annotation to positions and masks (`Footprint`)
    score   on the device, pure JAX: from the signals at those positions, reference and alternate, to arrays
    rows    on the host: from those arrays to a `ScoreMatrix`, which has a name for each number

Array axes: P positions read, T real tracks of the output, G genes, S bp of the window, K junction sites per
class. Coordinates are 0-based and half-open; positions in `Footprint` count bins of the output's resolution from
the start of the window.
"""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vepscore.genome.alignment import MAX_JOINED_BP
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import Window
from vepscore.outputs import Output, Tracks

POSITION_SIZES = (4, 16, 512, 4096, 16_384, 65_536, 131_072, 262_144, 524_288, 1_048_576)
GENE_SIZES = (1, 4, 16, 64, 128, 256, 1024, 4096)
ENTRY_POINT_GROUP = "vepscore.scorers"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """One alternate allele in its window, with what is known about the place."""

    allele: Allele
    window: Window
    annotation: Annotation | None = None
    polya: PolyASites | None = None
    indel_anchor: IndelAnchor = IndelAnchor.LEFT

    @property
    def has_two_windows(self) -> bool:
        """Whether the alternate allele is predicted in two windows; see `vepscore.genome.alignment`."""
        return self.indel_anchor is IndelAnchor.BOTH and self.allele.inserted_bp != 0

    @property
    def joins_windows(self) -> bool:
        """Whether those two are joined at the variant."""
        return self.has_two_windows and abs(self.allele.inserted_bp) <= MAX_JOINED_BP

    def overlapping_genes(self) -> list[Gene]:
        """The genes that the allele overlaps, over the longer of REF and ALT; none without an annotation."""
        return list(self._overlapping_genes)

    @functools.cached_property
    def _overlapping_genes(self) -> list[Gene]:
        """Looked up once for all scorers."""
        if self.annotation is None:
            return []
        allele = self.allele
        end0 = allele.pos0 + max(len(allele.ref), len(allele.alt))
        return self.annotation.genes_overlapping(allele.chrom, allele.pos0, end0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a scorer reads for one allele: the answer of `Scorer.footprint`."""

    positions: np.ndarray  # int32 (P,): bins, ascending, each once, then -1; P is one of POSITION_SIZES
    masks: Mapping[str, np.ndarray]  # given to `score`; of few shapes, by POSITION_SIZES and GENE_SIZES
    genes: tuple[Gene, ...] = ()  # the genes that the rows are about; empty for scorers without genes
    # Read the alternate in reference coordinates (genome.alignment); always so where it has two windows.
    aligned: bool = False
    annotated_sites: np.ndarray | None = None  # SPLICE_JUNCTIONS only: bool (P, 4), by SPLICE_CLASSES
    site_classes: np.ndarray | None = None  # SPLICE_JUNCTIONS only: bool (4,), those that it reads; None: all


class Junctions(NamedTuple):
    """The signal of SPLICE_JUNCTIONS: predicted counts between sites, which are the same for both alleles."""

    sites: Any  # int32 (4, K): bp from the window's start, by SPLICE_CLASSES, ascending, padded with -1
    counts: Any  # float32 (K, K, 2, T): donor × acceptor × strand (+, -) × tissue; 0 where a site is padding


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreMatrix:
    """The scores of one scorer for one allele: R rows (genes, junctions or sites) by T tracks."""

    scorer: str
    output: Output
    values: np.ndarray  # float32 (R, T); NaN where not defined (gene and track on other strands)
    genes: tuple[Gene | None, ...]  # (R,); None where a row is about no gene
    junctions: np.ndarray | None = None  # int64 (R, 2): intron start and end, 0-based half-open
    positions: np.ndarray | None = None  # int64 (R,): the base that each row is about, 0-based; -1 for none
    labels: tuple[str, ...] | None = None  # (R,): what each row is about; each row then has its own VS entry


class Scorer(abc.ABC):
    """One scorer: hashable and without state, since `score` is jitted with it as a constant."""

    name: str
    output: Output
    needs_genes: bool = False  # skipped, with a notice, when the run has no annotation
    needs_polya: bool = False  # skipped, with a notice, when the run has no poly(A) sites
    is_signed: bool = (
        False  # scores say which way a change goes: their quantiles are from -1 to 1, not from 0 to 1
    )
    compares: bool = True  # alleles, so that an ALT equal to REF scores 0; False for a signal as it is
    max_sites: int | None = None  # SPLICE_JUNCTIONS only: how many sites per class it takes, the first ones
    info_field: str | None = (
        None  # the VCF field, a key of io.fields.VALUE_FIELDS, that takes its largest score
    )
    info_gene_field: str | None = None  # the field that takes the name of that score's gene

    @abc.abstractmethod
    def footprint(self, site: Site) -> Footprint | None:
        """What to read for this allele; None where there is nothing to score (no gene overlaps it, say)."""

    @abc.abstractmethod
    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """Scores as one array or a tree of arrays; pure JAX.

        Args:
            reference: the output's signal for the reference allele at `Footprint.positions`: float32 (P, T); for
                CONTACT_MAPS (P, S // 2048, T), whole rows of the map; for SPLICE_JUNCTIONS `Junctions`.
                Zero at padding.
            alternate: the same for the alternate allele.
            masks: `Footprint.masks` as device arrays.
        """

    @abc.abstractmethod
    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        """Names for the numbers that `score` returned, as numpy arrays; padding removed."""


def padded_size(count: int, sizes: Sequence[int]) -> int:
    """The smallest of `sizes` that holds `count`.

    Raises:
        ValueError: none of them does.
    """
    for size in sizes:
        if count <= size:
            return size
    raise ValueError(f"{count} is more than the largest size, {sizes[-1]}")


def pad_positions(positions: np.ndarray) -> np.ndarray:
    """`positions` as int32, padded with -1 to one of POSITION_SIZES."""
    padded = np.full(padded_size(len(positions), POSITION_SIZES), -1, np.int32)
    padded[: len(positions)] = positions
    return padded


def strand_matches(genes: Sequence[Gene], tracks: Tracks) -> np.ndarray:
    """bool (G, T): the track is unstranded or on the gene's strand."""
    strands = np.array([gene.strand for gene in genes], dtype=object)[:, None]
    return (tracks.strand[None, :] == ".") | (tracks.strand[None, :] == strands)
