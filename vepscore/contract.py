"""The scorer contract: which positions a scorer reads, what it computes, and how its numbers are named.

A scorer is an object registered under its name in the entry-point group `vepscore.scorers`. It works in three
phases, so that the engine predicts only what is read, and compiles nothing again for the next variant:

    footprint   on the host: from the variant, its window and the annotation to positions and masks (`Footprint`)
    score       on the device, pure JAX: from the reference and alternate signals at those positions to arrays
    rows        on the host: from those arrays to a `ScoreMatrix`, which names each number

Derive from `Scorer`; from `GeneScorer` if the scorer needs gene annotation, or from `PolyAScorer` if it needs poly(A)
sites too. Those are skipped, with a notice, in a run without these files.

Coordinates are 0-based and half-open. Positions in a `Footprint` count bins of the output's resolution from the start
of the window. Axes in shapes: `positions` read, `tracks` of the output without padding, `genes`, `bins` of the window,
`sites` per class of splice site, `tissues`, `rows` of scores.
"""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64, UInt8

from vepscore.genome.alignment import MAX_JOINED_BP
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import Window
from vepscore.outputs import Output, Tracks

POSITION_SIZES = (4, 16, 512, 4096, 16_384, 65_536, 131_072, 262_144, 524_288, 1_048_576)
GENE_SIZES = (1, 4, 16, 64, 128, 256, 1024, 4096)
_NO_POSITIONS = np.full(POSITION_SIZES[0], -1, np.int32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """One alternate allele in its window.

    Attributes:
        allele: the allele.
        window: where the network predicts; it may read more bases on either side.
        indel_anchor: which windows the alternate allele of an indel is predicted in.
        contig_bp: length of its contig; None where it is not known.
        resolutions: width in bp of the bins of each output.
    """

    allele: Allele
    window: Window
    indel_anchor: IndelAnchor = IndelAnchor.LEFT
    contig_bp: int | None = None
    resolutions: Mapping[Output, int] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def has_two_windows(self) -> bool:
        """Whether the alternate allele is predicted in two windows; see `vepscore.genome.alignment`."""
        return self.indel_anchor is IndelAnchor.BOTH and self.allele.inserted_bp != 0

    @property
    def joins_windows(self) -> bool:
        """Whether those two windows are joined at the variant."""
        return self.has_two_windows and abs(self.allele.inserted_bp) <= MAX_JOINED_BP

    def resolution_bp(self, output: Output) -> int:
        """Return the width in bp of the bins of an output.

        Raises:
            KeyError: the network does not predict it.
        """
        return self.resolutions[output]

    def overlapping_genes(self) -> list[Gene]:
        """Return the genes that the longer of REF and ALT overlaps; none without an annotation."""
        return []


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneSite(Site):
    """A site in a run that has gene annotation."""

    annotation: Annotation

    def overlapping_genes(self) -> list[Gene]:
        """Return the genes that the longer of REF and ALT overlaps."""
        return list(self._overlapping_genes)

    @functools.cached_property
    def _overlapping_genes(self) -> list[Gene]:
        allele = self.allele
        end0 = allele.pos0 + max(len(allele.ref), len(allele.alt))
        return self.annotation.genes_overlapping(allele.chrom, allele.pos0, end0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolyASite(GeneSite):
    """A site in a run that has gene annotation and poly(A) sites."""

    polya: PolyASites


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a scorer reads for one allele.

    Attributes:
        positions: bins in ascending order without duplicates, then -1 as padding; as many as one of POSITION_SIZES.
        masks: arrays for `Scorer.score`. Pad them to POSITION_SIZES and GENE_SIZES, so that they have few shapes.
        genes: the genes that the rows are about; empty for a scorer without genes.
        aligned: read the alternate allele at reference coordinates (see `vepscore.genome.alignment`). Always done
            where the alternate has two windows.
        strand: "+" or "-" if the scores depend on one strand's tracks, sites and junctions alone; a network may then
            skip the other strand, whose signal is NaN. None for both.
        annotated_sites: SPLICE_JUNCTIONS only: which positions are annotated splice sites, by SPLICE_CLASSES.
        site_classes: SPLICE_JUNCTIONS only: the classes of splice sites to use; None for all.
    """

    positions: Int32[np.ndarray, " positions"]
    masks: Mapping[str, np.ndarray]
    genes: tuple[Gene, ...] = ()
    aligned: bool = False
    strand: str | None = None
    annotated_sites: Bool[np.ndarray, "positions 4"] | None = None
    site_classes: Bool[np.ndarray, " 4"] | None = None


class Junctions(NamedTuple):
    """The signal of SPLICE_JUNCTIONS: predicted counts between sites, which are the same for both alleles.

    Attributes:
        sites: bp from the window's start, by SPLICE_CLASSES, ascending, padded with -1.
        counts: donor × acceptor × strand (+, -) × tissue; 0 where a site is padding.
    """

    sites: Int32[Any, "4 sites"]
    counts: Float32[Any, "sites sites 2 tissues"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreMatrix:
    """The scores of one scorer for one allele: a row per gene, junction or site, a column per track.

    Attributes:
        scorer: its name.
        output: the output that it reads.
        values: NaN where a score is not defined, such as a gene and a track on different strands.
        genes: of each row; None for a row that is about no gene.
        junctions: start and end of each row's intron, 0-based half-open.
        positions: the base that each row is about, 0-based; -1 for none.
        labels: what each row is about. With labels, each row has its own entry in the VCF field VS.
        entries: the scores as the network's published program prints them, if it has one; see `EntryForm`.
    """

    scorer: str
    output: Output
    values: Float[np.ndarray, "rows tracks"]
    genes: tuple[Gene | None, ...]
    junctions: Int64[np.ndarray, "rows 2"] | None = None
    positions: Int64[np.ndarray, " rows"] | None = None
    labels: tuple[str, ...] | None = None
    entries: tuple[str, ...] = ()


SiteT = TypeVar("SiteT", bound=Site, contravariant=True)


class Scorer(abc.ABC, Generic[SiteT]):
    """One scorer: hashable and stateless, because `score` is jitted with the scorer as a static argument.

    Attributes:
        name: as its entry point has it.
        output: the output that it reads.
        needs_genes: skip it, with a notice, in a run without gene annotation; set by `GeneScorer`.
        needs_polya: skip it, with a notice, in a run without poly(A) sites; set by `PolyAScorer`.
        by_name_only: exclude it from `-s all`; it runs if the user or the checkpoint names it.
        compares: it compares two alleles, so that an ALT equal to REF scores 0.
        max_sites: SPLICE_JUNCTIONS only: the number of sites per class to use, the first ones; None for all.
        info_field: the VCF field for its largest score, a key of `vepscore.io.fields.VALUE_FIELDS`.
        info_gene_field: the VCF field for the name of that score's gene.
    """

    name: str
    output: Output
    needs_genes: bool = False
    needs_polya: bool = False
    by_name_only: bool = False
    compares: bool = True
    max_sites: int | None = None
    info_field: str | None = None
    info_gene_field: str | None = None

    @property
    def is_signed(self) -> bool:
        """Whether scores have a direction. Their quantiles are then from -1 to 1, otherwise from 0 to 1."""
        return False

    @abc.abstractmethod
    def footprint(self, site: SiteT) -> Footprint | None:
        """Return what to read for this allele; None where there is nothing to score, such as no gene."""

    @abc.abstractmethod
    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """Return scores as one array or a tree of arrays; pure JAX.

        Args:
            reference: the output's signal for the reference allele at `Footprint.positions`: float32
                (positions, tracks); for CONTACT_MAPS (positions, bins, tracks), whole rows of the map; for
                SPLICE_JUNCTIONS `Junctions`. Zero at padding.
            alternate: the same for the alternate allele.
            masks: `Footprint.masks` as device arrays.
        """

    @abc.abstractmethod
    def rows(self, scores: Any, footprint: Footprint, site: SiteT, tracks: Tracks) -> ScoreMatrix:
        """Name the numbers that `score` returned, which come as numpy arrays, and remove padding."""


class GeneScorer(Scorer[GeneSite]):
    """A scorer that needs gene annotation."""

    needs_genes = True


class EntryForm(NamedTuple):
    """How a published program prints the scores of an allele in the INFO column of a VCF: entries with parts."""

    field: str  # the key in INFO
    format: str  # names of the parts of an entry, separated by |

    def __str__(self) -> str:
        return f"{self.field}={self.format}"

    @classmethod
    def parse(cls, text: str) -> "EntryForm":
        """Return the form that such text tells."""
        return cls(*text.split("=", 1))


class WindowScorer(GeneScorer):
    """A scorer that runs a network itself, on sequences that it makes of an allele's window.

    A network brings it in the place of the scorer of that name, to score as its published program does; see
    `vepscore.model.network.Network.own_scorers`. It reads no positions: its footprint is empty, or None where there is
    nothing to score.

    Attributes:
        form: of `ScoreMatrix.entries`.
    """

    form: EntryForm

    @abc.abstractmethod
    def refusal(self, site: GeneSite) -> str:
        """Return why the program gives an allele no scores; "" if it gives some."""

    def footprint(self, site: GeneSite) -> Footprint | None:
        return None if self.refusal(site) else Footprint(positions=_NO_POSITIONS, masks={})

    @abc.abstractmethod
    def score_window(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> ScoreMatrix:
        """Return the scores of an allele.

        Args:
            site: the allele.
            codes: the reference's bases that the network reads: those of `site.window`, with its margins.
        """

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        raise NotImplementedError("it scores windows")

    def rows(self, scores: Any, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        raise NotImplementedError("it scores windows")


class PolyAScorer(Scorer[PolyASite]):
    """A scorer that needs gene annotation and poly(A) sites."""

    needs_genes = True
    needs_polya = True


def padded_size(count: int, sizes: Sequence[int]) -> int:
    """Return the smallest of `sizes` that is at least `count`.

    Raises:
        ValueError: all of them are smaller.
    """
    for size in sizes:
        if count <= size:
            return size
    raise ValueError(f"{count} is more than the largest size, {sizes[-1]}")


def pad_positions(positions: Int[np.ndarray, " positions"]) -> Int32[np.ndarray, " padded"]:
    """Return the positions, padded with -1 to one of POSITION_SIZES."""
    padded = np.full(padded_size(len(positions), POSITION_SIZES), -1, np.int32)
    padded[: len(positions)] = positions
    return padded


def common_strand(genes: Sequence[Gene]) -> str | None:
    """Return the strand on which all genes lie; None if they lie on both, or one has none."""
    strands = {gene.strand for gene in genes}
    return strands.pop() if strands in ({"+"}, {"-"}) else None


def strand_matches(genes: Sequence[Gene], tracks: Tracks) -> Bool[np.ndarray, "genes tracks"]:
    """Return whether each track is unstranded or on the strand of each gene."""
    strands = np.array([gene.strand for gene in genes], dtype=object)[:, None]
    return (tracks.strand[None, :] == ".") | (tracks.strand[None, :] == strands)
