"""Scored alleles, from whichever file they were read, and their value in one modality."""

import abc
import collections
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from vepscore.genome.consistency import ContigSource
from vepscore.io.fields import EVENTS_SCORER, format_float
from vepscore.outputs import EVENT_KINDS
from vepscore.report.events import JunctionChange, SiteChange
from vepscore.report.filters import GeneList, RegionFilters
from vepscore.report.gene_model import Interval
from vepscore.report.modalities import Modality


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of a long table, or an entry of the INFO field VS: a scorer's score for one gene, or for no gene."""

    scorer: str
    gene_id: str = ""  # "" if the score is about no gene
    gene: str = ""  # its name
    score: float
    # Name of the track; for a splice event of a ranked allele its kind and 1-based position: donor_gain:1234.
    track: str = ""
    strand: str = ""  # of the track; "" if unknown
    tissue: str = ""  # the biosample
    term: str = ""  # the tissue's ontology term
    quantile: float = math.nan  # NaN if unknown
    row: int | None = None  # 0-based, of the long table
    place: Interval | None = None  # the intron of a junction, or the base of a splice event
    kind: str = ""  # of a splice event with a place: donor or acceptor

    @property
    def text(self) -> str:
        """The score with the digits of the file: of a long table's float32, the fewest that identify it."""
        return format_float(self.score) if self.row is None else str(np.float32(self.score))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The value that an allele is ranked by."""

    value: float  # signed, except for composites; NaN if there is none
    quantile: float = math.nan
    gene: str = ""  # name of its gene; for a composite, the gene whose own composite is largest
    parts: tuple[Entry, ...] = ()  # the largest entry of each scorer, in order of contribution


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAllele:
    """One ALT of a record."""

    record: int  # 0-based record of the file that was scored
    alt_index: int  # 0-based
    chrom: str
    pos1: int  # POS, 1-based
    id: str  # "." if there is none, or it is unknown
    ref: str
    alt: str
    status: str  # VS_STATUS; "." if missing
    stated: Measure | None = None  # value in the file; None: it is computed from the entries
    read_entries: Callable[[], tuple[Entry, ...]] = tuple
    # By gene_id.
    junctions: Mapping[str, tuple[JunctionChange, ...]] = dataclasses.field(default_factory=dict)


class AlleleReader(abc.ABC):
    """Iterate once over the alleles of a source that pass the filters.

    Args:
        modality: its scores are read.
        regions: keep only alleles that overlap one of these; empty: keep all.

    Attributes:
        excluded: reason → alleles.
        provenance: lines that say how the scores were made.
        regions: the regions, with the contigs found so far.
        contigs: the contigs that the source declares, once the alleles are read; None if it declares none.
    """

    def __init__(self, modality: Modality, regions: Iterable[str]) -> None:
        self.excluded: collections.Counter[str] = collections.Counter()
        self.provenance: tuple[str, ...] = ()
        self.contigs: ContigSource | None = None
        self.regions = RegionFilters(regions)
        self._modality = modality

    @abc.abstractmethod
    def __iter__(self) -> Iterator[ScoredAllele]:
        """Yield the alleles in the order of the source.

        Raises:
            InputError: the source cannot be read, or lacks something that is requested.
        """


def measure(allele: ScoredAllele, modality: Modality, genes: GeneList | None = None) -> Measure:
    """Return the value that the allele is ranked by: that of its file, or else that of its entries.

    Args:
        allele: the allele, whose entries are read.
        modality: the scorers that count.
        genes: only entries about these genes, or about no gene, count; None: all.
    """
    entries = [entry for entry in allele.read_entries() if entry.scorer in modality.weights]
    if genes is not None:
        entries = [entry for entry in entries if not entry.gene_id or genes.has(entry.gene_id, entry.gene)]
    own, stated = _from_entries(entries, modality), allele.stated
    if stated is None or (genes is not None and not _is_same(own.value, stated.value)):
        return own
    return dataclasses.replace(stated, gene=stated.gene if genes is None else own.gene, parts=own.parts)


def _is_same(value: float, stated: float) -> bool:
    """Return whether two values are equal within the six digits that files have."""
    return math.isclose(value, stated, rel_tol=1e-4, abs_tol=1e-6)


def _from_entries(entries: Iterable[Entry], modality: Modality) -> Measure:
    largest: dict[str, Entry] = {}
    by_gene: dict[str, dict[str, float]] = {}
    for entry in entries:
        if entry.scorer not in largest or abs(entry.score) > abs(largest[entry.scorer].score):
            largest[entry.scorer] = entry
        sizes = by_gene.setdefault(entry.gene, {})
        sizes[entry.scorer] = max(sizes.get(entry.scorer, 0.0), abs(entry.score))
    if not largest:
        return Measure(value=math.nan)

    def weigh(sizes: Mapping[str, float]) -> float:
        return sum(modality.weights[scorer] * size for scorer, size in sizes.items())

    parts = sorted(largest.values(), key=lambda entry: -modality.weights[entry.scorer] * abs(entry.score))
    if not modality.is_composite:
        (entry,) = parts
        return Measure(value=entry.score, quantile=entry.quantile, gene=entry.gene, parts=(entry,))
    return Measure(
        value=weigh({scorer: abs(entry.score) for scorer, entry in largest.items()}),
        gene=max(by_gene, key=lambda gene: weigh(by_gene[gene])),
        parts=tuple(parts),
    )


def site_changes(entries: Iterable[Entry]) -> dict[str, list[list[SiteChange]]]:
    """Return the splice events by gene_id, for each locus of the gene in the order of the annotation.

    The entries of a locus are in the order of EVENT_KINDS, so an entry that breaks this order begins the next locus.
    """
    loci: dict[str, list[list[SiteChange]]] = {}
    last: dict[str, int] = {}  # by gene_id, index of its last entry in EVENT_KINDS
    for entry in entries:
        kind, _, pos1 = entry.track.partition(":")
        if entry.scorer != EVENTS_SCORER or kind not in EVENT_KINDS:
            continue
        own, place = loci.setdefault(entry.gene_id, []), EVENT_KINDS.index(kind)
        if not own or place <= last[entry.gene_id]:
            own.append([])
        last[entry.gene_id] = place
        if pos1.isdigit():
            own[-1].append(SiteChange(kind.partition("_")[0], int(pos1) - 1, entry.score))
    return loci
